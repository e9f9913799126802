import numpy as np
import pytest

from reafference.errors import BadExperiment
from services.body.models.robot import osim
from services.body.muscles import Muscles

FOREARM = """<sdf version="1.6"><model name="arm"><muscles>{file}</muscles>
  <link name="humerus"><pose>0 0 1 0 0 0</pose><inertial><mass>1</mass></inertial></link>
  <link name="forearm"><pose>0.15 0 1 0 0 0</pose><inertial><mass>0.5</mass>
    <inertia><ixx>0.001</ixx><iyy>0.004</iyy><izz>0.004</izz></inertia></inertial></link>
  <joint name="hold" type="fixed"><parent>world</parent><child>humerus</child></joint>
  <joint name="elbow" type="revolute"><pose>-0.15 0 0 0 0 0</pose><parent>humerus</parent><child>forearm</child>
    <axis><xyz>0 -1 0</xyz><limit><lower>-1.5</lower><upper>1.5</upper></limit>
      <dynamics><damping>0.05</damping></dynamics></axis></joint>
</model></sdf>"""
"""A forearm of 0.3 m along x, whose elbow at z = 1 m lifts it for positive angles."""

POINT = "<PathPoint name='p{n}'><location>{at}</location>{body}</PathPoint>"


def muscle(name, *points, kind="Millard2012EquilibriumMuscle", more="", tag="<body>{}</body>"):
    path = "".join(POINT.format(n=n, at=at, body=tag.format(body)) for n, (body, at) in enumerate(points))
    return f"""<{kind} name="{name}"><GeometryPath><PathPointSet><objects>{path}</objects></PathPointSet></GeometryPath>
      <max_isometric_force>200</max_isometric_force><optimal_fiber_length>0.15</optimal_fiber_length>
      <tendon_slack_length>0.1</tendon_slack_length>{more}</{kind}>"""


def document(*muscles):
    inner = "\n".join(muscles)
    return f"""<?xml version="1.0"?>
<OpenSimDocument Version="30000"><Model name="m"><ForceSet><objects>
{inner}
</objects></ForceSet></Model></OpenSimDocument>"""


# Straight up from the forearm, 4 cm before the elbow, to a point 0.25 m above it.
FLEXOR = muscle("flexor", ("humerus", "0.04 0 0.25"), ("forearm", "-0.11 0 0"))
EXTENSOR = muscle("extensor", ("humerus", "0.04 0 -0.25"), ("forearm", "-0.11 0 0"))
ARM_M = 0.04


@pytest.fixture
def arm(make, tmp_path):
    (tmp_path / "arm.osim").write_text(document(FLEXOR, EXTENSOR))
    return make(FOREARM.format(file="arm.osim"), gravity=[0.0, 0.0, 0.0])


def test_paths_go_from_link_to_link(arm):
    rest = arm.at_rest()
    np.testing.assert_allclose(rest["muscles.length"], [0.25, 0.25], atol=1e-12)
    np.testing.assert_allclose(rest["muscle_points.position"][:2], [[0.04, 0, 1.25], [0.04, 0, 1]], atol=1e-12)
    np.testing.assert_array_equal(rest["muscles.activation"], 0.05)
    assert arm.facts["muscles"] == [
        {"name": "flexor", "points": [0, 1], "max_isometric_force_N": 200},
        {"name": "extensor", "points": [2, 3], "max_isometric_force_N": 200},
    ]


def test_a_drive_that_holds_the_joint_feels_tension_by_moment_arm(arm):
    last = arm.go(100, excitation=[0.8, 0.2], command__position=[0.0])[-1]
    flexor, extensor = last["muscles.force"]
    assert flexor > 2 * extensor > 0
    assert last["joints.effort"][0] == pytest.approx(-ARM_M * (flexor - extensor), rel=2e-3)


def test_a_held_muscle_has_the_force_of_the_model_at_its_length(arm):
    last = arm.go(200, excitation=[0.8, 0.2], command__position=[0.0])[-1]
    alone = Muscles(
        [each.parameters for each in osim.read(document(FLEXOR, EXTENSOR), "a", ["humerus", "forearm"], [])]
    )
    alone.settle([0.25, 0.25], [0.8, 0.2])
    np.testing.assert_allclose(last["muscles.force"], alone.force, rtol=5e-3)


def test_the_stronger_muscle_moves_the_arm_and_shortens(arm):
    taken = arm.go(60, excitation=[0.6, 0.01])
    assert taken[-1]["joints.position"][0] > 0.2
    assert taken[-1]["muscles.length"][0] < 0.25 < taken[-1]["muscles.length"][1]
    lengths = np.array([outputs["muscles.length"] for outputs in taken])
    assert taken[5]["muscles.velocity"][0] < 0
    np.testing.assert_allclose(lengths[-1], lengths[-2], atol=1e-3)


def test_pulls_on_what_is_free_keep_the_middle_of_all_mass_in_its_place(make, tmp_path):
    """Tension acts on both ends: a robot in free space cannot pull itself away."""
    (tmp_path / "arm.osim").write_text(document(FLEXOR))
    held = '<joint name="hold" type="fixed"><parent>world</parent><child>humerus</child></joint>'
    text = FOREARM.format(file="arm.osim").replace(held, "")
    robot = make(text, gravity=[0.0, 0.0, 0.0], position_m=[0, 0, 5], substep_ms=0.1)
    last = robot.go(10, excitation=[1.0])[-1]
    assert abs(last["joints.position"][0]) > 0.1
    middle = np.average(last["links.position"], axis=0, weights=[1.0, 0.5])
    np.testing.assert_allclose(middle, [0.05, 0, 6], atol=2e-4)


def test_a_reset_arm_does_again_what_it_did(arm):
    runs = []
    for _ in range(2):
        runs.append([outputs["muscles.force"] for outputs in arm.go(20, excitation=[0.7, 0.1])])
        arm.edit("reset")
    np.testing.assert_array_equal(runs[0], runs[1])


def test_muscles_have_the_topics_of_the_platform(arm):
    out = {entry["topic"]: entry for entry in arm.facts["topics"]["out"]}
    into = {entry["topic"]: entry for entry in arm.facts["topics"]["in"]}
    states = out["/gazebo_muscle_interface/*/muscle_states"]
    assert states["constants"] == {"muscles[].name": ["flexor", "extensor"]}
    assert states["fields"]["muscles[].lengthening_speed"] == "muscles.velocity"
    assert states["fields"]["muscles[1].path_points[0]"] == "muscle_points.position.extensor_0"
    declared = {port.name: port for port in arm.ports.outputs}
    assert "extensor_0" in declared["muscle_points.position"].labels
    activation = into["/gazebo_muscle_interface/*/flexor/cmd_activation"]
    assert activation["fields"] == {"data": "excitation.flexor"}


def test_points_may_name_their_links_as_newer_files_do():
    text = document(
        muscle(
            "m", ("humerus", "0 0 0"), ("ground", "0 0 1"), tag="<socket_parent_frame>/bodyset/{}</socket_parent_frame>"
        )
    )
    (made,) = osim.read(text, "m.osim", ["humerus"], [])
    assert [point.link for point in made.path] == ["humerus", "world"]


def test_parameters_are_read_and_wrapping_is_remarked():
    wrap = """<PathWrapSet><objects><PathWrap/></objects></PathWrapSet></GeometryPath>
      <pennation_angle_at_optimal>0.2</pennation_angle_at_optimal><max_contraction_velocity>8</max_contraction_velocity>
      <activation_time_constant>0.02</activation_time_constant>"""
    remarks = []
    text = document(
        muscle("m", ("a", "0 0 0"), ("a", "0 0 1"), kind="Thelen2003Muscle").replace("</GeometryPath>", wrap)
    )
    (made,) = osim.read(text, "m.osim", ["a"], remarks)
    parameters = made.parameters
    assert (parameters.max_isometric_force, parameters.pennation_rad, parameters.activation_tau_s) == (200, 0.2, 0.02)
    assert parameters.max_contraction_velocity == 8
    assert remarks == ["m.osim, line 3: the muscle 'm' goes straight: wrapping is left out"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<sdf/>", "line 1: <sdf> is not an OpenSim model"),
        (document(), "line 1|there are no muscles"),
        (document(muscle("m", ("a", "0 0 0"), ("hand", "0 0 1"))), "line 3: there is no link 'hand'"),
        (document(muscle("m", ("a", "0 0 0"))), "line 3: the muscle 'm' needs two path points or more"),
        (document(muscle("m", ("a", "0 0"), ("a", "0 0 1"))), "line 3: <location> must be 3 numbers"),
        (
            document(FLEXOR.replace(">200<", ">-1<").replace("humerus", "a").replace("forearm", "a")),
            "max_isometric_force: expected",
        ),
        (
            document(*[muscle("m", ("a", "0 0 0"), ("a", "0 0 1"))] * 2),
            "two muscles called 'm'",
        ),
        (
            document(
                muscle("m", ("a", "0 0 0"), ("a", "0 0 1"))
                .replace("PathPoint name='p1'", "MovingPathPoint name='p1'")
                .replace("</body></PathPoint></objects>", "</body></MovingPathPoint></objects>")
            ),
            "<MovingPathPoint> is not built",
        ),
    ],
)
def test_what_cannot_be_built_is_refused_with_its_line(text, words):
    with pytest.raises(BadExperiment, match=words):
        osim.read(text, "m.osim", ["a"], [])
