"""services.engine.loop: with a small window, credit does not wait for a mark that waits for credit."""

import subprocess
import sys
from pathlib import Path

import pytest

from services.recorder.reader import Run
from services.recorder.verify import verify
from tests.engine.simulators import House

pytestmark = pytest.mark.timeout(60, method="thread")
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("window", [1, 2, 3])
def test_a_small_window_lets_the_run_go_on(tmp_path, window):
    house = House(tmp_path)
    house.write(steps=12, record=True)
    recorder = subprocess.Popen([sys.executable, "-m", "services.recorder"], cwd=ROOT, env=house.environment)
    try:
        stop = house.run(f"record.window_steps={window}", "experiment.step_timeout_s=5.0")
        assert recorder.wait(30) == 0
    finally:
        recorder.kill()
        recorder.wait()
    assert (stop.outcome, stop.steps) == ("finished", 12)
    assert verify(Run(house.folder / "run")).good
