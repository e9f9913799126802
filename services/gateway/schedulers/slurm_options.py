"""The `#SBATCH` lines of a script as fields of slurmrestd, which does not read them itself.

So what is asked of a cluster is written in one place, the script, whichever way it goes.
"""

from collections.abc import Mapping
from typing import Any

from reafference.errors import BadExperiment

from .slurm_words import seconds

_MARK = "#SBATCH "
_TEXTS = {
    "job-name": "name",
    "partition": "partition",
    "account": "account",
    "chdir": "current_working_directory",
    "output": "standard_output",
    "error": "standard_error",
    "constraint": "constraints",
    "reservation": "reservation",
    "qos": "qos",
    "gres": "gres",
    "licenses": "licenses",
    "nodelist": "required_nodes",
    "exclude": "excluded_nodes",
    "comment": "comment",
}
_COUNTS = {
    "ntasks": "tasks",
    "ntasks-per-node": "tasks_per_node",
    "ntasks-per-socket": "tasks_per_socket",
    "cpus-per-task": "cpus_per_task",
    "mincpus": "minimum_cpus_per_node",
}
_UNITS_MB = {"K": 1 / 1024, "M": 1, "G": 1024, "T": 1024 * 1024}
_LISTS = ("required_nodes", "excluded_nodes")
_FIRST_WITH_OBJECTS = 39
"""From v0.0.39 on, numbers that may be infinite are objects, and the environment is a list."""


def options(script: str) -> dict[str, str]:
    """The options in a script by their long names; those that are only switched on have ""."""
    found = {}
    for line in script.splitlines():
        if line.startswith(_MARK):
            name, _, value = line.removeprefix(_MARK).strip().partition("=")
            found[name.removeprefix("--")] = value
    return found


def submission(script: str, environment: Mapping[str, str], version: int) -> dict[str, Any]:
    """The body of `job/submit` for slurmrestd v0.0.VERSION. Raises BadExperiment for an option it has no field for.
    The scripts keep the clock themselves, so a signal that it cannot send is left out.
    """
    new = version >= _FIRST_WITH_OBJECTS
    job: dict[str, Any] = {
        "environment": [f"{name}={value}" for name, value in environment.items()] if new else dict(environment)
    }
    given = options(script)
    for name, value in given.items():
        job |= _field(name, value, version)
    count = int(given["nodes"]) if given.get("nodes", "").isdigit() else 1
    per_node = given.get("ntasks-per-node", "")
    job.setdefault("tasks", count * (int(per_node) if per_node.isdigit() else 1))
    # Since v0.0.41 the script belongs to the job; before, it stands beside it.
    return {"job": {**job, "script": script}} if version >= 41 else {"script": script, "job": job}


def _field(name: str, value: str, version: int) -> dict[str, Any]:
    new = version >= _FIRST_WITH_OBJECTS
    if name in _TEXTS:
        key = _TEXTS[name]
        if key in _LISTS:  # v0.0.38 calls them as sbatch does
            return {key: value.split(",")} if new else {name: value}
        return {key: value}
    if name in _COUNTS and value.isdigit():
        return {_COUNTS[name]: int(value)}
    match name:
        case "nodes" if value.isdigit():
            return {"nodes": value if new else [int(value), int(value)]}
        case "time" if (limit_s := seconds(value)) is not None:
            return {"time_limit": _number(-(-limit_s // 60), version)}
        case "mem" if (megabytes := _megabytes(value)) is not None:
            return {"memory_per_node": _number(megabytes, version)}
        case "exclusive":
            return {"shared": ["none"]} if new else {"exclusive": "exclusive"}
        case "open-mode":
            return {"open_mode": [value.upper()] if version >= 40 else value}
        case "requeue" | "no-requeue":
            return {"requeue": name == "requeue"} if new else {name.replace("-", "_"): True}
        case "no-kill":
            return {"kill_on_node_fail": False} if new else {"no_kill": "set"}
        case "signal":
            return _signal(value, version)
    raise BadExperiment(
        f"slurmrestd has no field for the option --{name}={value}: leave it out, or use Slurm's commands"
    )


def _signal(value: str, version: int) -> dict[str, Any]:
    """`B:USR1@120`: so many seconds before the limit, to the script alone."""
    flags, _, rest = value.rpartition(":")
    name = rest.partition("@")[0]
    if version < _FIRST_WITH_OBJECTS:
        return {} if "B" in flags else {"signal": rest}  # it refuses the B: that sbatch takes
    return {
        "kill_warning_signal": name,
        "kill_warning_delay": _number(_before_s(value), version),
        "kill_warning_flags": ["BATCH_JOB"] if "B" in flags else [],
    }


def _before_s(value: str) -> int:
    digits = value.rpartition("@")[2]
    return int(digits) if digits.isdigit() else 60


def _number(value: int, version: int) -> Any:
    return {"set": True, "infinite": False, "number": value} if version >= _FIRST_WITH_OBJECTS else value


def _megabytes(text: str) -> int | None:
    digits, unit = (text[:-1], text[-1].upper()) if text and text[-1].isalpha() else (text, "M")
    if not digits.isdigit() or unit not in _UNITS_MB:
        return None
    return max(1, round(int(digits) * _UNITS_MB[unit]))
