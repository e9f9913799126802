import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pybullet
import pytest

from reafference.errors import BadExperiment, OutOfOrder, SimulatorFailed
from services.body.bullet_body import BulletBody

MODELS = ("mouse_forelimb", "husky_room")

COURSE = Path(__file__).parent / "course.py"
digest_of = runpy.run_path(str(COURSE))["digest_of"]
STEPS = {"mouse_forelimb": 75, "husky_room": 75}


@pytest.fixture
def body():
    made = BulletBody()
    yield made
    made.close()


@pytest.fixture(params=MODELS)
def prepared(request, body, make_plan):
    return body, body.prepare(make_plan(model=request.param))


def at_rest(ports):
    return {port.name: port.resting() for port in ports.inputs}


def test_outputs_are_what_the_ports_promise(prepared, make_step):
    body, ports = prepared
    declared = {port.name: port for port in ports.outputs}
    seen = set()
    for number in range(4):
        outputs = body.advance(make_step(number, **at_rest(ports)))
        seen |= outputs.keys()
        for name, value in outputs.items():
            assert value.shape == declared[name].shape, name
            assert value.dtype.str == declared[name].dtype, name
            assert value.flags.c_contiguous, name
    assert seen == declared.keys()


def test_every_port_has_a_unit_a_description_and_fitting_labels(prepared):
    _, ports = prepared
    for port in (*ports.inputs, *ports.outputs):
        assert port.unit
        assert port.description
        if port.labels:
            assert len(port.labels) == port.shape[0]
        assert port.resting().shape == port.shape
        assert port.resting().dtype.str == port.dtype


def test_only_times_and_pictures_stay_out_of_the_digest(prepared):
    _, ports = prepared
    outside = {port.name for port in ports.outputs if not port.digest}
    assert outside - {"camera/eye.image"} == {"timing.run", "timing.readout"}


def test_times_are_measured(prepared, make_step):
    body, ports = prepared
    outputs = body.advance(make_step(0, **at_rest(ports)))
    assert 0 < int(outputs["timing.run"]) < 10**10
    assert 0 < int(outputs["timing.readout"]) < 10**10


def test_facts_can_travel_as_plain_data(prepared):
    _, ports = prepared
    assert json.loads(json.dumps(ports.facts)) == ports.facts
    assert ports.facts["pybullet"].startswith("3.2")


def test_what_was_returned_is_not_touched_again(prepared, make_step):
    body, ports = prepared
    first = body.advance(make_step(0, **at_rest(ports)))
    kept = {name: value.copy() for name, value in first.items()}
    for number in range(1, 5):
        body.advance(make_step(number, **at_rest(ports)))
    for name, value in first.items():
        np.testing.assert_array_equal(value, kept[name], err_msg=name)


def test_values_at_rest_are_those_before_the_first_step(body, make_plan):
    first = body.prepare(make_plan(model="mouse_forelimb"))
    rest = {port.name: port.resting() for port in first.outputs}
    assert not rest["joints.position"].any()
    assert rest["muscles.length"][0] == pytest.approx(0.005224518, abs=1e-9)
    np.testing.assert_allclose(rest["tip.position"], [0.01140805, -0.08024052, 0.008866182], atol=1e-7)
    np.testing.assert_array_equal(rest["muscles.activation"], np.full(8, 0.05))


@pytest.mark.parametrize("model", MODELS)
def test_equal_plans_give_equal_runs_in_one_process(model):
    assert digest_of(model, STEPS[model]) == digest_of(model, STEPS[model])


@pytest.mark.parametrize("model", MODELS)
def test_another_process_gives_the_same_run_to_the_last_bit(model):
    done = subprocess.run(
        [sys.executable, str(COURSE), model, str(STEPS[model])],
        env={**os.environ, "PYTHONHASHSEED": "77"},
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
    )
    digests = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("digest")]
    assert digests == [digest_of(model, STEPS[model])]


def test_the_digest_notices_another_substep():
    assert digest_of("mouse_forelimb", 5) != digest_of("mouse_forelimb", 5, 0.5)


def test_two_bodies_live_side_by_side(make_plan, make_step):
    alone = digest_of("mouse_forelimb", 10)
    other = BulletBody()
    ports = other.prepare(make_plan(model="husky_room", parameters={"camera": False}))
    other.advance(make_step(0, **at_rest(ports)))
    assert digest_of("mouse_forelimb", 10) == alone
    other.advance(make_step(1, **at_rest(ports)))
    other.close()


def is_open(client):
    return bool(pybullet.getConnectionInfo(physicsClientId=client)["isConnected"])


def open_worlds():
    return {client for client in range(64) if is_open(client)}


def test_prepare_and_close_leave_no_world_behind(make_plan):
    before = open_worlds()
    body = BulletBody()
    for model in MODELS * 2:
        body.prepare(make_plan(model=model, **({} if "mouse" in model else {"parameters": {"camera": False}})))
        assert len(open_worlds() - before) == 1
    body.close()
    body.close()
    assert open_worlds() == before


@pytest.mark.parametrize(("model", "port"), [("mouse_forelimb", "excitation"), ("husky_room", "velocity")])
def test_numbers_that_are_not_finite_are_refused(model, port, body, make_plan, make_step):
    inputs = at_rest(body.prepare(make_plan(model=model)))
    bad = inputs[port].copy()
    bad[1] = np.nan
    with pytest.raises(SimulatorFailed, match=rf"body\.{port} .* in step 3"):
        body.advance(make_step(3, **{**inputs, port: bad}))


def test_progress_is_reported(body, make_plan):
    told = []
    body.prepare(make_plan(model="mouse_forelimb"), lambda task, *args, **kwargs: told.append(task))
    assert told


# --- edits: both bodies understand the same ones ----------------------------------------------------------------

PUSHED = {"mouse_forelimb": ("stick", [0.0, 0.2, 0.0]), "husky_room": ("chassis", [0.0, 800.0, 0.0])}


def silent(task, done=0, total=0, detail=""):
    """A report nobody reads."""


@pytest.fixture
def edited(prepared, make_step):
    """A body that can be moved and edited: `go(n)` gives the outputs of n steps, `edit` the result of an edit."""
    body, ports = prepared

    class Edited:
        number = 0
        model = ports.facts["model"]
        pushed, force_N = PUSHED[model]
        latest = ports
        facts = ports.facts

        def go(self, steps, **inputs):
            taken = []
            for _ in range(steps):
                taken.append(body.advance(make_step(self.number, **{**at_rest(self.latest), **inputs})))
                self.number += 1
            return taken

        def edit(self, what, **arguments):
            changed = body.edit(what, arguments, silent)
            self.latest = changed.ports or self.latest
            return changed.result

    return Edited()


def numbers(taken):
    return np.array([np.concatenate([out["joints.position"], out["links.position"].ravel()]) for out in taken])


def test_a_pushed_body_goes_elsewhere_and_the_same_push_brings_it_there_again(edited):
    def run(pushed):
        edited.edit("reset")
        edited.number = 0
        taken = edited.go(3)
        if pushed:
            edited.edit("push", link=edited.pushed, force_N=edited.force_N, duration_s=0.0705)
        return numbers(taken + edited.go(10))

    alone, first, again = run(False), run(True), run(True)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first[:3], alone[:3])
    assert np.abs(first[4:] - alone[4:]).max() > 1e-4


def test_a_push_tells_until_when_it_lasts_and_is_seen_in_the_scene(edited):
    edited.go(2)
    told = edited.edit("push", link=edited.pushed, force_N=np.array(edited.force_N), duration_s=0.05)
    assert told == {"until_s": pytest.approx(0.09)}
    edited.go(1)
    (push,) = edited.edit("scene")["pushes"]
    assert (push["link"], push["left_s"]) == (edited.pushed, pytest.approx(0.03))
    edited.go(2)
    assert edited.edit("scene")["pushes"] == []


def test_a_scene_is_plain_data_and_says_what_can_be_pushed_and_loaded(edited):
    scene = edited.edit("scene")
    assert json.loads(json.dumps(scene)) == scene
    names = {"model", "links", "muscles", "joints", "room", "display", "loads", "pushable", "loadable", "pushes"}
    assert names <= scene.keys()
    links = [link["name"] for link in scene["links"]]
    assert set(scene["pushable"]) <= set(links)
    assert set(scene["loadable"]) <= {joint["name"] for joint in scene["joints"]}
    assert {joint["link"] for joint in scene["joints"]} <= set(links)
    assert scene["loads"] == dict.fromkeys(scene["loadable"], 0.0)
    for key in ("links", "muscles", "joints", "display", "pushable", "loadable"):
        assert edited.facts[key] == scene[key]


@pytest.mark.parametrize("what", ["reset", "reset_world"])
def test_a_reset_takes_pushes_and_loads_away(edited, what):
    joint = edited.facts["loadable"][0]
    edited.edit("push", link=edited.pushed, force_N=edited.force_N, duration_s=10.0)
    assert edited.edit("load", torque_Nm={joint: 0.002})["loads"][joint] == 0.002
    edited.go(1)
    edited.edit(what)
    scene = edited.edit("scene")
    assert scene["pushes"] == []
    assert not any(scene["loads"].values())


def test_a_reset_body_does_again_what_it_did(edited):
    edited.edit("reset")
    first = numbers(edited.go(5))
    edited.edit("reset")
    np.testing.assert_array_equal(numbers(edited.go(5)), first)


@pytest.mark.parametrize(
    ("what", "arguments", "words"),
    [
        ("pusch", {}, "no edit 'pusch'.*push"),
        ("push", {"force_N": [0, 0, 1], "duration_s": 1.0}, "link: expected a text, found nothing"),
        ("push", {"link": "nobody", "force_N": [0, 0, 1], "duration_s": 1.0}, "the name of a link that moves"),
        ("push", {"link": 3, "force_N": [0, 0, 1], "duration_s": 1.0}, "link: expected a text"),
        ("push", {"link": "stick", "force_N": [0, 0], "duration_s": 1.0}, "a list of 3"),
        ("push", {"link": "stick", "force_N": [0, 0, 1], "duration_s": 1.0, "for": 1}, "the key 'for'"),
        ("load", {"torque_Nm": {"nobody": 1.0}}, "loads on .*'nobody'"),
        ("load", {"torque_Nm": 3.0}, "torque_Nm: expected a table"),
        ("load", {}, "torque_Nm: expected a table, found nothing"),
    ],
)
def test_an_edit_that_makes_no_sense_is_refused_and_changes_nothing(edited, what, arguments, words):
    with pytest.raises(BadExperiment, match=words):
        edited.edit(what, **arguments)
    scene = edited.edit("scene")
    assert scene["pushes"] == []
    assert not any(scene["loads"].values())


def test_looking_at_a_body_leaves_it_as_it_is(edited):
    edited.edit("reset")
    alone = numbers(edited.go(4))
    edited.edit("reset")
    taken = []
    for _ in range(4):
        edited.edit("scene")
        edited.edit("load", torque_Nm={})
        taken += edited.go(1)
    np.testing.assert_array_equal(numbers(taken), alone)


def test_an_edit_before_prepare_is_out_of_order(body):
    with pytest.raises(OutOfOrder):
        body.edit("scene", {}, silent)
