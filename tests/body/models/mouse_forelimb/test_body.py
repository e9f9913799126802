import numpy as np
import pytest

from services.body.bullet_body import BulletBody

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
