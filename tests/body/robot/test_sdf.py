import numpy as np
import pytest

from reafference.errors import BadExperiment
from services.body.models.robot import sdf
from services.body.models.robot.files import Files
from services.body.models.robot.wheels import link_frames

HALF_PI = "1.5707963267948966"


def read(tmp_path, body, version="1.6"):
    text = f'<sdf version="{version}"><model name="m">{body}</model></sdf>'
    return sdf.read(text, "m.sdf", Files(tmp_path, {}))


def link(name, pose="0 0 0 0 0 0", inner="", attributes=""):
    return f'<link name="{name}"><pose {attributes}>{pose}</pose>{inner}</link>'


def joint(name="j", kind="revolute", pose="0 0 0 0 0 0", parent="a", child="b", axis="<xyz>0 0 1</xyz>", more=""):
    return (
        f'<joint name="{name}" type="{kind}"><pose>{pose}</pose><parent>{parent}</parent><child>{child}</child>'
        f"<axis>{axis}{more}</axis></joint>"
    )


def test_a_child_stands_in_the_axes_of_its_parent(tmp_path):
    model = read(tmp_path, link("a", f"1 2 3 0 0 {HALF_PI}") + link("b", "1 3 3 0 0 0") + joint())
    (made,) = model.joints
    # b is 1 m along the world's y from a, which is a's own x; a's x is the world's y, so that b is turned back.
    np.testing.assert_allclose(made.pose.position, [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(made.pose.rotation, [[0, 1, 0], [-1, 0, 0], [0, 0, 1]], atol=1e-12)
    np.testing.assert_allclose(model.root_pose.position, [1, 2, 3])


def test_a_joint_stands_in_the_axes_of_its_child(tmp_path):
    (made,) = read(tmp_path, link("a") + link("b", f"0 0 1 0 {HALF_PI} 0") + joint(pose="0 0 -0.25 0 0 0")).joints
    np.testing.assert_allclose(made.anchor, [0, 0, -0.25])
    np.testing.assert_allclose(made.axis, [0, 0, 1], atol=1e-12)


@pytest.mark.parametrize(
    ("version", "pose", "more", "axis"),
    [
        # The child is turned by 90 degrees about x: the model's z is the child's y.
        ("1.4", "0 0 0 0 0 0", "", [0, 1, 0]),
        ("1.5", "0 0 0 0 0 0", "", [0, 0, 1]),
        ("1.6", "0 0 0 0 0 0", "<use_parent_model_frame>1</use_parent_model_frame>", [0, 1, 0]),
        # The joint is turned by 90 degrees about the child's y: its z is the child's x.
        ("1.6", f"0 0 0 0 {HALF_PI} 0", "", [1, 0, 0]),
        ("1.7", f"0 0 0 0 {HALF_PI} 0", "", [1, 0, 0]),
    ],
)
def test_an_axis_is_in_the_frame_that_its_version_says(tmp_path, version, pose, more, axis):
    body = link("a") + link("b", f"0 0 0 {HALF_PI} 0 0") + joint(pose=pose, more=more)
    (made,) = read(tmp_path, body, version).joints
    np.testing.assert_allclose(made.axis, axis, atol=1e-12)


def test_an_axis_may_say_in_which_frame_it_is(tmp_path):
    turned = joint(axis='<xyz expressed_in="__model__">0 0 1</xyz>')
    (made,) = read(tmp_path, link("a") + link("b", f"0 0 0 {HALF_PI} 0 0") + turned, "1.7").joints
    np.testing.assert_allclose(made.axis, [0, 1, 0], atol=1e-12)


def test_poses_relative_to_links_joints_and_frames_add_up(tmp_path):
    body = (
        link("a", f"1 0 0 0 0 {HALF_PI}")
        + '<frame name="f" attached_to="a"><pose>0 0 2 0 0 0</pose></frame>'
        + link("b", "1 0 0 0 0 0", attributes='relative_to="f"')
        + joint()
        + link("c", "0 0 0.5 0 0 0", attributes='relative_to="j"')
        + joint("k", parent="f", child="c")
    )
    model = read(tmp_path, body, "1.7")
    frames = link_frames(model)
    np.testing.assert_allclose(frames["b"].position, [1, 1, 2], atol=1e-12)
    np.testing.assert_allclose(frames["c"].position, [1, 1, 2.5], atol=1e-12)
    assert [made.parent for made in model.joints] == ["a", "a"]


def test_a_link_of_which_all_is_given_keeps_all(tmp_path):
    inner = """<inertial><pose>0 0 0.1 0 0 0</pose><mass>2.5</mass>
      <inertia><ixx>1</ixx><iyy>2</iyy><izz>2.5</izz><ixy>0.1</ixy><ixz>0.2</ixz><iyz>0.3</iyz></inertia></inertial>
      <collision name="c"><pose>1 0 0 0 0 0</pose><geometry><sphere><radius>0.2</radius></sphere></geometry>
        <surface><friction><ode><mu>0.4</mu></ode></friction></surface></collision>
      <visual name="v"><geometry><cylinder><radius>0.1</radius><length>0.3</length></cylinder></geometry>
        <material><script><name>Gazebo/Red</name></script></material></visual>"""
    (made,) = read(tmp_path, link("a", inner=inner)).links
    assert (made.mass_kg, made.inertia_kgm2, made.friction) == (2.5, (1, 2, 2.5, 0.1, 0.2, 0.3), 0.4)
    assert made.center.position.tolist() == [0, 0, 0.1]
    assert [(shape.kind, shape.size) for shape in made.collisions] == [("sphere", (0.2,))]
    assert made.collisions[0].pose.position.tolist() == [1, 0, 0]
    assert [(shape.kind, shape.size, shape.rgb) for shape in made.visuals] == [("cylinder", (0.1, 0.3), (1, 0, 0))]


def test_limits_and_dynamics_of_a_joint(tmp_path):
    more = """<limit><lower>-1</lower><upper>1e16</upper><effort>5</effort><velocity>-1</velocity></limit>
      <dynamics><damping>0.2</damping><friction>0.1</friction><spring_stiffness>3</spring_stiffness>
      <spring_reference>0.5</spring_reference></dynamics>"""
    (made,) = read(tmp_path, link("a") + link("b") + joint(more=more)).joints
    assert made.limits == (-1, 1e9)
    assert (made.effort, made.speed) == (5, 0)
    assert (made.damping, made.friction, made.stiffness, made.reference) == (0.2, 0.1, 3, 0.5)


@pytest.mark.parametrize("limit", ["", "<limit><lower>-1e16</lower><upper>1e16</upper></limit>"])
def test_a_joint_without_limits_has_none(tmp_path, limit):
    assert read(tmp_path, link("a") + link("b") + joint(more=limit)).joints[0].limits is None


def test_a_nested_model_brings_its_parts_under_its_name(tmp_path):
    hand = f'<model name="hand"><pose>0 0 1 0 0 0</pose>{link("a")}{link("b", "0 0 0.2 0 0 0")}{joint()}</model>'
    model = read(tmp_path, link("arm") + hand + joint("wrist", parent="arm", child="hand::a"))
    assert [made.name for made in model.links] == ["arm", "hand::a", "hand::b"]
    assert [made.name for made in model.joints] == ["wrist", "hand::j"]
    np.testing.assert_allclose(link_frames(model)["hand::b"].position, [0, 0, 1.2])


@pytest.mark.parametrize("place", ["claw", "models/claw", "robot/claw"])
def test_an_included_model_is_found_by_the_name_of_its_folder(tmp_path, place):
    folder = tmp_path / place
    folder.mkdir(parents=True)
    (folder / "model.config").write_text('<model><name>Claw</name><sdf version="1.5">claw.sdf</sdf></model>')
    claw = f'<sdf version="1.5"><model name="claw"><pose>9 9 9 0 0 0</pose>{link("tip", "0 0 0.1 0 0 0")}</model></sdf>'
    (folder / "claw.sdf").write_text(claw)
    include = "<include><uri>model://claw</uri><name>left</name><pose>0 1 0 0 0 0</pose></include>"
    text = f'<sdf version="1.6"><model name="m">{link("a")}{include}{joint(child="left::tip")}</model></sdf>'
    files = Files(tmp_path, {})
    model = sdf.read(text, "robot/m.sdf", files)
    np.testing.assert_allclose(link_frames(model)["left::tip"].position, [0, 1, 0.1])
    assert sorted(files.digests) == [f"{place}/claw.sdf", f"{place}/model.config"]


def test_a_joint_with_the_world_holds_the_robot(tmp_path):
    model = read(tmp_path, link("a", "0 0 1 0 0 0") + joint(kind="fixed", parent="world", child="a"))
    assert model.root == "world"
    np.testing.assert_allclose(model.joints[0].pose.position, [0, 0, 1])


def test_a_joint_may_name_its_links_with_the_model(tmp_path):
    model = read(tmp_path, link("a") + link("b", "0 0 1 0 0 0") + joint(parent="m::a", child="m::b"))
    assert [(made.parent, made.child) for made in model.joints] == [("a", "b")]


def test_links_of_a_static_model_need_no_joints(tmp_path):
    model = read(tmp_path, "<static>true</static>" + link("a") + link("b"))
    assert {made.kind for made in model.joints} == {"fixed"}
    assert {made.child for made in model.joints} == {"a", "b"}


def test_what_is_left_out_is_remarked_with_its_line(tmp_path):
    inner = """
      <visual name="v"><geometry><mesh><uri>model://m/meshes/a.3ds</uri></mesh></geometry></visual>
      <sensor name="s" type="sonar"/>"""
    (tmp_path / "m" / "meshes").mkdir(parents=True)
    (tmp_path / "m" / "meshes" / "a.3ds").write_text("3ds")
    model = read(tmp_path, link("a", inner=inner))
    assert model.remarks == (
        "m.sdf, line 2: a mesh is left out: 'model://m/meshes/a.3ds' is not OBJ, STL or COLLADA",
        "m.sdf, line 3: the sensor 's' of type 'sonar' is left out",
    )


A_B = link("a") + "\n" + link("b") + "\n"


@pytest.mark.parametrize(
    ("body", "line", "words"),
    [
        ("", 1, "the model 'm' has no link"),
        (A_B + joint(kind="ball"), 3, "'j' is of type 'ball'; a joint must be one of revolute"),
        (A_B + joint(kind="universal"), 3, "'universal'"),
        (A_B, 2, "no joint holds 'a' and 'b' together"),
        (A_B + joint(child="nobody"), 3, "no link 'nobody'"),
        (A_B + joint(axis=""), 3, "<axis> needs an element <xyz>"),
        (A_B + joint(axis="<xyz>0 0 0</xyz>"), 3, "must point somewhere"),
        (A_B + joint(axis="<xyz>0 0 up</xyz>"), 3, "<xyz> must be 3 numbers, not '0 0 up'"),
        (A_B + joint(axis="<xyz>0 nan 1</xyz>"), 3, "<xyz> must be 3 numbers"),
        (A_B + joint() + "\n" + joint("k"), 4, "the link 'b' hangs on two joints, 'j' and 'k'"),
        (A_B + joint() + joint("k", parent="b", child="a"), 1, "the joints form a ring"),
        (A_B + joint() + "\n" + link("a"), 4, "two links called 'a'"),
        (link("a", "1 2 3"), 1, "<pose> must be 6 numbers, not '1 2 3'"),
        (link("a", inner="\n<inertial><mass>-1</mass></inertial>"), 1, "the mass of the link 'a' is -1 kg"),
        (
            link("a") + link("b", inner="<inertial><mass>0</mass></inertial>") + joint(),
            1,
            "'b' moves but has no mass",
        ),
        (
            link("a", inner="<inertial><inertia><ixx>1</ixx><iyy>1</iyy><izz>1</izz><ixy>3</ixy></inertia></inertial>"),
            1,
            "moments of inertia of the link 'a' must be above 0",
        ),
        (
            link("a", inner="\n<visual name='v'><geometry><box><size>1 0 1</size></box></geometry></visual>"),
            2,
            "sizes of a box must be above 0",
        ),
        (A_B + joint(more="<limit><lower>1</lower><upper>0</upper></limit>"), 3, "lower limit 1 is above"),
        (
            link("a") + "<include><uri>model://gone</uri></include>",
            1,
            "'model://gone' is not in the experiment's folder",
        ),
        (link("a", inner="<visual name='v'/>"), 1, "<visual> needs an element <geometry>"),
    ],
)
def test_what_cannot_be_built_is_refused_with_its_line(tmp_path, body, line, words):
    with pytest.raises(BadExperiment) as caught:
        read(tmp_path, body)
    assert caught.value.text.startswith(f"m.sdf, line {line}: ")
    assert words in caught.value.text
    assert caught.value.detail == {"file": "m.sdf", "line": line}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('<sdf version="1.3"><model name="m"/></sdf>', "line 1: SDF 1.3 is not read"),
        ("<sdf><model name='m'/></sdf>", "SDF without a version is not read"),
        ('<sdf version="1.6"/>', "there must be one <model>"),
        ('<sdf version="1.6"><model name="m"/><model name="n"/></sdf>', "one <model> in the file of a robot, not 2"),
        ("<robot/>", "<robot> is not SDF"),
        ('<sdf version="1.6">\n<model name="m"></sdf>', "line 2: this is not XML: mismatched tag"),
        ("", "line 1: this is not XML: no element found"),
        ('<!DOCTYPE sdf [<!ENTITY a "b">]>\n<sdf/>', "line 1: take out the <!DOCTYPE>"),
        ('<sdf version="1.6" xmlns:xacro="x">\n<xacro:macro/></sdf>', "line 2: <xacro:macro> is xacro"),
        ("<a>" * 300, "nested more than 200 deep"),
    ],
)
def test_a_file_that_is_no_robot_is_refused(tmp_path, text, words):
    with pytest.raises(BadExperiment) as caught:
        sdf.read(text, "m.sdf", Files(tmp_path, {}))
    assert words in caught.value.text


def test_an_inertia_that_no_solid_body_has_is_remarked(tmp_path):
    inner = "<inertial><inertia><ixx>1</ixx><iyy>0.1</iyy><izz>0.1</izz></inertia></inertial>"
    (remark,) = read(tmp_path, link("a", inner=inner)).remarks
    assert remark.startswith("m.sdf, line 1: the inertia of the link 'a' is that of no solid body")


def test_models_that_include_each_other_are_refused(tmp_path):
    for one, other in (("x", "y"), ("y", "x")):
        (tmp_path / one).mkdir()
        include = f"<include><uri>model://{other}</uri></include>"
        text = f'<sdf version="1.6"><model name="{one}">{link("a")}{include}</model></sdf>'
        (tmp_path / one / "model.sdf").write_text(text)
    with pytest.raises(BadExperiment, match="nested more than 20 deep"):
        read(tmp_path, "<include><uri>model://x</uri></include>")


def test_poses_that_are_relative_to_each_other_are_refused(tmp_path):
    body = link("a", attributes='relative_to="b"') + link("b", attributes='relative_to="a"') + joint()
    with pytest.raises(BadExperiment, match="relative to each other"):
        read(tmp_path, body, "1.7")
