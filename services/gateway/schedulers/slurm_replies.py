"""Replies of slurmrestd as values. Its versions write numbers, states and lists differently; all are understood."""

from collections.abc import Mapping
from typing import Any

from .scheduler import Node, Partition, Seen
from .slurm_words import node_state, seen

_MIB = 2**20
# What 32 bits hold for "not set" and "no limit".
_HUGE = 0xFFFFFFF0


def errors_in(told: Mapping[str, Any]) -> str:
    """What a reply complains of, in a line; empty if it does not."""
    found = []
    for error in told.get("errors") or ():
        if isinstance(error, dict):
            words = [str(error[key]) for key in ("error", "description") if error.get(key)]
            found.append(": ".join(dict.fromkeys(words)) or f"error {error.get('error_number', '')}")
    return "; ".join(found)[:300]


def present_job(row: Mapping[str, Any]) -> Seen:
    """A job of slurm/jobs."""
    return seen(
        _words(row.get("job_state")),
        reason=str(row.get("state_reason") or ""),
        nodes=str(row.get("nodes") or ""),
        submitted_at=_instant(row.get("submit_time")),
        started_at=_instant(row.get("start_time")),
        ended_at=_instant(row.get("end_time")),
        exit_status=_exit_status(row.get("exit_code")),
    )


def past_job(row: Mapping[str, Any]) -> Seen:
    """A job of slurmdb/jobs."""
    state = row.get("state") or {}
    times = row.get("time") or {}
    return seen(
        _words(state.get("current")),
        reason=str(state.get("reason") or ""),
        nodes=str(row.get("nodes") or ""),
        submitted_at=_instant(times.get("submission")),
        started_at=_instant(times.get("start")),
        ended_at=_instant(times.get("end")),
        exit_status=_exit_status(row.get("exit_code")),
    )


def node(row: Mapping[str, Any]) -> Node:
    """A node of slurm/nodes."""
    words = ",".join(filter(None, (_words(row.get("state")), _words(row.get("state_flags")))))
    cores, used = _number(row.get("cpus")) or 0, _number(row.get("alloc_cpus")) or 0
    memory = _number(row.get("real_memory"))
    return Node(
        name=str(row.get("name") or row.get("hostname") or "?"),
        state=node_state(words, used, cores),
        cores=cores,
        cores_used=used,
        sockets=_number(row.get("sockets")) or 0,
        memory_gb=None if memory is None else round(memory * _MIB / 1e9, 1),
    )


def partition(row: Mapping[str, Any]) -> Partition | None:
    """A partition of slurm/partitions; None for one that is closed."""
    state = row.get("state") or (row.get("partition") or {}).get("state")
    if state and "UP" not in _words(state).upper().split(","):
        return None
    nodes = row.get("total_nodes")
    if nodes is None and isinstance(row.get("nodes"), dict):
        nodes = row["nodes"].get("total")
    minutes = _number(row.get("max_time_limit", (row.get("maximums") or {}).get("time")))
    flags = _words(row.get("flags")).lower().split(",")
    return Partition(
        name=str(row.get("name") or ""),
        nodes=_number(nodes) or 0,
        time_limit_s=None if minutes is None else minutes * 60,
        default="default" in flags,
    )


def accounts(told: Mapping[str, Any], user: str) -> tuple[str, ...]:
    """The accounts of a user out of slurmdb/associations."""
    rows = [row for row in told.get("associations") or () if isinstance(row, dict)]
    return tuple(dict.fromkeys(str(row["account"]) for row in rows if row.get("user") == user and row.get("account")))


def _words(value: Any) -> str:
    """A state, or several of them, as words with commas."""
    return ",".join(map(str, value)) if isinstance(value, list) else str(value or "")


def _number(value: Any) -> int | None:
    """A number, plain or as {set, infinite, number}; None for one that is not set or has no limit."""
    if isinstance(value, Mapping):
        if value.get("infinite") or value.get("set") is False:
            return None
        value = value.get("number")
    if not isinstance(value, (int, float)) or isinstance(value, bool) or value < 0 or value >= _HUGE:
        return None
    return int(value)


def _instant(value: Any) -> float | None:
    """A time in seconds since 1970; None where it is 0, which it has not come to."""
    number = _number(value)
    return float(number) if number else None


def _exit_status(value: Any) -> int | None:
    """That of a script; None where a signal ended it.

    v0.0.38 has what wait() says, later ones {return_code, signal}; slurmdb has the latter in all of them.
    """
    if isinstance(value, Mapping) and ("return_code" in value or "signal" in value):
        signal = value.get("signal")
        if isinstance(signal, Mapping) and _number(signal.get("id", signal.get("signal_id"))):
            return None
        return _number(value.get("return_code"))
    number = _number(value)
    if number is None or number & 0x7F:
        return None
    return number >> 8
