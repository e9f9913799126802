import numpy as np
import pytest

from reafference.errors import BadExperiment
from reafference.frames import Plan, Step
from services.body.bullet_body import BulletBody
from services.body.models.mouse_forelimb.description import load

MUSCLES = ("Foot1", "Foot2", "Radius1", "Radius2", "Humerus1", "Humerus2", "Humerus3", "Humerus4")
HINGES = ("shoulder_yaw", "shoulder_pitch", "elbow", "wrist", "stick_lateral", "stick_sagittal")


@pytest.fixture
def forelimb(make_plan):
    body = BulletBody()
    ports = body.prepare(make_plan(model="mouse_forelimb"))
    yield body, ports
    body.close()


def test_muscles_and_hinges_come_in_the_published_order(forelimb):
    _, ports = forelimb
    inputs = {port.name: port for port in ports.inputs}
    assert inputs["excitation"].labels == MUSCLES
    assert inputs["effort"].labels == HINGES
    np.testing.assert_array_equal(inputs["effort"].resting(), [0, 0, 0, 0, -0.001, 0])
    outputs = {port.name: port for port in ports.outputs}
    assert outputs["muscles.force"].labels == MUSCLES
    assert outputs["joints.position"].labels == HINGES


def test_the_scripted_run_pushes_the_stick_forward_and_lets_go(forelimb, make_step, script):
    body, ports = forelimb
    effort = ports.inputs[1].resting()
    tip_y = [-0.0802405]
    for number in range(75):
        outputs = body.advance(make_step(number, excitation=script(number * 0.02 + 1e-9), effort=effort))
        tip_y.append(outputs["tip.position"][1])
    assert tip_y[25] == pytest.approx(-0.0763, abs=2e-4)
    assert tip_y[50] == pytest.approx(-0.0839, abs=2e-4)
    assert tip_y[75] > tip_y[50] + 0.002


def test_what_is_read_belongs_together(forelimb, make_step, script):
    body, ports = forelimb
    effort = ports.inputs[1].resting()
    labels = {port.name: port.labels for port in ports.outputs}
    taken = [body.advance(make_step(number, excitation=script(0.6), effort=effort)) for number in range(20)]
    before, outputs = taken[-2:]
    points, muscles = outputs["muscle_points.position"], ports.facts["muscles"]
    lengths = [np.linalg.norm(np.diff(points[m["points"]], axis=0), axis=1).sum() for m in muscles]
    np.testing.assert_allclose(outputs["muscles.length"], lengths, rtol=1e-12)
    stick = labels["links.position"].index("stick")
    np.testing.assert_allclose(outputs["links.position"][stick], outputs["tip.position"], atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(outputs["links.orientation"], axis=1), 1.0)
    np.testing.assert_array_equal(outputs["muscles.excitation"], script(0.6))
    assert (outputs["muscles.fiber_length"] < outputs["muscles.length"]).all()
    assert outputs["grip.error"] < 1e-6
    # Lengthening speed is the rate of the length: compared over one slow step.
    rate = (outputs["muscles.length"] - before["muscles.length"]) / 0.02
    np.testing.assert_allclose(outputs["muscles.velocity"], rate, atol=0.02)


def test_effort_replaces_the_constant_load(forelimb, make_step):
    body, _ = forelimb
    push = np.array([0, 0, 0, 0, 0.005, 0.0])
    for number in range(10):
        outputs = body.advance(make_step(number, excitation=np.zeros(8), effort=push))
    lateral = HINGES.index("stick_lateral")
    assert outputs["joints.position"][lateral] > 0.005


def test_a_passive_limb_has_no_muscles(make_plan, make_step):
    body = BulletBody()
    ports = body.prepare(make_plan(model="mouse_forelimb", parameters={"muscles": False}))
    assert ports.inputs[0].shape == (0,)
    outputs = body.advance(make_step(0, **{port.name: port.resting() for port in ports.inputs}))
    body.close()
    assert outputs["muscles.force"].shape == (0,)
    assert np.abs(outputs["joints.position"]).max() > 0


def test_viewers_get_shapes_points_and_a_frame(forelimb):
    _, ports = forelimb
    facts = ports.facts
    shapes = {link["name"]: link["shape"] for link in facts["links"]}
    assert shapes["humerus"]["kind"] == "capsule"
    assert shapes["stick_gimbal"] is None
    assert facts["counts"] == {"links": 8, "joints": 6, "muscles": 8, "path_points": 29}
    assert [i for muscle in facts["muscles"] for i in muscle["points"]] == list(range(29))
    assert 0.01 < facts["display"]["extent_m"] < 0.2
    forces = {muscle["name"]: muscle["max_isometric_force_N"] for muscle in facts["muscles"]}
    assert forces == {muscle.name: muscle.max_isometric_force for muscle in load().muscle}
    assert [joint["name"] for joint in facts["joints"]] == list(HINGES)
    assert facts["joints"][2]["limits_rad"] == [-1.0, 1.046]
    assert facts["room"] == []


# --- pushes and loads ---------------------------------------------------------------------------------------

MS = 1_000_000


class Moved:
    """A forelimb of its own, moved in steps of so many ms; each holds its inputs for one of them."""

    def __init__(self, step_ms, **parameters):
        self.step_ns, self.number = step_ms * MS, 0
        self.body = BulletBody()
        settings = {"model": "mouse_forelimb", "parameters": parameters}
        ports = self.body.prepare(Plan(run="r", name="body", seed=1, dt_ns=self.step_ns, folder=".", settings=settings))
        rest = {port.name: port.resting() for port in (*ports.inputs, *ports.outputs)}
        self.out, self.effort, self.excitation = rest, rest["effort"], np.full_like(rest["excitation"], 0.3)

    def go(self, steps=1, effort=None):
        for _ in range(steps):
            inputs = {"excitation": self.excitation, "effort": self.effort if effort is None else effort}
            t_ns = self.number * self.step_ns
            self.out = self.body.advance(Step(number=self.number, t_ns=t_ns, dt_ns=self.step_ns, inputs=inputs))
            self.number += 1
        return self.out

    def edit(self, what, **arguments):
        return self.body.edit(what, arguments, lambda *args, **kwargs: None).result


@pytest.fixture
def moved():
    made = []

    def make(step_ms, **parameters):
        made.append(Moved(step_ms, **parameters))
        return made[-1]

    yield make
    for one in made:
        one.body.close()


def turned(quaternion, vector):
    w, axis = quaternion[0], np.array(quaternion[1:])
    return vector + 2 * np.cross(axis, np.cross(axis, vector) + w * np.array(vector))


def torques_of(limb, link, at, force):
    """From the streams and the facts alone: axis . ((p - anchor) x F) for every hinge that carries the link."""
    description = load()
    place = {data.name: n for n, data in enumerate(description.link)}
    where, turn = limb.out["links.position"], limb.out["links.orientation"]

    def world(name, vector):
        return where[place[name]] + turned(turn[place[name]], vector)

    point, torques = world(link, at), np.zeros(6)
    hinges = {hinge.child: (n, hinge) for n, hinge in enumerate(description.hinge)}
    while link in hinges:
        n, hinge = hinges[link]
        axis = turned(turn[place[link]], hinge.axis)
        torques[n] = axis @ np.cross(point - world(link, hinge.anchor_in_child_m), force)
        link = hinge.parent
    return torques


@pytest.mark.parametrize("link", ["forearm", "foot", "stick"])
def test_a_push_is_the_torque_of_its_force_on_every_hinge_that_carries_the_link(moved, link):
    force, at = np.array([0.1, -0.15, 0.12]), np.array([0.002, 0.001, -0.001])
    pushed, by_hand = moved(1), moved(1)
    pushed.edit("push", link=link, force_N=force, at_m=at, duration_s=0.04)
    for n in range(60):
        effort = by_hand.effort + (torques_of(by_hand, link, at, force) if n < 40 else 0.0)
        by_hand.go(effort=effort)
        pushed.go()
    np.testing.assert_allclose(pushed.out["joints.position"], by_hand.out["joints.position"], atol=1e-9)
    alone = moved(1)
    assert np.abs(alone.go(60)["joints.position"] - pushed.out["joints.position"]).max() > 0.003


def test_a_push_does_not_depend_on_the_length_of_the_steps(moved):
    ends = []
    for step_ms in (1, 5, 20):
        limb = moved(step_ms)
        limb.go(20 // step_ms)
        limb.edit("push", link="foot", force_N=[0.1, 0.1, 0.2], duration_s=0.0334)
        ends.append(limb.go(60 // step_ms)["joints.position"])
    np.testing.assert_array_equal(ends[0], ends[1])
    np.testing.assert_array_equal(ends[0], ends[2])


def test_a_load_is_added_to_the_effort_that_comes_in(moved):
    loaded, by_hand = moved(20), moved(20)
    loaded.edit("load", torque_Nm={"stick_lateral": 0.004, "stick_sagittal": -0.002})
    there = by_hand.effort + np.array([0, 0, 0, 0, 0.004, -0.002])
    np.testing.assert_array_equal(loaded.go(5)["joints.position"], by_hand.go(5, there)["joints.position"])
    loaded.edit("load", torque_Nm={"stick_lateral": 0.0})
    there = by_hand.effort + np.array([0, 0, 0, 0, 0, -0.002])
    np.testing.assert_array_equal(loaded.go(5)["joints.effort"], by_hand.go(5, there)["joints.effort"])


def test_a_load_that_holds_against_a_push_keeps_the_stick_where_it_was(moved):
    force = np.array([0.0, -0.05, 0.0])
    alone, held, pushed = moved(1), moved(1), moved(1)
    torques = torques_of(alone, "stick", np.zeros(3), force)
    for limb in (held, pushed):
        limb.edit("push", link="stick", force_N=force, at_m=[0, 0, 0], duration_s=0.02)
    held.edit("load", torque_Nm={"stick_lateral": -torques[4], "stick_sagittal": -torques[5]})
    ends = {name: limb.go(20)["tip.position"] for name, limb in (("alone", alone), ("held", held), ("pushed", pushed))}
    assert np.linalg.norm(ends["pushed"] - ends["alone"]) > 20 * np.linalg.norm(ends["held"] - ends["alone"])


def test_only_the_joystick_bears_loads_and_what_stands_fast_is_not_pushed(moved):
    limb = moved(20)
    with pytest.raises(
        BadExperiment, match=r"loads on stick_lateral, stick_sagittal.*'elbow': no solenoid.*body\.effort"
    ):
        limb.edit("load", torque_Nm={"elbow": 0.001})
    with pytest.raises(BadExperiment, match="'torso', which stands fast"):
        limb.edit("push", link="torso", force_N=[0, 0, 1], duration_s=0.1)


@pytest.mark.parametrize("direction", np.eye(3).tolist() + (-np.eye(3)).tolist())
def test_the_hardest_push_and_the_largest_load_leave_finite_numbers(moved, direction):
    limb = moved(20)
    most = limb.edit("scene")
    limb.edit("push", link="stick", force_N=[most["most_force_N"] * d for d in direction], duration_s=0.5)
    limb.edit("load", torque_Nm=dict.fromkeys(most["loadable"], most["most_torque_Nm"]))
    for _ in range(50):
        out = limb.go()
        assert all(np.isfinite(value).all() for value in out.values())
