"""A launcher at a stand names the folder of its wires, which the server binds in and removes: it must be its own."""

from pathlib import Path

import pytest

from services.gateway.simulation import Simulation
from services.gateway.status import Status


def simulation(stands: Path) -> Simulation:
    return Simulation(
        id="s1",
        experiment="x",
        title="",
        owner="ann",
        name="x",
        folder=stands / "x",
        recordings=stands / "recordings",
        status=Status(),
        stand=stands / "launcher.stand",
    )


@pytest.mark.parametrize(
    "folder", ["data", "run", "run/set-1", "run/../data/wires-1", "run/link/wires-1", "run/wires-2"]
)
def test_a_folder_that_is_not_among_the_stands_is_left_alone(tmp_path: Path, folder: str) -> None:
    run, data = tmp_path / "run", tmp_path / "data"
    (run / "set-1").mkdir(parents=True)
    (data / "wires-1").mkdir(parents=True)
    (run / "link").symlink_to(data)
    (run / "wires-2").symlink_to(data)
    one = simulation(run)
    one._take_event({"event": "wires", "folder": str(tmp_path / folder)})
    assert one.wires is None
    assert one.status.problem is not None
    assert "is no folder for the wires of a run" in one.status.problem["detail"]


@pytest.mark.parametrize("folder", ["wires-1", "set-1/wires-1"])
def test_a_folder_among_the_stands_may_hold_them(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir(parents=True)
    assert simulation(tmp_path)._may_hold_wires(tmp_path / folder)


def test_a_launch_that_was_given_up_at_once_is_told_with_its_reason(tmp_path: Path) -> None:
    one = simulation(tmp_path)
    one._take_event({"event": "wires", "folder": str(tmp_path / "wires-1")})  # which has been removed again
    one._take_event({"event": "failed", "code": "peer_lost", "text": "the stand of the brain does not answer"})
    assert one.status.problem is not None
    assert one.status.problem["detail"] == "the stand of the brain does not answer"
