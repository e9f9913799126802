import numpy as np
import pytest

from reafference.errors import BadExperiment
from services.body.models.robot import world
from services.body.models.robot.files import Files

from .conftest import ROVER_SDF

WORLD = """<sdf version="1.6"><world name="w"><gravity>0 0 -5</gravity>
  <model name="floor"><static>1</static><link name="l">
    <collision name="c"><geometry><plane><normal>0 0 1</normal></plane></geometry></collision>
    <visual name="v"><geometry><plane><normal>0 0 1</normal></plane></geometry></visual></link></model>
  {}
</world></sdf>"""

BOX = """<model name="box"><static>1</static><pose>{} 0 0 0</pose><link name="l"><pose>0 0 0.1 0 0 0</pose>
  <collision name="c"><geometry><box><size>0.4 1 0.8</size></box></geometry></collision>
  <visual name="v"><geometry><box><size>0.4 1 0.8</size></box></geometry>
    <material><diffuse>1 0 0 1</diffuse></material></visual></link></model>"""

TETRAHEDRON_DAE = """<COLLADA><library_geometries><geometry id="g"><mesh>
  <source id="s"><float_array count="12">0 0 0 1 0 0 0 1 0 0 0 1</float_array></source>
  <vertices id="v"><input semantic="POSITION" source="#s"/></vertices>
  <triangles count="4"><input semantic="VERTEX" source="#v" offset="0"/><p>0 2 1 0 1 3 0 3 2 1 2 3</p></triangles>
</mesh></geometry></library_geometries></COLLADA>"""
TETRAHEDRON_OBJ = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n"


def read(tmp_path, text):
    return world.read(text, "world.sdf", Files(tmp_path, {}))


def in_world(make, tmp_path, robot, things, **settings):
    (tmp_path / "world.sdf").write_text(WORLD.format(things))
    return make(robot, environment="world.sdf", **settings)


def redness(picture):
    """Where a picture is red: a mask by pixel."""
    red, green, blue = (picture[:, :, i].astype(int) for i in range(3))
    return (red > 120) & (green < 60) & (blue < 60)


def test_a_camera_sees_a_red_box_on_the_side_where_it_is(make, tmp_path):
    for y, half in ((0.8, slice(0, 32)), (-0.8, slice(32, 64))):
        rover = in_world(make, tmp_path, ROVER_SDF, BOX.format(f"3 {y} 0.3"))
        red = redness(rover.at_rest()["camera/eye.image"])
        assert red.shape == (48, 64)
        assert red.sum() > 20
        assert red[:, half].sum() == red.sum()


def test_nothing_is_red_without_the_box(rover):
    assert not redness(rover.at_rest()["camera/eye.image"]).any()


def test_a_camera_takes_pictures_at_its_rate(rover):
    pictures = ["camera/eye.image" in outputs for outputs in rover.go(10)]
    # 25 Hz, with steps of 20 ms.
    assert pictures == [False, True] * 5


def test_a_box_in_the_way_stops_a_rover(make, tmp_path):
    rover = in_world(make, tmp_path, ROVER_SDF, BOX.format("1 0 0.3"))
    last = rover.go(150, velocity=[0.5, 0.0])[-1]
    # The chassis reaches 0.25 m ahead, the box begins at 0.8 m.
    assert last["base.position"][0] == pytest.approx(0.55, abs=0.02)


def test_gravity_comes_with_the_world(make, tmp_path):
    text = ROVER_SDF.replace('<model name="rover">', '<model name="rover"><pose>0 0 5 0 0 0</pose>')
    rover = in_world(make, tmp_path, text, "")
    assert rover.go(10)[-1]["base.velocity"][2] == pytest.approx(-5 * 0.2, rel=1e-6)
    moon = in_world(make, tmp_path, text, "", gravity=[0, 0, -1.6])
    assert moon.go(10)[-1]["base.velocity"][2] == pytest.approx(-1.6 * 0.2, rel=1e-6)


def test_things_stand_where_their_models_links_and_shapes_put_them(tmp_path):
    turned = BOX.replace("{} 0 0 0", "1 2 3 0 0 1.5707963267948966").replace(
        'name="c">', 'name="c"><pose>1 0 0 0 0 0</pose>'
    )
    made = read(tmp_path, WORLD.format(turned))
    box = next(thing for thing in made.things if thing.name == "box" and thing.touched)
    np.testing.assert_allclose(box.shape.pose.position, [1, 3, 3.1], atol=1e-12)
    assert made.gravity == (0, 0, -5)


def test_things_are_told_to_viewers_as_boxes_and_cylinders(make, tmp_path):
    pole = """<model name="pole"><static>1</static><pose>2 2 0.5 0 0 0</pose><link name="l"><visual name="v">
      <geometry><cylinder><radius>0.1</radius><length>1</length></cylinder></geometry></visual></link></model>"""
    rover = in_world(make, tmp_path, ROVER_SDF, BOX.format("3 0 0.3") + pole)
    room = {piece["name"]: piece for piece in rover.edit("scene")["room"]}
    assert room["pole"]["shape"] == "cylinder"
    assert room["pole"]["size_m"] == [0.2, 0.2, 1]
    assert room["box"]["size_m"] == pytest.approx([0.4, 1, 0.8])
    assert room["box"]["center_m"] == pytest.approx([3, 0, 0.4])
    assert room["box"]["rgb"] == [1, 0, 0]
    assert room["floor"]["center_m"][2] == pytest.approx(-0.01)


def test_a_model_that_would_move_stands_still_and_is_remarked(make, tmp_path):
    rover = in_world(make, tmp_path, ROVER_SDF, BOX.replace("<static>1</static>", "").format("1 0 0.3"))
    assert "'box' stands still here" in rover.facts["warnings"][0]


def test_included_models_and_meshes_are_built_and_listed_with_their_digests(make, tmp_path):
    (tmp_path / "models" / "rock").mkdir(parents=True)
    (tmp_path / "models" / "rock" / "rock.obj").write_text(TETRAHEDRON_OBJ)
    (tmp_path / "models" / "rock" / "model.sdf").write_text(
        """<sdf version="1.5"><model name="rock"><static>1</static><link name="l"><collision name="c"><geometry><mesh>
        <uri>model://rock/rock.obj</uri><scale>1 1 2</scale></mesh></geometry></collision></link></model></sdf>"""
    )
    include = "<include><uri>model://rock</uri><pose>0.7 -0.3 0 0 0 0</pose></include>"
    rover = in_world(make, tmp_path, ROVER_SDF, include)
    assert sorted(rover.facts["files"]) == ["models/rock/model.sdf", "models/rock/rock.obj", "robot.sdf", "world.sdf"]
    assert all(len(digest) == 64 for digest in rover.facts["files"].values())
    rock = next(piece for piece in rover.facts["room"] if piece["name"] == "rock")
    assert rock["size_m"] == pytest.approx([1, 1, 2])
    assert rover.go(150, velocity=[0.5, 0.0])[-1]["base.position"][0] < 0.6


def test_a_robot_of_collada_meshes_stands_on_them(make, tmp_path):
    (tmp_path / "meshes").mkdir()
    (tmp_path / "meshes" / "tetra.dae").write_text(TETRAHEDRON_DAE)
    shape = "<geometry><mesh><uri>model://pyramid/meshes/tetra.dae</uri></mesh></geometry>"
    robot = make(
        f"""<sdf version="1.6"><model name="pyramid"><pose>0 0 0.1 0 0 0</pose><link name="l">
        <inertial><pose>0.2 0.2 0.2 0 0 0</pose><mass>1</mass>
        <inertia><ixx>0.05</ixx><iyy>0.05</iyy><izz>0.05</izz></inertia></inertial>
        <collision name="c">{shape}</collision><visual name="v">{shape}</visual></link></model></sdf>"""
    )
    assert robot.facts["warnings"] == []
    assert robot.facts["links"][0]["shape"] == {"kind": "box", "center_m": [0.5] * 3, "size_m": [1.0] * 3}
    last = robot.go(100)[-1]
    assert last["base.position"][2] == pytest.approx(0.0, abs=0.02)
    assert last["contacts.force"][0] == pytest.approx(9.81, rel=0.02)
    assert robot.edit("scene")["links"] == robot.facts["links"]


@pytest.mark.parametrize(
    ("things", "words"),
    [
        ("<include><uri>model://gone</uri></include>", "line 5: the model 'model://gone' is not in the experiment"),
        ("<model name='m'><link name='l'><visual name='v'/></link></model>", "line 5: <visual> needs an element"),
        ("<model/>", "line 5: <model> needs the attribute 'name'"),
    ],
)
def test_a_world_that_cannot_be_built_is_refused_with_its_line(tmp_path, things, words):
    with pytest.raises(BadExperiment, match=words):
        read(tmp_path, WORLD.format(things))
