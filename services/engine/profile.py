"""Where each step's time went.

Times are wall-clock nanoseconds here and seconds in the file, whose columns `robot_step`, `brain_step` (without
read-out), `brain_refresh` (with it) and `cle_step` are those of the published per-step profile.
"""

import csv
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from reafference.frames import Array, Port

PARTS = (
    "cle_step",
    "brain_step",
    "brain_refresh",
    "robot_step",
    "robot_refresh",
    "transfer",
    "send",
    "wait",
    "commit",
    "credit_wait",
    "pace_wait",
)
"""`cle_step` runs from one grant to the next. `brain_step` is the simulator's own run, `brain_refresh` that, the
writing of devices and the reading of those that the step waits for; `robot_step` is the body's own stepping,
`robot_refresh` that and its sensors. `send` is encoding and sending the grants, `wait` from then to the last answer,
`commit` preparing the commit mark, `transfer` the transfer functions. `credit_wait` and `pace_wait` are waits for the
recorder and for the wall clock."""

PORT = Port(
    name="profile.parts",
    shape=(len(PARTS),),
    dtype="<i8",
    unit="ns",
    labels=PARTS,
    digest=False,
    description="wall-clock time of the parts of a CLE step",
)


@dataclass(slots=True)
class Row:
    """One step, while it is being measured; nanoseconds."""

    step: int
    cle_step: int = 0
    brain_step: int = 0
    brain_refresh: int = 0
    robot_step: int = 0
    robot_refresh: int = 0
    transfer: int = 0
    send: int = 0
    wait: int = 0
    commit: int = 0
    credit_wait: int = 0
    pace_wait: int = 0

    def take(self, participant: str, timing: Mapping[str, int]) -> None:
        """Note what a participant says of itself: nanoseconds of `run`, `write` and `readout`."""
        run = timing.get("run", 0)
        refresh = run + timing.get("write", 0) + timing.get("readout", 0)
        if participant == "brain":
            self.brain_step, self.brain_refresh = run, refresh
        elif participant == "body":
            self.robot_step, self.robot_refresh = run, refresh

    def parts(self) -> Array:
        return np.array([getattr(self, name) for name in PARTS], np.int64)


@dataclass(slots=True)
class Spent:
    """Wall time by what it was spent on, in nanoseconds: brain, body, transfer functions, all else that the engine does
    in a step, and waiting for the recorder or the wall clock."""

    brain: int = 0
    body: int = 0
    transfer: int = 0
    exchange: int = 0
    wait: int = 0

    def add(self, row: Row) -> None:
        waited = row.credit_wait + row.pace_wait
        slower = max(row.brain_refresh, row.robot_refresh)
        self.brain += row.brain_refresh
        self.body += row.robot_refresh
        self.transfer += row.transfer
        self.wait += waited
        # What a slow participant says of a step of its own may be more than this step took.
        self.exchange += max(0, row.cle_step - waited - row.transfer - slower)


class Profile:
    """The rows of all complete steps."""

    def __init__(self) -> None:
        self._rows: list[Array] = []
        self._sum_but_first_ns = 0
        self._spent = Spent()

    def add(self, row: Row) -> Array:
        parts = row.parts()
        self._spent.add(row)
        if self._rows:
            self._sum_but_first_ns += row.cle_step
        self._rows.append(parts)
        return parts

    def __len__(self) -> int:
        return len(self._rows)

    def spent_ns(self) -> dict[str, int]:
        """Wall time of all steps by what it was spent on; brain and body work at the same time."""
        return asdict(self._spent)

    @property
    def last_step_ns(self) -> int:
        return int(self._rows[-1][0]) if self._rows else 0

    def mean_step_ns(self) -> int:
        """Mean CLE step without the first one, in which simulators still set up their tables."""
        later = len(self._rows) - 1
        return self._sum_but_first_ns // later if later > 0 else self.last_step_ns

    def real_time_factor(self, dt_ns: int) -> float:
        """Simulated over wall-clock time: step length over mean CLE step, the first excluded."""
        mean = self.mean_step_ns()
        return dt_ns / mean if mean else 0.0

    def summary(self) -> dict[str, dict[str, float]]:
        """Median, p99 and mean in milliseconds over all steps but the first, under the names of summary.json."""
        if not self._rows:
            return {}
        table = np.array(self._rows[1:] or self._rows)
        part = {name: table[:, i] for i, name in enumerate(PARTS)}
        working = part["cle_step"] - part["pace_wait"]
        series = {
            "step_ms": part["cle_step"],
            "brain_run_ms": part["brain_step"],
            "brain_readout_ms": part["brain_refresh"] - part["brain_step"],
            "body_ms": part["robot_step"],
            "body_readout_ms": part["robot_refresh"] - part["robot_step"],
            "transfer_ms": part["transfer"],
            # What is left of a step when the slower of the two simulators is taken away.
            "overhead_ms": working - np.maximum(part["brain_step"], part["robot_step"]),
            "send_ms": part["send"],
            "wait_ms": part["wait"],
            "commit_ms": part["commit"],
            "credit_wait_ms": part["credit_wait"],
            "pace_wait_ms": part["pace_wait"],
        }
        return {name: _statistics(values / 1e6) for name, values in series.items()}

    def first_step_ms(self) -> float:
        return float(self._rows[0][0]) / 1e6 if self._rows else 0.0

    def write_csv(self, path: Path, dt_ns: int) -> None:
        """One row per step, times in seconds. Raises OSError."""
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["step", "t_s", *PARTS])
            for step, row in enumerate(self._rows):
                seconds = (f"{value / 1e9:.9f}" for value in row)
                writer.writerow([step, f"{(step + 1) * dt_ns / 1e9:.9g}", *seconds])


def _statistics(values: Array) -> dict[str, float]:
    return {
        "median": round(float(np.median(values)), 6),
        "p99": round(float(np.percentile(values, 99)), 6),
        "mean": round(float(np.mean(values)), 6),
    }
