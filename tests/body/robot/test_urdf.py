import numpy as np
import pytest

from reafference.errors import BadExperiment
from services.body.models.robot import urdf
from services.body.models.robot.bullet_urdf import to_urdf
from services.body.models.robot.files import Files
from services.body.models.robot.wheels import link_frames

INERTIAL = '<inertial><mass value="1"/><inertia ixx="1" iyy="1" izz="1"/></inertial>'
LINKS = f'<link name="a">{INERTIAL}</link>\n<link name="b">{INERTIAL}</link>\n'


def read(tmp_path, body):
    return urdf.read(f'<robot name="m">{body}</robot>', "m.urdf", Files(tmp_path, {}))


def joint(kind="continuous", inner='<axis xyz="0 0 2"/>', name="j", child="b"):
    return f'<joint name="{name}" type="{kind}"><parent link="a"/><child link="{child}"/>{inner}</joint>'


def test_links_stand_where_their_joints_put_them(tmp_path):
    inner = '<origin xyz="1 2 3" rpy="0 0 1.5707963267948966"/>'
    tip = '<joint name="k" type="fixed"><parent link="b"/><child link="c"/><origin xyz="1 0 0"/></joint>'
    model = read(tmp_path, LINKS + joint("fixed", inner) + '<link name="c"/>' + tip)
    np.testing.assert_allclose(link_frames(model)["c"].position, [1, 3, 3], atol=1e-12)


def test_axes_are_brought_to_unit_length(tmp_path):
    (made,) = read(tmp_path, LINKS + joint()).joints
    np.testing.assert_allclose(made.axis, [0, 0, 1])
    assert made.limits is None


def test_gazebo_elements_give_friction_colour_spring_and_sensors(tmp_path):
    extras = """<gazebo reference="b"><mu1>0.3</mu1><material>Gazebo/Blue</material>
        <sensor name="cam" type="camera">
          <camera><image><width>8</width><height>6</height></image></camera></sensor></gazebo>
      <gazebo reference="j"><springStiffness>4</springStiffness></gazebo>
      <gazebo><plugin name="p" filename="libx.so"><robotNamespace>/r</robotNamespace></plugin></gazebo>"""
    look = '<visual><geometry><box size="1 1 1"/></geometry></visual>'
    links = f'<link name="a">{INERTIAL}</link><link name="b">{INERTIAL}{look}</link>'
    model = read(tmp_path, links + joint() + extras)
    b = model.links[1]
    assert (b.friction, b.visuals[0].rgb) == (0.3, (0, 0, 1))
    assert model.joints[0].stiffness == 4
    assert [(sensor.name, sensor.link, sensor.width_px) for sensor in model.sensors] == [("cam", "b", 8)]
    assert [(made.library, made.parameters) for made in model.plugins] == [("libx.so", {"robotnamespace": "/r"})]


def test_a_colour_may_be_named_once_for_all(tmp_path):
    look = '<visual><geometry><sphere radius="1"/></geometry><material name="sea"/></visual>'
    paint = '<material name="sea"><color rgba="0 0.4 0.8 1"/></material>'
    model = read(tmp_path, paint + f'<link name="a">{look}</link>')
    assert model.links[0].visuals[0].rgb == (0, 0.4, 0.8)


def test_what_is_left_out_is_remarked(tmp_path):
    model = read(tmp_path, LINKS + joint(inner='<mimic joint="k"/>'))
    assert model.remarks == ("m.urdf, line 3: the joint 'j' moves by itself: <mimic> is left out",)


def test_numbers_may_stand_in_an_attribute_as_well(tmp_path):
    model = read(tmp_path, f'<link name="a">{INERTIAL}</link><gazebo reference="a"><mu1 value="0.7"/></gazebo>')
    assert model.links[0].friction == 0.7


def test_a_declaration_may_stand_after_a_blank_line(tmp_path):
    text = '\n\n<?xml version="1.0" encoding="latin-1"?>\n<robot name="m">\n<link/></robot>'
    with pytest.raises(BadExperiment, match="line 5: <link> needs"):
        urdf.read(text, "m.urdf", Files(tmp_path, {}))


def test_no_line_for_pybullet_is_so_long_that_it_would_be_broken(tmp_path):
    many = "".join(
        f'<link name="l{n}"/><joint name="k{n}" type="fixed"><parent link="a"/><child link="l{n}"/></joint>'
        for n in range(50)
    )
    text = to_urdf(read(tmp_path, f'<link name="a">{INERTIAL}</link>' + many), str, {})
    assert max(map(len, text.splitlines())) < 1000


@pytest.mark.parametrize(
    ("body", "line", "words"),
    [
        (LINKS + joint("floating"), 3, "'floating'; a joint must be one of revolute"),
        (LINKS + joint("planar"), 3, "'planar'"),
        (LINKS + joint("revolute"), 3, "'j' is revolute and needs an element <limit>"),
        (LINKS + joint(inner='<axis xyz="0 0 0"/>'), 3, "must point somewhere"),
        (LINKS + joint(inner='<axis xyz="up"/>'), 3, "<axis> must be 3 numbers, not 'up'"),
        (LINKS + joint(child="c"), 3, "the joint 'j' names a link 'c' that there is not"),
        (LINKS + joint(child="a"), 1, "hangs on itself"),
        ('<link name="a"/><link name="b"/>' + joint(), 1, "the link 'b' moves but has no mass"),
        ('<link name="a"><inertial/></link>', 1, "<inertial> needs an element <mass>"),
        ("<link/>", 1, "<link> needs the attribute 'name'"),
    ],
)
def test_what_cannot_be_built_is_refused_with_its_line(tmp_path, body, line, words):
    with pytest.raises(BadExperiment) as caught:
        read(tmp_path, body)
    assert caught.value.text.startswith(f"m.urdf, line {line}: ")
    assert words in caught.value.text


def test_what_is_written_for_pybullet_is_the_same_robot_again(tmp_path):
    origin = '<origin xyz="0.1 0.2 0.3" rpy="0.1 -0.4 0.7"/>'
    model = read(tmp_path, LINKS + joint("prismatic", origin + '<axis xyz="0 1 0"/><limit lower="0" upper="2"/>'))
    again = urdf.read(to_urdf(model, str, {}), "again.urdf", Files(tmp_path, {}))
    (one,), (other,) = model.joints, again.joints
    np.testing.assert_allclose(other.pose.position, one.pose.position, atol=1e-15)
    np.testing.assert_allclose(other.pose.rotation, one.pose.rotation, atol=1e-15)
    assert (other.kind, other.limits) == ("prismatic", (0, 2))
