import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pybullet
import pytest

from reafference.errors import SimulatorFailed
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
