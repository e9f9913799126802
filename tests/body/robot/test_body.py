import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from reafference.errors import BadExperiment

from .conftest import PENDULUM_SDF, PENDULUM_URDF, ROVER_SDF, STEP_NS, Robot

DT_S = STEP_NS / 1e9

ROD = """<sdf version="1.6"><model name="rod"><pose>0 0 2 0 0 0</pose>
  <link name="rod"><pose>0 0 -0.5 0 0 0</pose><inertial><mass>0.8</mass>
    <inertia><ixx>0.07</ixx><iyy>0.07</iyy><izz>0.001</izz></inertia></inertial></link>
  <joint name="pin" type="revolute"><pose>0 0 0.5 0 0 0</pose><parent>world</parent><child>rod</child>
    <axis><xyz>0 1 0</xyz>{}</axis></joint></model></sdf>"""
"""A rod of 0.8 kg whose middle is 0.5 m below its hinge."""
WEIGHT_NM = 0.8 * 9.81 * 0.5
INERTIA = 0.07 + 0.8 * 0.25


def angles(taken):
    return np.array([outputs["joints.position"] for outputs in taken])


def crossings(values):
    """Times at which a curve goes up through 0."""
    below = np.flatnonzero((values[:-1] < 0) & (values[1:] >= 0))
    return DT_S * (below + values[below] / (values[below] - values[below + 1]))


def test_a_rod_swings_with_the_period_of_the_formula(make):
    rod = make(ROD.format(""), substep_ms=0.5)
    rod.edit("push", link="rod", force_N=[0.5, 0, 0], duration_s=0.02)
    times = crossings(angles(rod.go(400))[:, 0])
    assert len(times) >= 4
    np.testing.assert_allclose(np.diff(times), 2 * np.pi * np.sqrt(INERTIA / WEIGHT_NM), rtol=2e-4)


def test_the_same_pendulum_in_sdf_and_urdf_moves_alike(make):
    runs = []
    for text, place in ((PENDULUM_SDF, {}), (PENDULUM_URDF, {"position_m": [0, 0, 3]})):
        robot = make(text, **place)
        robot.edit("push", link="lower", force_N=[5, 0, 0], duration_s=0.1)
        runs.append(robot.go(60))
    np.testing.assert_allclose(angles(runs[0]), angles(runs[1]), atol=1e-9)
    assert np.abs(angles(runs[0])).max() > 0.05


def test_two_rods_swing_in_the_modes_of_their_matrices(pendulum):
    """Small motions of the double pendulum: M a + K q = 0, from the masses and lengths in the file."""
    m1, m2, l1, c1, c2, i1, i2 = 1.2, 0.6, 1.0, 0.5, 0.45, 0.1, 0.04
    mass = np.array(
        [
            [i1 + m1 * c1**2 + i2 + m2 * (l1 + c2) ** 2, i2 + m2 * c2 * (l1 + c2)],
            [i2 + m2 * c2 * (l1 + c2), i2 + m2 * c2**2],
        ]
    )
    stiffness = 9.81 * np.array([[m1 * c1 + m2 * (l1 + c2), m2 * c2], [m2 * c2, m2 * c2]])
    values, modes = np.linalg.eig(np.linalg.solve(mass, stiffness))
    pendulum.edit("push", link="upper", force_N=[0.4, 0, 0], duration_s=0.02)
    q = angles(pendulum.go(400))
    for value, part in zip(values, (np.linalg.inv(modes) @ q.T), strict=True):
        times = crossings(part)
        np.testing.assert_allclose(np.diff(times).mean(), 2 * np.pi / np.sqrt(value), rtol=3e-3)


def test_ports_begin_where_the_file_puts_the_links(pendulum):
    rest = pendulum.at_rest()
    np.testing.assert_allclose(rest["links.position"], [[0, 0, 3], [0, 0, 2.5], [0, 0, 1.6]], atol=1e-12)
    np.testing.assert_allclose(rest["links.orientation"][2], [np.sqrt(0.5), 0, 0, np.sqrt(0.5)], atol=1e-12)
    assert not rest["joints.position"].any()
    declared = {port.name: port for port in pendulum.ports.outputs}
    assert declared["joints.position"].labels == ("shoulder", "elbow")
    assert declared["links.position"].labels == ("mount", "upper", "lower")


def test_outputs_are_what_the_ports_promise(rover):
    declared = {port.name: port for port in rover.ports.outputs}
    seen = set()
    for outputs in rover.go(5):
        seen |= outputs.keys()
        for name, value in outputs.items():
            assert (value.shape, value.dtype.str) == (declared[name].shape, declared[name].dtype), name
    assert seen == declared.keys()
    for port in (*rover.ports.inputs, *rover.ports.outputs):
        assert port.unit
        assert port.description


def test_a_joint_follows_a_position_and_holds_it(pendulum):
    (last,) = pendulum.go(40, command__position=[1.0, -0.5])[-1:]
    np.testing.assert_allclose(last["joints.position"], [1.0, -0.5], atol=1e-3)
    np.testing.assert_allclose(last["joints.velocity"], 0.0, atol=1e-3)
    # It takes this much to hold the rods out there, and the drive says so.
    upper, lower = np.sin(1.0), np.sin(0.5)
    elbow = 0.6 * 9.81 * 0.45 * lower
    shoulder = 9.81 * (1.2 * 0.5 * upper + 0.6 * (upper + 0.45 * lower))
    np.testing.assert_allclose(np.abs(last["joints.effort"]), [shoulder, elbow], rtol=1e-2)


def test_a_position_beyond_the_limits_is_held_at_them(pendulum):
    last = pendulum.go(60, command__position=[3.0, np.nan])[-1]
    assert last["joints.position"][0] == pytest.approx(2.0, abs=1e-3)


def test_a_joint_follows_a_velocity(pendulum):
    before, after = pendulum.go(50, command__velocity=[np.nan, 2.0])[-2:]
    assert after["joints.velocity"][1] == pytest.approx(2.0, abs=1e-3)
    moved = after["joints.position"][1] - before["joints.position"][1]
    assert moved == pytest.approx(2.0 * DT_S, rel=1e-3)


def test_an_effort_turns_a_joint_and_nothing_holds_it(make):
    rod = make(ROD.format(""), gravity=[0.0, 0.0, 0.0])
    taken = rod.go(10, command__effort=[0.27])
    t = DT_S * 10
    assert taken[-1]["joints.velocity"][0] == pytest.approx(0.27 / INERTIA * t, rel=1e-6)
    assert taken[-1]["joints.effort"][0] == pytest.approx(0.27)
    # An effort of 0 lets it go on.
    later = rod.go(10, command__effort=[0.0])[-1]
    assert later["joints.velocity"][0] == pytest.approx(0.27 / INERTIA * t, rel=1e-6)


def test_a_drive_is_no_stronger_than_the_limit_of_its_joint(make):
    limit = "<limit><effort>{}</effort></limit>"
    weak = make(ROD.format(limit.format(0.5 * WEIGHT_NM)), "weak.sdf")
    strong = make(ROD.format(limit.format(1.5 * WEIGHT_NM)), "strong.sdf")
    aim = {"command__position": [np.pi / 2]}
    assert abs(weak.go(150, **aim)[-1]["joints.effort"][0]) <= 0.5 * WEIGHT_NM + 1e-9
    assert np.abs(angles(weak.go(50, **aim))).max() < 1.2
    assert strong.go(150, **aim)[-1]["joints.position"][0] == pytest.approx(np.pi / 2, abs=1e-2)


def test_a_limit_stops_a_joint(make):
    rod = make(ROD.format("<limit><lower>-0.3</lower><upper>0.4</upper></limit>"))
    assert angles(rod.go(150, command__effort=[6.0])).max() == pytest.approx(0.4, abs=0.02)
    assert angles(rod.go(150, command__effort=[-6.0])).min() == pytest.approx(-0.3, abs=0.02)


def test_damping_and_dry_friction_bring_a_joint_to_rest(make):
    loose, damped, rubbing = (
        make(ROD.format(dynamics), f"{number}.sdf")
        for number, dynamics in enumerate(
            ("", "<dynamics><damping>0.5</damping></dynamics>", "<dynamics><friction>1</friction></dynamics>")
        )
    )
    left = []
    for rod in (loose, damped, rubbing):
        rod.edit("push", link="rod", force_N=[30, 0, 0], duration_s=0.1)
        left.append(np.abs(angles(rod.go(300))[-60:]).max())
    assert left[0] > 1.0
    assert left[1] < 0.02
    assert left[2] <= 1.0 / WEIGHT_NM * 1.1


def test_a_feather_with_much_damping_moves_as_slowly_as_the_formula_says(make):
    text = ROD.format("<dynamics><damping>3</damping></dynamics>")
    text = text.replace("0.07", "0.0000007").replace("0.001<", "0.0000007<").replace("0.8", "0.0008")
    rod = make(text, gravity=[0.0, 0.0, 0.0])
    assert rod.go(20, command__effort=[0.6])[-1]["joints.velocity"][0] == pytest.approx(0.2, rel=1e-4)


def test_damped_joints_of_a_free_robot_lose_their_speed_together(make):
    text = ROVER_SDF.replace("</xyz></axis>", "</xyz><dynamics><damping>0.05</damping></dynamics></axis>")
    text = text[: text.index('<plugin name="drive"')] + "</model></sdf>"
    rover = make(text, gravity=[0.0, 0.0, 0.0], position_m=[0, 0, 3])
    rover.go(5, command__effort=[0.05, -0.05])
    taken = rover.go(100, command__effort=[0.0, 0.0])
    # Wheels of 0.005 kg m2 turn one way, the robot, 0.22 kg m2 across, the other; a step of 1 ms each.
    rate = 0.05 * (1 / 0.005 + 2 / 0.22)
    speeds = np.array([outputs["joints.velocity"][0] for outputs in taken])
    assert speeds[0] > 0.2
    assert speeds[20] / speeds[0] == pytest.approx((1 + 0.001 * rate) ** -400, rel=1e-2)


def test_joints_in_another_order_than_their_tree_are_damped_each_by_its_own(make):
    """The elbow stands before the shoulder in the file; only the elbow is damped, and it alone comes to rest."""
    elbow = PENDULUM_SDF[PENDULUM_SDF.index('    <joint name="elbow"') : PENDULUM_SDF.index("  </model>")]
    damped = elbow.replace("</xyz>", "</xyz><dynamics><damping>20</damping></dynamics>")
    text = PENDULUM_SDF.replace(elbow, "").replace('    <joint name="hold"', damped + '    <joint name="hold"')
    robot = make(text)
    robot.edit("push", link="lower", force_N=[8, 0, 0], duration_s=0.1)
    taken = robot.go(200)
    names = robot.facts["topics"]["out"][0]["constants"]["name"]
    last = np.abs(angles(taken)[-80:]).max(axis=0)
    assert last[names.index("elbow")] < 0.1 * last[names.index("shoulder")]


def test_plugins_that_do_nothing_here_are_remarked(make):
    text = PENDULUM_SDF.replace("</model>", '<plugin name="x" filename="libwind.so"/></model>')
    (remark,) = make(text).facts["warnings"]
    assert remark.endswith("the plugin 'libwind.so' is left out")


def test_of_many_remarks_the_first_are_told(make):
    text = PENDULUM_SDF.replace("</model>", '<plugin name="x" filename="libwind.so"/>' * 50 + "</model>")
    warnings = make(text).facts["warnings"]
    assert len(warnings) == 21
    assert warnings[-1] == "and 30 more like these"


def test_a_load_bends_a_spring(make):
    spring = "<dynamics><spring_stiffness>20</spring_stiffness><damping>1</damping></dynamics>"
    rod = make(ROD.format(spring), gravity=[0.0, 0.0, 0.0])
    assert rod.edit("load", torque_Nm={"pin": 2.0})["loads"] == {"pin": 2.0}
    assert rod.go(200)[-1]["joints.position"][0] == pytest.approx(0.1, rel=1e-3)


def test_a_rover_goes_straight_and_turns_as_it_is_told(rover):
    rover.go(20)
    start = rover.go(1)[-1]
    ahead = rover.go(100, velocity=[0.5, 0.0])[-1]
    way = ahead["base.position"] - start["base.position"]
    assert way[0] == pytest.approx(0.5 * 100 * DT_S, rel=0.05)
    assert abs(way[1]) < 1e-3
    np.testing.assert_allclose(ahead["drive.velocity"], [0.5, 0.0], atol=1e-3)
    turned = rover.go(50, velocity=[0.0, 0.8])[-1]
    np.testing.assert_allclose(turned["drive.velocity"], [0.0, 0.8], atol=5e-3)
    w, _, _, z = turned["base.orientation"]
    assert 2 * np.arctan2(z, w) == pytest.approx(0.8, rel=0.05)


def test_a_rover_stands_on_its_wheels_and_feels_its_weight(rover):
    last = rover.go(50)[-1]
    declared = {port.name: port for port in rover.ports.outputs}
    pressed = dict(zip(declared["contacts.force"].labels, last["contacts.force"], strict=True))
    assert all(force > 5 for force in pressed.values())
    assert sum(pressed.values()) == pytest.approx(10 * 9.81, rel=1e-2)
    np.testing.assert_allclose(last["imu/feel.linear_acceleration"], [0, 0, 9.81], atol=1e-2)
    np.testing.assert_allclose(last["imu/feel.angular_velocity"], 0.0, atol=1e-3)


def test_an_inertial_sensor_feels_the_turning(rover):
    rover.go(20)
    last = rover.go(60, velocity=[0.0, 0.6])[-1]
    np.testing.assert_allclose(last["imu/feel.angular_velocity"], [0, 0, 0.6], atol=1e-2)


def test_wheels_of_a_drive_take_no_other_command(rover):
    assert [port.name for port in rover.ports.inputs] == ["velocity"]


@pytest.mark.parametrize("text", [PENDULUM_SDF, PENDULUM_URDF])
def test_a_model_may_stand_elsewhere(make, text):
    robot = make(text, position_m=[1, 2, 5], orientation=[np.sqrt(0.5), 0, 0, np.sqrt(0.5)])
    rest = robot.at_rest()
    np.testing.assert_allclose(rest["base.position"], [1, 2, 5], atol=1e-12)
    np.testing.assert_allclose(rest["links.position"][0], [1, 2, 5], atol=1e-12)
    np.testing.assert_allclose(rest["base.orientation"], [np.sqrt(0.5), 0, 0, np.sqrt(0.5)], atol=1e-12)


def test_a_base_that_is_free_falls_and_a_fixed_one_does_not(make):
    text = ROVER_SDF.replace('<model name="rover">', '<model name="rover"><pose>0 0 5 0 0 0</pose>')
    free, fixed = make(text, base="free"), make(text, base="fixed")
    assert free.go(10)[-1]["base.velocity"][2] == pytest.approx(-9.81 * 10 * DT_S, rel=1e-6)
    assert fixed.go(10)[-1]["base.position"].tolist() == [0, 0, 5]


def test_a_reset_robot_does_again_what_it_did(pendulum):
    runs = []
    for _ in range(2):
        pendulum.edit("push", link="lower", force_N=[3, 0, 0], duration_s=0.05)
        runs.append(angles(pendulum.go(20, command__velocity=[0.5, np.nan])))
        pendulum.edit("reset")
    np.testing.assert_array_equal(runs[0], runs[1])
    np.testing.assert_array_equal(pendulum.at_rest()["joints.position"], 0.0)


def test_a_scene_is_plain_data_for_viewers(rover):
    scene = rover.edit("scene")
    assert json.loads(json.dumps(scene)) == scene
    chassis = scene["links"][0]
    assert chassis == {
        "name": "chassis",
        "shape": {"kind": "box", "center_m": [0, 0, 0], "size_m": [0.5, 0.3, 0.1]},
        "rgb": [1, 0.8, 0],
    }
    assert {link["shape"]["kind"] for link in scene["links"][1:]} == {"cylinder"}
    assert [joint["name"] for joint in scene["joints"]] == ["left_hub", "right_hub"]
    assert scene["pushable"] == ["chassis", "left_wheel", "right_wheel"]
    assert [piece["name"] for piece in scene["room"]] == ["ground"]
    assert json.loads(json.dumps(rover.facts)) == rover.facts


def test_links_that_stand_fast_cannot_be_pushed(pendulum):
    with pytest.raises(BadExperiment, match="'mount', which stands fast"):
        pendulum.edit("push", link="mount", force_N=[0, 0, 1], duration_s=0.1)


def digest_of(folder):
    """Hash over all that a rover does on a fixed course."""
    robot, digest = Robot(folder, {"model": "robot", "file": "robot.sdf"}), hashlib.sha256()
    robot.edit("push", link="chassis", force_N=[0, 20, 0], duration_s=0.1)
    for outputs in robot.go(25, velocity=[0.4, 0.3]):
        for name in sorted(outputs):
            if not name.startswith("timing."):
                digest.update(outputs[name].tobytes())
    robot.body.close()
    return digest.hexdigest()


def test_another_process_gives_the_same_run_to_the_last_bit(tmp_path):
    (tmp_path / "robot.sdf").write_text(ROVER_SDF)
    program = "import sys, pathlib, tests.body.robot.test_body as t; print(t.digest_of(pathlib.Path(sys.argv[1])))"
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONHASHSEED": "77"},
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
    )
    assert done.stdout.split()[-1] == digest_of(tmp_path)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"file": "gone.sdf"}, "body.file: 'gone.sdf' cannot be read"),
        ({"file": "../outside.sdf"}, "is outside the experiment's folder"),
        ({"file": "broken.sdf"}, "broken.sdf, line 2: this is not XML"),
        ({"file": "note.txt"}, "note.txt, line 1: <note> is neither URDF"),
        ({"file": "robot.sdf", "base": "loose"}, "body.base: expected .*'fixed'.*'free'"),
        ({"file": "robot.sdf", "base": "free"}, "the file fastens the robot to the world"),
        ({"file": "robot.sdf", "position_m": [0, 0]}, "body.position_m"),
        ({"file": "robot.sdf", "orientation": [0, 0, 0, 0]}, "body.orientation: expected a quaternion"),
        ({"file": "robot.sdf", "parameters": {"a": 1}}, "body.parameters: expected nothing"),
        ({"file": "robot.sdf", "environment": "gone.sdf"}, "body.environment: 'gone.sdf' cannot be read"),
        ({"file": "robot.sdf", "colour": "red"}, "the key 'colour'"),
        ({"file": "robot.sdf", "substep_ms": 0.3}, "body.substep_ms"),
        ({}, "body.file"),
        ({"file": "muscles.sdf"}, "<muscles>: 'arm.osim' cannot be read"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_sentence(tmp_path, settings, words):
    (tmp_path / "robot.sdf").write_text(PENDULUM_SDF)
    (tmp_path / "broken.sdf").write_text("<sdf>\n</model>")
    (tmp_path / "note.txt").write_text("<note/>")
    muscles = PENDULUM_SDF.replace("<pose>0 0 3", "<muscles>arm.osim</muscles><pose>0 0 3")
    (tmp_path / "muscles.sdf").write_text(muscles)
    with pytest.raises(BadExperiment, match=words):
        Robot(tmp_path, {"model": "robot", **settings})
