"""A launch whose services stand elsewhere: real stands, real services, one machine."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from reafference.errors import BadExperiment
from services.engine import brain_place
from services.engine.brain_place import BrainPlace
from services.engine.experiment import Mpi
from tests.stands import StandSet, descendants

ROOT = Path(__file__).parents[2]
PATIENCE_S = 120

LIMB = '[experiment]\nname = "limb"\nsteps = {steps}\n{pace}\n[body]\nmodel = "mouse_forelimb"\n'
BALANCED = ROOT / "experiments" / "balanced_network"


@pytest.fixture
def stands(tmp_path):
    with StandSet(tmp_path / "stands") as made:
        yield made


@pytest.fixture
def limb(tmp_path):
    return experiment(tmp_path)


def experiment(tmp_path, steps=20, pace=""):
    folder = tmp_path / "limb"
    folder.mkdir(exist_ok=True)
    (folder / "experiment.toml").write_text(LIMB.format(steps=steps, pace=pace))
    return folder


class Launch:
    """`launch_bare`, whose lines are read as they come."""

    def __init__(self, environ, *arguments):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "services.engine.launch_bare", *map(str, arguments)],
            env={**os.environ, **environ, "REAF_PARENT_PID": str(os.getpid())},
            stdout=subprocess.PIPE,
            text=True,
        )
        self.told = []

    def until(self, event, **fields):
        """The line that tells of this; all before it are kept too."""
        while line := self.process.stdout.readline():
            self.told.append(json.loads(line))
            if self.told[-1]["event"] == event and self.told[-1].items() >= fields.items():
                return self.told[-1]
        raise AssertionError(self.told)

    def end(self):
        """Everything it has told, and its exit status."""
        try:
            rest, _ = self.process.communicate(timeout=PATIENCE_S)
        finally:
            self.process.kill()
            self.process.wait()
        self.told += [json.loads(line) for line in rest.splitlines()]
        return self.told, self.process.returncode

    def of(self, event):
        return [one for one in self.told if one["event"] == event]


def ran(environ, *arguments):
    launch = Launch(environ, *arguments)
    try:
        return launch.end()
    finally:
        launch.process.kill()


def digest_of(folder):
    return json.loads((folder / "summary.json").read_text())["digest"]


def test_services_run_at_their_stands_and_the_run_is_the_same(stands, limb, tmp_path):
    told, status = ran(stands.environ, limb, "--out", tmp_path / "there")
    assert status == 0, told
    started = {one["service"]: one for one in told if one["event"] == "started"}
    assert started.keys() == {"engine", "recorder", "body"}
    assert all(one["stand"].endswith(f"/{name}.stand") and "pid" not in one for name, one in started.items())
    ended = {one["service"]: one for one in told if one["event"] == "ended"}
    assert {name: one["status"] for name, one in ended.items()} == {"engine": 0, "recorder": 0, "body": 0}
    assert all(one["peak_rss_mb"] > 10 for one in ended.values())
    assert sorted(file.name for file in (tmp_path / "there" / "logs").iterdir()) == [
        "body.log",
        "engine.log",
        "recorder.log",
    ]
    _, status = ran({}, limb, "--out", tmp_path / "here")
    assert status == 0
    assert digest_of(tmp_path / "there") == digest_of(tmp_path / "here")
    stands.until_quiet()
    assert not list(stands.folder.glob("wires-*"))


def test_only_what_has_a_stand_is_started_there(tmp_path, limb):
    with StandSet(tmp_path / "stands", ("body",)) as stands:
        environ = {"REAF_STANDS": str(stands.folder)}
        told, status = ran(environ, limb, "--out", tmp_path / "out")
    assert status == 0, told
    started = {one["service"]: one for one in told if one["event"] == "started"}
    assert "stand" in started["body"]
    assert "pid" in started["engine"]
    assert "pid" in started["recorder"]


def test_an_engine_at_a_stand_says_why_it_ended(stands, limb, tmp_path):
    (limb / "experiment.toml").write_text(LIMB.format(steps=5, pace="") + '[transfer]\nfile = "transfer.py"\n')
    (limb / "transfer.py").write_text("def broken(:\n")
    told, status = ran(stands.environ, limb, "--out", tmp_path / "out")
    assert status == 2
    failed = [one for one in told if one["event"] == "failed"]
    assert failed
    assert failed[0]["code"] == "script_error"
    assert "transfer.py" in failed[0]["text"]
    stands.until_quiet()


def test_a_brain_of_two_ranks_at_its_stand_is_the_same_run(stands, tmp_path):
    more = ("--steps", "5", "--ranks", "2", "--threads", "1", "--set", "brain.parameters.scale=0.05")
    told, status = ran(stands.environ, BALANCED, *more, "--out", tmp_path / "there")
    if status == 2 and any("NEST" in one.get("text", "") for one in told):
        pytest.skip("this NEST has no MPI (make nest-mpi)")
    assert status == 0, told
    _, status = ran({}, BALANCED, *more, "--out", tmp_path / "here")
    assert status == 0
    assert digest_of(tmp_path / "there") == digest_of(tmp_path / "here")
    stands.until_quiet()


@pytest.mark.parametrize("service", ["body", "recorder"])
def test_a_service_that_dies_at_its_stand_is_named(stands, tmp_path, service):
    launch = Launch(stands.environ, experiment(tmp_path, 100_000, "pace = 1.0"), "--out", tmp_path / "out")
    launch.until("started", service="body")
    until_recorded(tmp_path / "out")
    [pid] = descendants(stands.processes[service].pid)
    os.kill(pid, signal.SIGKILL)
    told, status = launch.end()
    assert status == 5
    assert any(one["event"] == "ended" and one["service"] == service and one["status"] == -9 for one in told)
    failed = [one for one in told if one["event"] == "failed"]
    assert failed
    assert service in failed[0]["text"]
    assert "SIGKILL" in failed[0]["text"]
    stands.until_quiet()


def test_a_stand_that_hangs_in_a_run_holds_nothing_up(stands, tmp_path):
    launch = Launch(stands.environ, experiment(tmp_path, 100_000, "pace = 1.0"), "--out", tmp_path / "out")
    launch.until("started", service="body")
    until_recorded(tmp_path / "out")
    frozen = [stands.processes["body"].pid, *descendants(stands.processes["body"].pid)]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)  # as `docker pause` does
    began = time.monotonic()
    told, status = launch.end()
    assert time.monotonic() - began < 30
    assert status == 5
    assert any(one["event"] == "failed" and "body" in one["text"] for one in told), told
    ended = next(one for one in told if one["event"] == "ended" and one["service"] == "body")
    assert "has not said" in ended["how"]
    for pid in frozen:
        os.kill(pid, signal.SIGCONT)
    stands.until_quiet()


def test_a_launch_that_is_killed_takes_all_its_services_along(stands, tmp_path):
    launch = Launch(stands.environ, experiment(tmp_path, 100_000, "pace = 1.0"), "--out", tmp_path / "out")
    launch.until("started", service="body")
    until_recorded(tmp_path / "out")
    launch.process.kill()
    launch.end()
    stands.until_quiet()


def test_a_stand_that_is_missing_is_named_and_nothing_is_left(tmp_path, limb):
    with StandSet(tmp_path / "stands", ("engine", "recorder")) as stands:
        told, status = ran(stands.environ, limb, "--out", tmp_path / "out")
        assert status == 5
        [failed] = [one for one in told if one["event"] == "failed"]
        assert failed["code"] == "peer_lost"
        assert "the stand of the body" in failed["text"]
        assert "does not answer" in failed["text"]
        stands.until_quiet()
        assert not list(stands.folder.glob("wires-*"))


def test_a_job_s_layout_overrides_the_experiment(limb, tmp_path):
    told, status = ran({"REAF_LAYOUT": "1:x"}, limb, "--out", tmp_path / "out")
    assert status == 2
    assert "REAF_LAYOUT is '1:x', but must be RANKS:THREADS" in told[-1]["text"]
    assert brain_place.layout({"REAF_LAYOUT": "4:8"}) == ["--ranks=4", "--threads=8"]
    assert brain_place.layout({}) == []
    for bad in ("4", "0:1", "4:8:2", "-1:2", "٣:1"):
        with pytest.raises(BadExperiment):
            brain_place.layout({"REAF_LAYOUT": bad})


class Wanted:
    """What a place looks at in an experiment."""

    def __init__(self, ranks, threads, hostfile=""):
        self.ranks, self.threads, self.mpi = ranks, threads, Mpi(hostfile=hostfile)


def test_the_cores_of_the_brain_s_machine_count():
    here, there = BrainPlace(cores=2), BrainPlace(cores=16, whose="the machine of the brain's stand")
    unknown = BrainPlace(cores=0, stand=Path("brain.stand"))
    assert here.crowded(Wanted(2, 2))
    assert not there.crowded(Wanted(2, 2))
    assert not unknown.crowded(Wanted(64, 64))
    assert "this machine has 2 cores" in here.warnings(Wanted(2, 2))[0]
    assert there.warnings(Wanted(2, 2)) == unknown.warnings(Wanted(64, 64)) == []
    with pytest.raises(BadExperiment, match="needs mpiexec, and NEST with MPI"):
        BrainPlace(cores=2, missing=("mpiexec",), stand=Path("brain.stand")).check(Wanted(2, 1))
    unknown.check(Wanted(2, 1, hostfile="/not/here"))  # of another machine: its own business


def until_recorded(folder):
    """Wait until something has been written: the run goes on then."""
    end = time.monotonic() + PATIENCE_S
    while not (folder / "recording.mcap").exists():
        assert time.monotonic() < end
        time.sleep(0.05)
