"""Words of Slurm that its commands and its REST service share: states, times, names."""

from .hostlist import expanded
from .scheduler import NodeState, Phase, Seen

# A job that ends is still there ("COMPLETING"): its nodes are not free, and its script may still be at work.
_WAITING = frozenset(("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD"))
_RUNNING = frozenset(("RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING", "STAGE_OUT"))
_NO_REASON = frozenset(("", "None", "(null)", "NonZeroExitCode"))
_GONE = frozenset(("DOWN", "DRAINED", "FAIL", "ERROR", "UNKNOWN", "POWERED_DOWN", "POWERING_DOWN", "REBOOT"))


def phase_of(word: str) -> Phase:
    """Where a job stands whose state has this name."""
    return "waiting" if word in _WAITING else "running" if word in _RUNNING else "ended"


def seen(
    states: str,
    *,
    reason: str = "",
    nodes: str = "",
    submitted_at: float | None = None,
    started_at: float | None = None,
    ended_at: float | None = None,
    exit_status: int | None = None,
) -> Seen:
    """A job as Slurm tells of it. Of "RUNNING,COMPLETING", and of "CANCELLED by 0", the first word counts."""
    word = states.replace(",", " ").split(" ")[0].upper() or "UNKNOWN"
    phase = phase_of(word)
    if phase == "waiting":
        started_at = None  # when it may start, at best
    return Seen(
        phase=phase,
        word=word,
        reason="" if reason in _NO_REASON else reason,
        nodes=expanded(nodes),
        submitted_at=submitted_at,
        started_at=started_at,
        ended_at=ended_at if phase == "ended" else None,
        exit_status=exit_status if phase == "ended" and word not in ("NODE_FAIL", "CANCELLED") else None,
    )


def node_state(words: str, cores_used: int, cores: int) -> NodeState:
    """A node's state from Slurm's, such as "mixed", "idle+drain", "DOWN*" or "ALLOCATED COMPLETING"."""
    flags = {flag.strip("*~#!%$@^-") for flag in words.upper().replace("+", " ").replace(",", " ").split()}
    # A star means that the node does not answer.
    if "*" in words or flags & _GONE or "NOT_RESPONDING" in flags:
        return "down"
    if flags & {"DRAIN", "MAINT", "RESERVED", "PLANNED", "FUTURE", "POWERING_UP"}:
        return "other"
    if flags & {"IDLE", "MIXED", "ALLOCATED", "COMPLETING", "ALLOC", "MIX", "COMP"}:
        return "idle" if cores_used == 0 and "IDLE" in flags else "allocated" if cores_used >= cores else "mixed"
    return "other"


def seconds(text: str) -> int | None:
    """A duration as Slurm writes it, [DAYS-][HOURS:]MINUTES:SECONDS, in s; None for UNLIMITED and the like."""
    days, dash, rest = text.strip().partition("-")
    if not dash:
        days, rest = "0", days
    parts = rest.split(":")
    if not days.isdigit() or not 1 <= len(parts) <= 3 or not all(part.isdigit() for part in parts):
        return None
    if dash:  # days-hours[:minutes[:seconds]]
        parts = [*parts, "0", "0"][:3]
    elif len(parts) == 1:  # minutes
        parts = ["0", parts[0], "0"]
    numbers = [0] * (3 - len(parts)) + [int(part) for part in parts]
    return int(days) * 86_400 + numbers[0] * 3600 + numbers[1] * 60 + numbers[2]


def exit_status(text: str) -> int | None:
    """That of `EXIT:SIGNAL`; None where a signal ended it."""
    status, _, signal = text.partition(":")
    if not status.isdigit() or (signal.isdigit() and int(signal)):
        return None
    return int(status)
