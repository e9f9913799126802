"""A kernel that belongs to its callers, and looking into one that does not."""

import json

import numpy as np
import pytest

from reafference.errors import BadExperiment, OutOfOrder
from reafference.frames import Step

SCRIPT = """
    import nest

    def build():
        a = nest.Create("iaf_psc_alpha", 30, {"I_e": 450.0})
        nest.Connect(a, a, {"rule": "fixed_indegree", "indegree": 5}, {"weight": 20.0})
        return {"A": a}
"""
SETTINGS = {
    "sources": {"drive": {"kind": "poisson", "targets": ["A"], "weight": 30.0, "rate_hz": 5000.0}},
    "sinks": {"spikes": {"kind": "spike_recorder", "sources": ["A"]}},
}
LOOKS = (
    ("nest_names", {}),
    ("nest_call", {"name": "GetKernelStatus"}),
    ("nest_call", {"name": "GetStatus", "args": "[[1, 2, 3]]"}),
    ("nest_call", {"name": "GetNodes"}),
    ("nest_call", {"name": "GetConnections"}),
    ("nest_call", {"name": "GetConnections", "kwargs": '{"source": [1], "target": [1, 2, 3]}'}),
    ("nest_call", {"name": "GetDefaults", "args": '["iaf_psc_alpha"]'}),
    ("nest_call", {"name": "GetLocalNodeCollection", "args": "[[1, 2]]"}),
    ("nest_call", {"name": "node_models"}),
    ("nest_call", {"name": "Simulate", "kwargs": '{"inspect": "getdoc"}'}),
)
CHANGES = (
    "ResetKernel",
    "Create",
    "Connect",
    "Disconnect",
    "SetStatus",
    "SetDefaults",
    "SetKernelStatus",
    "CopyModel",
    "Simulate",
    "Prepare",
    "Run",
    "Cleanup",
    "Install",
    "set",
    "EnableStructuralPlasticity",
    "PrintNodes",
    "DumpLayerNodes",
    "message",
    "set_verbosity",
    "SyncProcesses",
)


@pytest.fixture
def ask(bench, quiet):
    """The answer of the bench's brain, as what its JSON says."""
    return lambda what, **arguments: json.loads(bytes(bench.brain.edit(what, arguments, quiet).result["json"]))


@pytest.fixture
def refusal(ask):
    """The error with which it is refused."""

    def refused(what, **arguments):
        with pytest.raises(BadExperiment) as caught:
            ask(what, **arguments)
        return caught.value

    return refused


def test_a_free_kernel_does_what_its_callers_say(bench, ask):
    bench.prepare({"model": "free"})
    assert "Simulate" in ask("nest_names")
    assert ask("nest_call", name="Create", args='["iaf_psc_alpha", 3]', kwargs='{"params": {"I_e": 400.0}}') == [
        1,
        2,
        3,
    ]
    ask("nest_call", name="Connect", args="[[1], [2, 3]]")
    ask("nest_call", name="Simulate", args="[30.0]")
    assert ask("nest_call", name="biological_time") == 30.0
    assert ask("nest_call", name="GetConnections", args="[[1]]")["target"] == [2, 3]
    assert ask("nest_call", name="GetKernelStatus", args='["prepared"]') is False
    ask("nest_call", name="ResetKernel")
    assert ask("nest_call", name="GetKernelStatus", args='["network_size"]') == 0


def test_its_threads_survive_a_reset(bench, ask):
    bench.prepare({"model": "free"}, threads=2)
    assert ask("nest_call", name="local_num_threads") == 2
    ask("nest_call", name="ResetKernel")
    assert ask("nest_call", name="local_num_threads") == 2


def test_it_makes_no_steps_and_has_no_other_edits(bench, refusal):
    bench.prepare({"model": "free"})
    with pytest.raises(OutOfOrder, match="makes no steps"):
        bench.brain.advance(Step(number=0, t_ns=0, dt_ns=20_000_000, inputs={}))
    assert "belongs to its callers" in refusal("silence", population="A").text


def test_its_errors_name_the_message_and_the_line(bench, refusal):
    bench.prepare({"model": "free", "parameters": {"exec": True}})
    error = refusal("nest_call", name="Create", args='["nonesuch"]')
    message = "UnknownModelName (NESTError) at line 1: nonesuch is not a known model name."
    assert error.detail == {"message": message, "status": 400, "lineNumber": 1}
    assert refusal("nest_call", name="__class__").detail["status"] == 400
    assert refusal("nest_exec", source="x = 1\n\ny = z").detail["lineNumber"] == 3
    assert refusal("nest_exec", source="import os\n\nos.getpid()").detail["message"].startswith("NameError at line 3")
    assert "lineNumber" in refusal("nest_exec", source="raise SystemExit").detail
    assert "JSON" in refusal("nest_call", name="Create", args="[").text


def test_scripts_are_run_only_where_the_experiment_says_so(bench, ask, refusal):
    bench.prepare({"model": "free"})
    assert "not run" in refusal("nest_exec", source="x = 1").detail["message"]
    bench.prepare({"model": "free", "parameters": {"exec": True, "modules": "import nest; import math as m"}})
    assert ask("nest_exec", source="x = m.floor(2.5)\nprint(x)", kwargs='{"return": "x"}') == {
        "data": 2,
        "stdout": "2\n",
    }
    bench.prepare({"model": "free", "parameters": {"exec": True, "restricted": False}})
    assert ask("nest_exec", source="x = 1\nx += 1", kwargs='{"return": ["x", "y"]}') == {"data": {"x": 2, "y": None}}


def test_a_wrong_parameter_is_named(bench):
    with pytest.raises(BadExperiment, match=r"brain\.parameters\.exek"):
        bench.prepare({"model": "free", "parameters": {"exek": True}})
    with pytest.raises(BadExperiment, match="nonesuch"):
        bench.prepare({"model": "free", "parameters": {"modules": "import nonesuch"}})
    with pytest.raises(BadExperiment, match="something else than import"):
        bench.prepare({"model": "free", "parameters": {"modules": "print(1)"}})


def test_looking_at_a_running_brain_changes_no_spike(bench, ask):
    bench.prepare(SETTINGS, script=SCRIPT)
    alone = [bench.run(1)[-1] for _ in range(5)]
    bench.prepare(SETTINGS, script=SCRIPT)
    seen = []
    for _ in range(5):
        for what, arguments in LOOKS:
            ask(what, **arguments)
        seen.append(bench.run(1)[-1])
    assert sum(len(step["spikes.sender"]) for step in alone) > 20
    for one, other in zip(alone, seen, strict=True):
        for name in ("spikes.sender", "spikes.time_ns"):
            assert np.array_equal(one[name], other[name])


def test_a_running_brain_can_be_looked_at_only(bench, ask, refusal):
    bench.prepare(SETTINGS, script=SCRIPT)
    before = ask("nest_call", name="GetStatus", args="[[1, 2, 3]]")
    for name in CHANGES:
        error = refusal("nest_call", name=name, args="[]")
        assert error.detail["status"] == 403, name
        assert "use" in error.text
    assert refusal("nest_exec", source="nest.ResetKernel()").detail["status"] == 403
    assert ask("nest_call", name="GetStatus", args="[[1, 2, 3]]") == before
