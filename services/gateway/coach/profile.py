"""The profiler's files of a run, as the published platform names and fills them.

They are made when they are read: from `profile.csv`, `summary.json` and `cprofile.pstats` in the folder of the run.
"""

import csv
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..problems import not_found
from ..recordings import summary_in

_STEPS = ("robot_step", "brain_step", "brain_refresh", "cle_step")
_PROFILE, _CPROFILE = "profile.csv", "cprofile.pstats"


def names(run: Path) -> list[str]:
    """The files that there are of the run in this folder."""
    return [name for name, (source, _) in _FILES.items() if (run / source).is_file()]


def content(run: Path, name: str) -> bytes:
    """One of them; raises Problem 404 if it is not there."""
    source, make = _FILES.get(name, ("", None))
    if make is None or not (run / source).is_file():
        raise not_found("file of the profiler", name)
    return make(run)


def _steps(run: Path) -> bytes:
    """One row for each CLE step; seconds of the body's step, of the brain's without and with its devices, of all."""
    with (run / _PROFILE).open(encoding="utf-8", newline="") as file:
        rows = [[row[name] for name in _STEPS] for row in csv.DictReader(file)]
    return _table(_STEPS, rows)


def _nest_info(run: Path) -> bytes:
    """One row about the brain."""
    counts = summary_in(run)
    row = {
        "timestep": counts.get("simulated_s", 0.0) / max(counts.get("steps", 0), 1),
        "local_num_threads": counts.get("threads", 1),
        "num_processes": counts.get("processes", 1),
        "total_num_virtual_procs": counts.get("threads", 1) * counts.get("processes", 1),
        "num_connections": counts.get("synapses", 0),
        "network_size": counts.get("neurons", 0) + counts.get("devices", 0),
        "num_neurons": counts.get("neurons", 0),
        "brain_load_time": counts.get("build_s", 0.0),
    }
    return _table(tuple(row), [list(row.values())])


def _cprofile(run: Path) -> bytes:
    return (run / _CPROFILE).read_bytes()


def _table(header: tuple[str, ...], rows: list[list[Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode("utf-8")


_FILES: Mapping[str, tuple[str, Callable[[Path], bytes]]] = {
    "cle_time_profile_0.csv": (_PROFILE, _steps),
    "nest_info_0.csv": ("summary.json", _nest_info),
    "cle_nest_stats_0.pstats": (_CPROFILE, _cprofile),
}
