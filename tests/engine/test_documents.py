"""services.engine.documents: the documents that frame a run, and its folder."""

import os

import pytest

from reafference import codec
from reafference.digest import of_run
from reafference.errors import BadExperiment, PeerLost, TransferFailed
from reafference.frames import Halted, Message, Ports
from reafference.topics import is_name
from services.engine import documents, experiment
from services.engine.profile import Profile, Row
from tests.engine.toys import BODY, BRAIN, PORTS

TEXT = """
[experiment]
name = "reach"
steps = 3
seed = 7
[parameters]
gain = 2
[brain]
model = "m"
threads = 3
step_ms = 40
[body]
model = "b"
[record]
window_steps = 5
"""


@pytest.fixture
def wanted(tmp_path):
    (tmp_path / "experiment.toml").write_text(TEXT)
    return lambda *overrides: experiment.load(tmp_path, [experiment.parse_override(text) for text in overrides])


# --- the folder -------------------------------------------------------------------------------------------------


def test_a_run_has_a_folder_of_its_own(tmp_path):
    first = documents.make_run_folder(None, tmp_path / "runs")
    (first / "recording.mcap").touch()
    second = documents.make_run_folder(None, tmp_path / "runs")
    assert first != second
    assert first.parent == second.parent == (tmp_path / "runs").resolve()
    assert os.listdir(second) == []


def test_a_named_folder_is_made_with_its_parents(tmp_path):
    folder = documents.make_run_folder(tmp_path / "a" / "b", tmp_path)
    assert folder == (tmp_path / "a" / "b").resolve()
    assert folder.is_dir()
    assert documents.make_run_folder(folder, tmp_path) == folder  # still empty


@pytest.mark.parametrize("name", ["recording.mcap", "recording.mcap.part"])
def test_a_folder_that_holds_a_recording_is_refused(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(BadExperiment, match="holds a recording already: name another one with --out"):
        documents.make_run_folder(tmp_path, tmp_path)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "inside"):
        with pytest.raises(BadExperiment, match=r"cannot be written \(.+\): name another one with --out"):
            documents.make_run_folder(place, tmp_path)
    with pytest.raises(BadExperiment, match="cannot be written"):
        documents.make_run_folder(None, tmp_path / "file" / "runs")


def test_a_folder_in_which_nothing_was_recorded_is_taken_back(tmp_path):
    folder = documents.make_run_folder(tmp_path / "run", tmp_path)
    (folder / "recording.mcap").touch()
    (folder / ".reserve").touch()
    documents.remove_if_unused(folder)
    assert not folder.exists()
    documents.remove_if_unused(folder)  # once more does no harm


def test_a_folder_in_which_something_lies_is_left(tmp_path):
    folder = documents.make_run_folder(tmp_path / "run", tmp_path)
    (folder / "recording.mcap").write_bytes(b"x")
    documents.remove_if_unused(folder)
    assert (folder / "recording.mcap").read_bytes() == b"x"


def test_runs_have_short_names_of_their_own():
    names = {documents.new_run_id() for _ in range(200)}
    assert len(names) == 200
    assert all(is_name(name) and len(name) <= 8 for name in names)


# --- plans --------------------------------------------------------------------------------------------------------


def test_a_plan_has_what_its_participant_needs(wanted, tmp_path):
    plans = documents.plans(wanted(), "7f3a")
    brain, body = plans["brain"], plans["body"]
    assert (brain.run, brain.name, brain.every, brain.dt_ns, brain.threads) == ("7f3a", "brain", 2, 40_000_000, 3)
    assert (body.every, body.dt_ns, body.threads) == (1, 20_000_000, 1)
    assert brain.settings == {"model": "m", "threads": 3}  # its step length is the engine's business
    assert (brain.folder, brain.files) == (str(tmp_path), {"experiment.toml": TEXT})


def test_seeds_are_spawned_from_the_master_seed_in_the_order_of_names(wanted):
    def seeds(*overrides):
        return {name: plan.seed for name, plan in documents.plans(wanted(*overrides), "r").items()}

    assert seeds() == seeds()
    assert seeds()["brain"] != seeds()["body"]
    assert set(seeds().values()).isdisjoint(seeds("seed=8").values())
    # Literal numbers: a change here would change every experiment's results.
    assert seeds() == {"body": 1201125462, "brain": 3618983171}


def test_the_recorder_is_told_its_folder_and_window(wanted, tmp_path):
    plan = documents.recorder_plan(wanted(), "7f3a", tmp_path)
    assert (plan.name, plan.folder, plan.settings) == ("recorder", str(tmp_path), {"window_steps": 5})


# --- the two documents ----------------------------------------------------------------------------------------------


def test_the_first_document_tells_who_what_and_with_which_versions(wanted):
    start = documents.start_document(wanted("gain=3"), "7f3a", PORTS, steps=3, parameters={"gain": 3})
    assert (start.run, start.experiment, start.title) == ("7f3a", "reach", "reach")
    assert (start.seed, start.dt_ns, start.steps) == (7, 20_000_000, 3)
    assert start.parameters == {"gain": 3}
    assert start.settings["parameters"] == {"gain": 3}
    assert start.files == {"experiment.toml": TEXT}
    assert start.versions["protocol"] == "1.3"
    assert {"reafference", "numpy", "pyzmq", "msgpack"} <= set(start.versions)
    assert start.machine["cores"] >= 1
    assert (start.ports["brain"], start.ports["body"]) == (BRAIN, BODY)
    assert codec.decode(codec.encode(start, run="7f3a", src="engine").parts()).frame.steps == 3


def test_the_streams_of_the_engine_are_described_like_everybodys(wanted):
    ports = {port.name: port for port in documents.engine_ports(PORTS).outputs}
    drive = ports["inputs/brain.drive"]
    assert (drive.shape, drive.unit, drive.stream) == ((3,), "Hz", "inputs/brain")
    assert ports["inputs/body.excitation"].labels == BODY.inputs[0].labels
    assert "profile.parts" in ports


def document(wanted, halted, rows=3, **changes):
    profile = Profile()
    for step in range(rows):
        profile.add(Row(step, cle_step=10_000_000))
    given = {
        "outcome": "finished",
        "cancelled": -1,
        "error": None,
        "culprit": "",
        "seqs": {"brain/sinks": 2},
        "measures": {"a": 1.0},
        "facts": {"neurons": 5},
        "messages": [],
    }
    return documents.stop_document(wanted(), profile, halted, **given | changes)


DIGESTS = {"brain": Halted(step=2, digest="aa", facts={"peak_rss_mb": 12.5}), "body": Halted(step=2, digest="bb")}


def test_the_last_document_of_a_run_that_finished(wanted):
    stop = document(wanted, DIGESTS | {"recorder": Halted(step=2)})
    assert (stop.outcome, stop.code, stop.text, stop.service, stop.exit_status) == ("finished", "", "", "", 0)
    assert (stop.steps, stop.step, stop.t_ns) == (3, 2, 60_000_000)
    assert stop.digests == {"brain": "aa", "body": "bb"}
    assert stop.digest == of_run({"brain": "aa", "body": "bb"})
    assert (stop.real_time_factor, stop.timing["step_ms"]["mean"]) == (2.0, 10.0)
    assert (stop.seqs, stop.measures) == ({"brain/sinks": 2}, {"a": 1.0})
    assert stop.facts == {"neurons": 5, "first_step_ms": 10.0}
    assert stop.peak_rss_mb["brain"] == 12.5
    assert stop.peak_rss_mb["engine"] > 1


def test_a_run_of_which_a_part_is_missing_has_no_digest(wanted):
    stop = document(wanted, {"brain": DIGESTS["brain"]})
    assert (stop.digest, stop.digests) == ("", {"brain": "aa"})


def test_the_last_document_says_how_a_run_ended(wanted):
    lost = document(wanted, {}, rows=1, error=PeerLost("the brain was lost"), culprit="brain")
    assert (lost.outcome, lost.code, lost.service, lost.exit_status) == ("fault", "peer_lost", "brain", 5)
    assert (lost.text, lost.steps) == ("the brain was lost", 1)
    halted = document(wanted, DIGESTS, error=TransferFailed("division by zero"), culprit="engine")
    assert (halted.outcome, halted.exit_status) == ("halted", 3)
    assert document(wanted, DIGESTS, outcome="stopped").outcome == "stopped"
    assert document(wanted, DIGESTS, outcome="reset", error=PeerLost("gone")).outcome == "fault"


def test_a_cancelled_step_leaves_no_digest(wanted):
    stop = document(wanted, DIGESTS, outcome="stopped", cancelled=3)
    assert (stop.outcome, stop.code, stop.exit_status) == ("stopped", "step_cancelled", 130)
    assert stop.text == "step 3 was cancelled before its end"
    assert (stop.digest, stop.digests) == ("", {})


def test_a_run_without_a_step_has_a_last_document_too(wanted):
    stop = document(wanted, {}, rows=0)
    assert (stop.steps, stop.step, stop.t_ns, stop.timing, stop.real_time_factor) == (0, -1, 0, {}, 0.0)


def test_messages_travel_in_the_last_document(wanted):
    message = Message(step=1, source="transfer function", type="runtime", text="it broke", line=3)
    stop = document(wanted, DIGESTS, messages=[message])
    back = codec.decode(codec.encode(stop, run="r", src="engine").parts()).frame
    assert back.messages[0]["text"] == "it broke"
    assert back.messages[0]["line"] == 3


def test_only_known_facts_are_counted():
    ports = {"brain": Ports(facts={"neurons": 5, "build_s": 0.5, "colour": "red"}), "body": Ports(facts={"devices": 2})}
    assert documents.counts(ports) == {"neurons": 5, "build_s": 0.5, "devices": 2}
