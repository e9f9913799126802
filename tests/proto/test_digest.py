"""reafference.digest: the fingerprint of a run."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reafference.digest import Digest, of_run
from reafference.frames import Port


def port(name, **changes):
    return Port(name=name, shape=(-1,), dtype="<f8", unit="1", **changes)


PORTS = (port("b.y"), port("a.x"), port("a.z"), port("timing.run", digest=False))


def test_the_rule_is_the_one_that_the_protocol_gives():
    digest = Digest([port("b.y"), port("a.x")])
    digest.update("a", 0, {"x": np.array([1.0, 2.0])})
    digest.update("a", 12, {"x": np.array([3.0])})
    digest.update("b", 12, {"y": np.zeros(0)})
    x = hashlib.sha256(b"0:" + np.array([1.0, 2.0]).tobytes() + b"12:" + np.array([3.0]).tobytes()).hexdigest()
    y = hashlib.sha256(b"12:").hexdigest()
    assert digest.hexdigest() == hashlib.sha256(f"a.x={x};b.y={y};".encode()).hexdigest()
    assert of_run({"brain": "22", "body": "11"}) == hashlib.sha256(b"body=11;brain=22;").hexdigest()


@given(st.permutations(["a", "b"]), st.permutations(["x", "z"]), st.permutations(PORTS))
def test_the_order_of_streams_arrays_and_ports_does_not_matter(streams, arrays, ports):
    def of(streams, arrays, ports):
        digest = Digest(ports)
        for step in range(3):
            values = {"a": {name: np.full(2, step) * 1.0 for name in arrays}, "b": {"y": np.ones(step)}}
            for stream in streams:
                digest.update(stream, step, values[stream])
        return digest.hexdigest()

    assert of(streams, arrays, ports) == of(["a", "b"], ["x", "z"], PORTS)


def test_everything_else_matters():
    def of(step=0, stream="a", name="x", value=1.0, ports=PORTS):
        digest = Digest(ports)
        digest.update(stream, step, {name: np.array([value])})
        return digest.hexdigest()

    others = [
        of(step=1),
        of(stream="b", name="y"),
        of(name="z"),
        of(value=-1.0),
        of(value=np.nextafter(1.0, 2.0)),
        of(ports=PORTS[:2]),
    ]
    assert of() not in others
    assert len(set(others)) == len(others)


def test_minus_zero_is_not_zero():
    first, second = Digest(PORTS), Digest(PORTS)
    first.update("a", 0, {"x": np.array([0.0])})
    second.update("a", 0, {"x": np.array([-0.0])})
    assert first.hexdigest() != second.hexdigest()


def test_what_may_differ_between_equal_runs_does_not_count():
    digest = Digest(PORTS)
    before = digest.hexdigest()
    digest.update("timing", 0, {"run": np.array([5.0])})
    digest.update("unknown", 0, {"x": np.array([5.0])})
    assert digest.hexdigest() == before


@pytest.mark.parametrize("array", [np.array(2.5), np.zeros((0, 3)), np.arange(6.0).reshape(2, 3).T, np.array(True)])
def test_arrays_of_any_form_have_a_fingerprint(array):
    plain, same = Digest(PORTS), Digest(PORTS)
    plain.update("a", 0, {"x": array})
    same.update("a", 0, {"x": np.array(array, order="C")})
    assert plain.hexdigest() == same.hexdigest()


def test_a_participant_without_outputs_has_one_too():
    assert Digest([]).hexdigest() == hashlib.sha256(b"").hexdigest()


def test_a_port_that_comes_later_counts_from_then_on_and_one_that_goes_keeps_what_it_has():
    whole, grown = Digest([port("a.x"), port("b.y")]), Digest([port("a.x")])
    for digest in (whole, grown):
        digest.update("a", 0, {"x": np.ones(2)})
    grown.expect([port("b.y"), port("timing.run", digest=False)])
    for digest in (whole, grown):
        digest.update("b", 1, {"y": np.ones(2)})
    assert grown.hexdigest() == whole.hexdigest()
