"""A brain over several processes: the same results as in one, and an end in one sentence whatever breaks.

Every case runs under a hard limit, and whatever was started must be gone at the end (`session.finish`).
"""

import contextlib
import json
import os
import re
import signal
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import reaf

from reafference.client import Monitor, Operator
from reafference.clock import Deadline
from reafference.errors import BadExperiment, ScriptError
from reafference.frames import StateNote
from reafference.sockets import Waiting, Wires
from services.recorder.reader import Run
from tests import mpiexec

pytestmark = mpiexec.ranks_wanted()
LIMIT_S = 60
NEURONS = """\
    import nest

    def build(cells=40, fails_on=-1):
        neurons = nest.Create("iaf_psc_alpha", cells, {"I_e": 380.0})
        nest.Connect(neurons, neurons, {"rule": "fixed_indegree", "indegree": 5}, {"weight": 50.0, "delay": 1.0})
        return {"all": neurons}
"""
SINKS = """\
    [brain.sources.drive]
    kind = "poisson"
    targets = ["all"]
    weight = 20.0
    rate_hz = 800.0
    [brain.sinks.voltage]
    kind = "leaky_integrator_alpha"
    sources = ["all[0]", "all"]
    [brain.sinks.spikes]
    kind = "spike_recorder"
    sources = ["all"]
"""


def experiment(folder: Path, script: str = NEURONS, devices: str = SINKS, *, steps: int = 20, more: str = "") -> Path:
    """An experiment of a brain alone, in `folder`/experiment."""
    made = folder / "experiment"
    made.mkdir()
    (made / "brain.py").write_text(textwrap.dedent(script))
    head = f"""\
    [experiment]
    name = "ranks"
    steps = {steps}
    step_ms = 20.0
    seed = 7
    prepare_timeout_s = 40.0
    step_timeout_s = 20.0
    {more}
    [brain]
    script = "brain.py"
    """
    (made / "experiment.toml").write_text(textwrap.dedent(head) + textwrap.dedent(devices))
    return made


def end_of(session, where, ranks, *more):
    """Run to the end; the result and its last line."""
    session.start("run", where, "--ranks", ranks, *more, "--out", "out", "--no-overview")
    result = session.finish(timeout_s=LIMIT_S)
    return result, result.said.strip().splitlines()[-1]


def pid_of_rank(session, rank, timeout_s=30.0):
    until = time.monotonic() + timeout_s
    wanted = f"OMPI_COMM_WORLD_RANK={rank}".encode()
    while time.monotonic() < until:
        for pid in session.processes():
            with contextlib.suppress(OSError):  # it can have ended by now
                if wanted in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                    return pid
        time.sleep(0.02)
    raise AssertionError(f"rank {rank} did not appear; there are {session.processes()}")


def under_way(session, where, ranks, *more):
    """Start a long run; returns when it has made some steps."""
    session.start("run", where, "--ranks", ranks, "--steps", "100000", *more, "--out", "out", "--no-overview")
    with Monitor(f"ipc://{session.wires()}/bus-out", ("engine/state",)) as monitor:
        await_state(monitor, "running", steps=10)


def hear(operator, state):
    """Wait until the engine tells the operator that the run is in this state."""
    waiting, deadline = Waiting(operator), Deadline.after_s(LIMIT_S)
    while not any(isinstance(frame, StateNote) and frame.state == state for frame in operator.arrived()):
        assert waiting.until(deadline.left_ms()), f"the run did not come to {state}"


def await_state(monitor, state, steps=0):
    for received in monitor.frames(Deadline.after_s(LIMIT_S)):
        note = received.frame
        if isinstance(note, StateNote) and note.state == state and note.recorded >= steps:
            return
    raise AssertionError(f"the run did not come to {state}")


@pytest.mark.parametrize(("virtual", "ways"), [(2, [(1, 2), (2, 1)]), (4, [(1, 4), (2, 2), (4, 1)])])
def test_the_same_virtual_processes_give_the_same_digest_however_they_are_spread(tmp_path, virtual, ways):
    found = {}
    for ranks, threads in ways:
        folder = tmp_path / f"{ranks}x{threads}"
        folder.mkdir()
        layout = ("--ranks", str(ranks), "--threads", str(threads))
        result = reaf.run(folder, reaf.MOUSE, *reaf.SMALL, "--steps", "15", *layout)
        assert result.status == 0, result.said
        found[ranks, threads] = (result.summary["digests"], result.summary["neurons"], result.summary["synapses"])
    assert len({json.dumps(one) for one in found.values()}) == 1, found


@pytest.mark.parametrize("ranks", [2, 4])
def test_a_rank_without_neurons_changes_nothing(tmp_path, ranks):
    alone = """\
    import nest

    def build():
        return {"all": nest.Create("iaf_psc_alpha", 1, {"I_e": 400.0})}
    """
    where = experiment(tmp_path, alone)
    digests = []
    for n, threads in ((1, ranks), (ranks, 1)):
        folder = tmp_path / str(n)
        folder.mkdir()
        result = reaf.run(folder, where, "--ranks", str(n), "--threads", str(threads), timeout_s=LIMIT_S)
        assert result.status == 0, result.said
        digests.append(result.summary["digest"])
    assert digests[0] == digests[1]


FEW = """\
    import nest

    def build():
        return {"circuit": nest.Create("iaf_psc_alpha", 10), "parrots": nest.Create("parrot_neuron", 6)}
"""
FEW_DEVICES = """\
    [brain.sources.current]
    kind = "dc"
    targets = ["circuit[0]"]
    amplitude_pA = 500.0
    [brain.sources.noise]
    kind = "noise_current"
    targets = ["circuit[2]"]
    std_pA = 100.0
    [brain.sinks.rate]
    kind = "population_rate"
    sources = ["each parrots"]
    [brain.sinks.two]
    kind = "leaky_integrator_exp"
    sources = ["circuit[0] + circuit[1]"]
    [brain.sinks.three]
    kind = "leaky_integrator_alpha"
    sources = ["circuit[0:3]"]
"""
AS_IT_IS = ""
RESET = """
    [[schedule]]
    at_s = 0.06
    to = "brain"
    what = "reset"
"""
MORE = """
    [[schedule]]
    at_s = 0.02
    to = "brain"
    what = "add_device"
    arguments = { group = "more", table = { kind = "leaky_integrator_alpha", sources = ["circuit[0:4]"] } }
    [[schedule]]
    at_s = 0.04
    to = "brain"
    what = "stimulate"
    arguments = { population = "circuit", amplitude_pA = 500.0, duration_ms = 30.0 }
"""


@pytest.mark.parametrize("edits", [AS_IT_IS, RESET, MORE], ids=["as it is", "reset", "more"])
def test_in_a_network_of_a_few_neurons_each_spike_arrives_once(tmp_path, edits):
    where = experiment(tmp_path, FEW, FEW_DEVICES, steps=6, more=edits)
    digests = {}
    for ranks, threads in ((1, 2), (2, 1)):
        folder = tmp_path / f"{ranks}x{threads}"
        folder.mkdir()
        layout = ("--ranks", str(ranks), "--threads", str(threads))
        result = reaf.run(folder, where, *layout, timeout_s=LIMIT_S)
        assert result.status == 0, result.said
        digests[ranks] = result.summary["digests"]
    assert digests[1] == digests[2]


@pytest.mark.parametrize("ranks", [2, 4])
def test_an_error_of_the_script_on_all_ranks_is_said_once(session, ranks):
    where = experiment(session.cwd, "def build():\n    return {'all': undefined_name}\n")
    result, line = end_of(session, where, ranks)
    assert result.status == 2, result.said
    assert re.search(rf"brain\.py, line 2: NameError: .*undefined_name.* \(on all {ranks} ranks\)", line), line


@pytest.mark.parametrize("ranks", [2, 4])
def test_an_error_of_the_script_on_one_rank_names_it(session, ranks):
    script = NEURONS.replace(
        "return", "if nest.Rank() == 1:\n            raise ValueError('no luck here')\n        return"
    )
    result, line = end_of(session, experiment(session.cwd, script), ranks)
    assert result.status == 2, result.said
    assert re.search(r"rank 1: brain\.py, line 7: ValueError: no luck here", line), line


@pytest.mark.parametrize("ranks", [2, 4])
def test_an_error_on_one_rank_while_the_others_wait_for_it_inside_nest_names_it(session, ranks):
    # The others are in a collective call of NEST, and nobody can call them out of it.
    script = NEURONS.replace(
        "return",
        "if nest.Rank() == 1:\n            raise ValueError('gone astray')\n        nest.Simulate(1.0)\n        return",
    )
    result, line = end_of(session, experiment(session.cwd, script), ranks)
    assert result.status == 2, result.said
    assert "rank 1: brain.py, line 7: ValueError: gone astray" in line, line


@pytest.mark.parametrize("ranks", [2, 4])
def test_an_error_inside_nest_on_one_rank_names_it(session, ranks):
    # The last neuron lives on one rank only, and blows up in its first time step.
    script = """\
    import nest

    def build():
        neurons = nest.Create("aeif_cond_alpha", 41)
        neurons[40].set(I_e=1e12)
        nest.Connect(neurons, neurons, "all_to_all", {"delay": 1.0})
        return {"all": neurons}
    """
    result, line = end_of(session, experiment(session.cwd, script), ranks)
    assert result.status == 5, result.said
    assert re.search(r"rank 1: NEST failed in step 0: .*numerical instability", line), line


@pytest.mark.parametrize("ranks", [2, 4])
def test_a_device_that_is_given_nonsense_ends_the_run_on_all_ranks(session, ranks):
    where = experiment(session.cwd, more="", devices=SINKS + '    [transfer]\n    file = "transfer.py"\n')
    (where / "transfer.py").write_text(
        "from reafference import transfer\n\n"
        '@transfer(reads="brain.spikes.sender", writes="brain.drive")\n'
        "def drive(sender, t):\n"
        "    return float('inf') if t > 0.1 else 800.0\n"
    )
    result, line = end_of(session, where, ranks)
    assert "drive" in result.said, result.said
    assert result.status in (0, 2), line


@pytest.mark.parametrize("ranks", [2, 4])
@pytest.mark.parametrize("which", ["first", "last"])
@pytest.mark.parametrize(
    ("number", "words"),
    [
        (signal.SIGKILL, r"its rank {rank} \(on .*\) was killed by SIGKILL"),
        (signal.SIGSTOP, "rank {rank} gave no sign of life"),
    ],
)
def test_a_rank_that_is_killed_or_stopped_is_named(session, ranks, which, number, words):
    rank = 0 if which == "first" else ranks - 1
    under_way(session, experiment(session.cwd), ranks)
    os.kill(pid_of_rank(session, rank), number)
    struck = time.monotonic()
    result = session.finish(timeout_s=LIMIT_S)
    assert time.monotonic() - struck < 10.0
    assert result.status == 5, result.said
    line = result.said.strip().splitlines()[-1]
    assert re.search("the brain was lost in step [0-9]+: " + words.format(rank=rank), line), line
    assert reaf.tool(session.cwd, "verify", "out").returncode in (0, 1)  # it can be read, complete or not


@pytest.mark.parametrize("ranks", [2, 4])
def test_a_script_that_takes_all_memory_is_stopped_by_its_limit(session, ranks):
    script = """\
    import nest
    import numpy as np

    def build():
        hoard = []
        while nest.Rank() == 1:
            hoard.append(np.ones(10_000_000))
        return {"all": nest.Create("iaf_psc_alpha", 4)}
    """
    where = experiment(session.cwd, script)
    result, line = end_of(session, where, ranks, "--set", "brain.memory_limit_gb=1.5")
    assert result.status == 2, result.said
    assert re.search(r"rank 1: brain\.py, line 7: out of memory: .* 1\.5 GB", line), line


@pytest.mark.parametrize("ranks", [2, 4])
def test_a_model_that_is_too_large_is_refused_with_the_numbers(session, ranks):
    result, line = end_of(session, reaf.MOUSE, ranks, "--set", "area_mm2=60")
    assert result.status == 2, result.said
    assert re.search(r"[0-9.,]+ GB", line), line


def test_too_many_ranks_for_the_machine_are_warned_about(tmp_path):
    cores = len(os.sched_getaffinity(0))
    result = reaf.run(tmp_path, experiment(tmp_path, steps=2), "--ranks", str(cores + 2), timeout_s=LIMIT_S)
    assert result.status == 0, result.said
    assert f"{cores + 2} ranks" in result.said
    assert f"this machine has {cores} core" in result.said


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_reset_brain_does_again_what_it_did_twice_in_a_row(session, ranks):
    schedule = "".join(
        f'    [[schedule]]\n    at_s = {at_s}\n    to = "brain"\n    what = "reset"\n' for at_s in (0.2, 0.4)
    )
    where = experiment(session.cwd, steps=30, devices=SINKS + schedule)
    result, line = end_of(session, where, ranks)
    assert result.status == 0, line
    samples = [sample.arrays for sample in Run(result.folder).samples(["brain/spikes"])]
    spikes = [np.concatenate([arrays[name] for arrays in samples]) for name in ("sender", "time_ns")]
    turns = [spikes_between(spikes, start, start + 200_000_000) for start in (0, 200_000_000, 400_000_000)]
    assert len(turns[0][0]) > 50
    for again in turns[1:]:
        np.testing.assert_array_equal(again, turns[0])


@pytest.mark.parametrize("ranks", [2, 4])
def test_a_schedule_of_edits_acts_alike_on_any_number_of_ranks(tmp_path, ranks):
    schedule = """\
    [[schedule]]
    at_s = 0.1
    to = "brain"
    what = "silence"
    arguments = { population = "all[0:20]" }
    [[schedule]]
    at_s = 0.2
    to = "brain"
    what = "set_parameters"
    arguments = { population = "all", parameters = { I_e = 500.0 } }
    [[schedule]]
    at_s = 0.3
    to = "brain"
    what = "stimulate"
    arguments = { population = "all[3]", amplitude_pA = 100.0, duration_ms = 50.0 }
    [[schedule]]
    at_s = 0.3
    to = "brain"
    what = "switch"
    arguments = { device = "drive", on = false }
    """
    where = experiment(tmp_path, devices=SINKS + schedule)
    digests = []
    for n, threads in ((1, ranks), (ranks, 1)):
        folder = tmp_path / f"{n}x{threads}"
        folder.mkdir()
        result = reaf.run(folder, where, "--ranks", str(n), "--threads", str(threads), timeout_s=LIMIT_S)
        assert result.status == 0, result.said
        digests.append(result.summary["digest"])
    assert digests[0] == digests[1]


@pytest.mark.parametrize("ranks", [1, 2])
def test_an_edit_that_fails_names_what_is_wrong_and_the_run_can_be_edited_again(session, ranks):
    where = experiment(session.cwd)
    under_way(session, where, ranks)
    with Wires() as wires:
        operator = Operator(wires, f"ipc://{session.wires()}/step", "visitor")
        with pytest.raises(BadExperiment, match="no parameter 'V_thr'"):
            operator.set_parameters("all", {"V_thr": 3.0})
        operator.set_parameters("all", {"I_e": list(np.arange(40.0)), "V_th": np.inf})
        found = operator.get_parameters("all", ["I_e", "V_th"])
        np.testing.assert_array_equal(found["I_e"], np.arange(40.0))
        assert np.isposinf(found["V_th"]).all()
        synapses = operator.get_synapses("all", "all[0:4]", ["weight"])
        assert len(synapses["weight"]) == 20
    session.kill(signal.SIGINT)
    assert session.finish(timeout_s=LIMIT_S).status == 130


@pytest.mark.parametrize("ranks", [1, 2])
def test_the_brain_is_replaced_while_the_clock_goes_on(session, ranks):
    where = experiment(session.cwd)
    under_way(session, where, ranks)
    with Wires() as wires:
        operator = Operator(wires, f"ipc://{session.wires()}/step", "visitor")
        with pytest.raises(ScriptError, match=r"brain\.py, line 1: SyntaxError"):
            operator.replace_brain("def build(:\n")
        operator.replace_brain(textwrap.dedent(NEURONS).replace("380.0", "0.0").replace("cells=40", "cells=60"))
        assert len(operator.get_parameters("all", ["I_e"])["I_e"]) == 60
        operator.set_populations({"few": "all[0:3]"})
        assert operator.get_parameters("few", ["I_e"])["I_e"].tolist() == [0.0] * 3
        with pytest.raises(BadExperiment, match="nobody"):
            operator.set_populations({"few": "nobody"})
    session.kill(signal.SIGINT)
    result = session.finish(timeout_s=LIMIT_S)
    assert result.status == 130, result.said
    assert reaf.tool(session.cwd, "verify", "out").returncode == 0
    changes = [(change.what, change.code) for change in Run(result.folder).changes]
    assert ("replace_brain", "") in changes
    assert ("replace_brain", "script_error") in changes


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_step_that_explodes_is_given_up_by_the_second_ctrl_c(session, ranks):
    # Each neuron excites all others: once awake, they fire in every time step that they can.
    script = """\
    import nest

    def build(cells=2000):
        neurons = nest.Create("iaf_psc_alpha", cells, {"t_ref": 0.1})
        nest.Connect(neurons, neurons, "all_to_all", {"weight": 2000.0, "delay": 0.1})
        return {"all": neurons}
    """
    devices = SINKS.replace("rate_hz = 800.0", "rate_hz = 50000.0").replace('sources = ["all"]', 'sources = ["all[0]"]')
    where = experiment(session.cwd, script, devices, steps=1000)
    session.start("run", where, "--ranks", ranks, "--set", "step_ms=1000", "--out", "out", "--no-overview")
    with Wires() as wires:
        visitor = Operator(wires, f"ipc://{session.wires()}/step", "visitor")
        hear(visitor, "running")
        time.sleep(2.0)
        list(visitor.arrived())
        session.kill(signal.SIGINT)
        hear(visitor, "running")  # the order to stop has come; two signals at once could be one
    session.kill(signal.SIGINT)
    struck = time.monotonic()
    result = session.finish(timeout_s=LIMIT_S)
    assert time.monotonic() - struck < 10.0
    assert result.status == 130, result.said


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_step_that_takes_too_long_says_how_far_it_came(session, ranks):
    script = NEURONS.replace("cells=40", "cells=3000").replace('"indegree": 5', '"indegree": 500')
    script = script.replace('"weight": 50.0, "delay": 1.0', '"weight": 400.0, "delay": 0.1')
    where = experiment(session.cwd, script)
    # The brain gives up after nine tenths of that: the engine must not be sooner, on a busy machine, too.
    more = ("--set", "step_ms=60000", "--set", "step_timeout_s=20")
    result, line = end_of(session, where, ranks, *more)
    assert result.status == 5, result.said
    assert re.search("step 0 takes too long: after [0-9.]+ s NEST had come to [0-9.]+ of 60000 ms", line), line


def spikes_between(spikes, start_ns, end_ns):
    """Senders, and times after `start_ns`."""
    sender, time_ns = spikes
    inside = (time_ns > start_ns) & (time_ns <= end_ns)
    return np.stack([sender[inside], time_ns[inside] - start_ns])


def test_a_paused_job_leaves_the_cores_alone(session):
    under_way(session, experiment(session.cwd), 2)
    with Wires() as wires:
        operator = Operator(wires, f"ipc://{session.wires()}/step", "visitor")
        operator.order("pause", "a test")
        hear(operator, "paused")
        pids = [pid_of_rank(session, rank) for rank in (0, 1)]
        time.sleep(1.5)  # a rank looks less often the longer it waits
        before, began = sum(map(cpu_s, pids)), time.monotonic()
        time.sleep(4.0)
        share = (sum(map(cpu_s, pids)) - before) / (time.monotonic() - began)
        session.kill(signal.SIGINT)
        session.finish(timeout_s=LIMIT_S)
    assert share < 0.05, f"{share:.1%} of a core while paused"


def cpu_s(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
