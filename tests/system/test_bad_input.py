"""Whatever a user gets wrong is answered with one clear sentence and the right exit status."""

import os
import subprocess

import pytest
import reaf

# name: (file, old, new, what the sentence must contain)
BEFORE_THE_RUN = {
    "misspelt key": ("experiment.toml", "steps = 50", "stpes = 50", ["experiment.toml", "experiment.stpes", "'steps'"]),
    "missing key": ("experiment.toml", "steps = 50", "", ["experiment.toml", "experiment.steps", "missing"]),
    "wrong type": ("experiment.toml", "steps = 50", 'steps = "many"', ["experiment.steps", "a whole number"]),
    "not TOML": ("experiment.toml", "[parameters]", "[parameters", ["experiment.toml", "line"]),
    "misspelt brain key": ("experiment.toml", "weight = 10.0", "wieght = 10.0", ["motor", "wieght", "'weight'"]),
    "unknown population": ("experiment.toml", '"M1_L23_CC"', '"M1_L23_C"', ["M1_L23_C", "M1_L23_CC"]),
    "unknown model": ("experiment.toml", 'model = "cbct"', 'model = "cbtc"', ["brain.model", "cbct"]),
    "unknown body": ("experiment.toml", '"mouse_forelimb"', '"mouse_hindlimb"', ["body.model", "mouse_forelimb"]),
    "unknown port": ("transfer.py", "body.Foot2", "body.Foot3", ["motor_drive", "body.Foot3", "Foot"]),
    "wrong shape": ("transfer.py", "[rate_hz, 0.0, 0.0]", "[rate_hz, 0.0]", ["drive", "shape", "(3,)"]),
    "syntax error": ("transfer.py", "def drive(step, params):", "def drive(step, params)", ["transfer.py", "line 13"]),
    "no such module": ("transfer.py", "from reafference import", "from refference import", ["transfer.py", "line 6"]),
    "wrong arguments": (
        "transfer.py",
        "def motor_drive(voltage_mV, ",
        "def motor_drive(",
        ["motor_drive", "reads 1", "'step'"],
    ),
    "bad measure": ("experiment.toml", "body.tip.position.y", "body.tip.position.yy", ["tip_y_mm_at_0.5_s", "yy"]),
}


@pytest.mark.parametrize("name", BEFORE_THE_RUN)
def test_it_is_found_before_step_0(tmp_path, name):
    file, old, new, words = BEFORE_THE_RUN[name]
    experiment = reaf.copy_of(reaf.MOUSE, tmp_path, [(file, old, new)])
    result = reaf.run(tmp_path, experiment, *(reaf.SMALL if name not in ("not TOML",) else ()))
    assert result.status == 2, result.said
    sentence = result.said[result.said.rindex("reaf: ") :]
    for word in words:
        assert word in sentence, result.said
    assert "Traceback" not in result.said
    assert not (result.folder / "recording.mcap").exists()


def test_a_syntax_error_in_a_brain_script_is_shown_with_its_line(tmp_path):
    experiment = own_brain(
        tmp_path, "import nest\n\ndef build():\n    return {'cells': nest.Create('iaf_psc_alpha', 3}\n"
    )
    result = reaf.run(tmp_path, experiment)
    assert result.status == 2, result.said
    assert "brain.py" in result.said
    assert "line 4" in result.said


def test_an_error_in_a_brain_script_is_shown_with_its_line(tmp_path):
    experiment = own_brain(
        tmp_path, "import nest\n\ndef build():\n    return {'cells': nest.Create('no_such_model', 3)}\n"
    )
    result = reaf.run(tmp_path, experiment)
    assert result.status == 2, result.said
    assert "brain.py" in result.said
    assert "line 4" in result.said
    assert "no_such_model" in result.said


def test_a_brain_script_of_ones_own_runs(tmp_path):
    experiment = own_brain(
        tmp_path, "import nest\n\ndef build():\n    return {'cells': nest.Create('iaf_psc_alpha', 3)}\n"
    )
    result = reaf.run(tmp_path, experiment)
    assert result.status == 0, result.said
    assert result.summary["neurons"] == 3


def own_brain(folder, text):
    made = folder / "own"
    made.mkdir()
    (made / "experiment.toml").write_text(
        '[experiment]\nname = "own"\nsteps = 5\n[brain]\nscript = "brain.py"\n'
        '[brain.sinks.v]\nkind = "leaky_integrator_alpha"\nsources = ["cells"]\n'
    )
    (made / "brain.py").write_text(text)
    return made


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "drive_hertz=0"], ["drive_hertz", "drive_hz"]),
        (["--set", "drive_hz"], ["key=value"]),
        (["--steps", "0"], ["experiment.steps", "1 or more"]),
        (["--threads", "0"], ["brain.threads"]),
        (["--seed", "-1"], ["experiment.seed"]),
    ],
)
def test_the_command_line_is_checked_as_well(tmp_path, arguments, words):
    result = reaf.run(tmp_path, reaf.MOUSE, *arguments)
    assert result.status == 2, result.said
    for word in words:
        assert word in result.said


def test_an_experiment_that_is_not_there(tmp_path):
    result = reaf.run(tmp_path, reaf.EXPERIMENTS / "mouse_raech")
    assert result.status == 2
    assert "mouse_reach" in result.said


@pytest.mark.parametrize("out", ["/proc/no", "occupied/run"])
def test_a_folder_that_cannot_be_written(session, tmp_path, out):
    (tmp_path / "occupied").write_text("a file, not a folder")
    session.start("run", reaf.MOUSE, *reaf.SMALL, "--out", out, "--no-overview")
    result = session.finish()
    assert result.status == 2, result.said
    assert "cannot be written" in result.said


def test_a_run_folder_is_not_overwritten(tmp_path):
    assert reaf.run(tmp_path, reaf.MOUSE, *reaf.SMALL, "--steps", "2").status == 0
    before = (tmp_path / "out" / "recording.mcap").read_bytes()
    again = reaf.run(tmp_path, reaf.MOUSE, *reaf.SMALL, "--steps", "2")
    assert again.status == 2
    assert "holds a recording already" in again.said
    assert (tmp_path / "out" / "recording.mcap").read_bytes() == before


def test_a_json_file_that_cannot_be_written_is_known_before_the_run(tmp_path):
    result = reaf.run(tmp_path, reaf.MOUSE, "--json", "/proc/no.json")
    assert result.status == 2
    assert not result.folder.exists()


FAILING = {
    "raises": 'raise ValueError("the gain is missing")',
    "NaN": 'return float("nan")',
    "too slow": "\n    while True: pass",
}


@pytest.mark.parametrize("how", FAILING)
def test_a_transfer_function_that_fails_is_switched_off_and_the_run_goes_on(tmp_path, how):
    broken = f"if step >= 8: {FAILING[how]}" if how != "too slow" else "while step >= 8: pass"
    experiment = reaf.copy_of(
        reaf.MOUSE,
        tmp_path,
        [("transfer.py", '    """Excitation of the three', f'    {broken}\n    """Excitation of the three')],
    )
    result = reaf.run(tmp_path, experiment, *reaf.SMALL, "--steps", "20", "--set", "experiment.transfer_timeout_s=0.5")
    assert result.status == 0, result.said
    summary = result.summary
    assert summary["steps"] == 20
    assert summary["switched_off"] == ["motor_drive"]
    (message,) = summary["messages"]
    assert message["function"] == "motor_drive"
    assert message["step"] == 8
    assert message["line"] > 0
    assert message["file"].endswith("transfer.py")
    assert "motor_drive" in result.said


def test_with_halt_a_failing_transfer_function_ends_the_run(tmp_path):
    experiment = reaf.copy_of(
        reaf.MOUSE, tmp_path, [("transfer.py", '    """Excitation of', '    1 / (8 - step)\n    """Excitation of')]
    )
    result = reaf.run(tmp_path, experiment, *reaf.SMALL, "--set", "experiment.on_error=halt")
    assert result.status == 3, result.said
    assert "ZeroDivisionError" in result.said
    assert "motor_drive" in result.said
    assert result.summary["outcome"] == "halted"
    assert result.summary["steps"] == 8


@pytest.fixture
def small_disk(tmp_path):
    """A file system with room for a reserve and a little more."""
    place = tmp_path / "disk"
    place.mkdir()
    # Root only, as CI is: whoever else runs the tests sees this one fail, not vanish.
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1800k", "tmpfs", place], check=True)
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_full_disk_stops_the_run_cleanly(session, small_disk):
    session.start("run", reaf.MOUSE, *reaf.SMALL, "--steps", "100000", "--out", small_disk / "run", "--no-overview")
    result = session.finish(timeout_s=120)
    assert result.status == 4, result.said
    assert "no space left" in result.said
    verdict = reaf.tool(session.cwd, "export", small_disk / "run", "--out", session.cwd / "csv")
    assert verdict.returncode == 0, verdict.stderr
    rows = (session.cwd / "csv" / "sinks.csv").read_text().splitlines()[1:]
    steps = [int(row.split(",")[0]) for row in rows]
    said = int(result.said.split("holds every step up to ")[1].split()[0].rstrip("."))
    # What was acknowledged is there; the last chunk may have had room for some steps more.
    assert steps == list(range(len(steps)))
    assert len(steps) > said > 0


def test_more_threads_than_cores_is_a_warning(tmp_path):
    threads = (os.cpu_count() or 1) + 2
    result = reaf.run(tmp_path, reaf.MOUSE, *reaf.SMALL, "--steps", "2", "--threads", str(threads))
    assert result.status == 0, result.said
    assert "warning" in result.said
    assert f"{threads} threads" in result.said
