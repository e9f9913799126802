"""Where a simulation stands, from what its engine and its launcher say. Decides; touches nothing.

created → initialised → paused ⇄ started → stopped
               ↓                    ↓
            failed               halted
"""

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from reafference.frames import ErrorFrame, Frame, Message, Progress, RunStop, StateNote, Welcome

State = Literal["created", "initialised", "paused", "started", "stopped", "halted", "failed"]
Outcome = Literal["", "finished", "stopped", "fault"]
ENDED: tuple[State, ...] = ("stopped", "halted", "failed")

_OF_ENGINE: Mapping[str, State] = {
    "preparing": "initialised",
    "ready": "paused",
    "paused": "paused",
    "running": "started",
}
_REFUSALS = ("out_of_order", "not_allowed", "bad_frame", "unknown_kind")
_RTF_OVER_S = 2.0
_SPENT = ("brain", "body", "transfer", "exchange", "wait")
_FACTS = ("neurons", "synapses", "processes", "threads")
_PLACE = re.compile(r"(?P<file>[^\s:'\"]+\.\w+), line (?P<line>\d+)")
_TYPES = {
    "script_error": "compile",
    "bad_experiment": "loading",
    "port_mismatch": "loading",
    "transfer_failed": "runtime",
    "simulator_failed": "runtime",
    "peer_late": "timeout",
}
_NAMED = re.compile(r"(the )?(?P<who>brain|body|recorder)\b")
_COLUMN = re.compile(r", column (?P<column>\d+)")


@dataclass(slots=True)
class Task:
    """A slow task of a service that is being done. `before` are those it has finished, with their seconds."""

    task: str
    done: int
    total: int
    detail: str
    since: str
    began_at: float
    before: list[dict[str, Any]]

    def as_map(self) -> dict[str, Any]:
        return {
            "task": self.task,
            "done": self.done,
            "total": self.total,
            "detail": self.detail,
            "since": self.since,
            "before": list(self.before),
        }


@dataclass(slots=True)
class Status:
    """What is known of one simulation. `folder` is that of its experiment, to leave out of what people read."""

    folder: str = ""
    created_at: str = field(default_factory=lambda: stamp())
    state: State = "created"
    run: str = ""
    recording: str = ""
    started_at: str | None = None
    ended_at: str | None = None
    outcome: Outcome = ""
    text: str = ""
    problem: dict[str, Any] | None = None
    refusal: ErrorFrame | None = None
    note: StateNote | None = None
    stop: RunStop | None = None
    warnings: list[str] = field(default_factory=list)
    stop_asked: bool = False
    _tasks: dict[str, Task] = field(default_factory=dict)
    built: bool = False
    _real_s: float = 0.0
    _heard_at: float = 0.0
    _pace: deque[tuple[float, float]] = field(default_factory=deque)

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def dt_s(self) -> float:
        return float(self.note.facts.get("dt_ns", 0)) / 1e9 if self.note else 0.0

    # --- what is heard -------------------------------------------------------------------------------

    def hear(self, frame: Frame, now: float) -> bool:
        """Take what the engine says, at `now` in seconds; whether something is other than before."""
        match frame:
            case Welcome():
                self._begin(frame)
            case StateNote():
                return self._follow(frame, now)
            case Progress():
                self._work(frame, now)
            case RunStop():
                self._conclude(frame)
            case ErrorFrame() if "edit" in frame.detail or self._is_refusal(frame):
                self.refusal = frame
                return False
            case ErrorFrame():
                self.blame(frame.code, frame.text, detail=frame.detail)
            case Message(severity="error", type="compile" | "loading") if not self.built:
                self.blame("script_error", frame.text, frame.source, {"file": frame.file, "line": frame.line})
            case _:
                return False
        return True

    def say(self, event: Mapping[str, Any]) -> bool:
        """Take what the launcher says; whether something is other than before."""
        match event:
            case {"event": "warning", "text": str(text)}:
                self.warnings.append(text)
            case {"event": "failed", "code": str(code), "text": str(text)}:
                self.blame(code, text)
            case {"event": "engine", "how": str(how)}:
                step = self.note.step if self.note else 0
                self.blame("peer_lost", f"the engine was lost in step {step}: {how}")
            case _:
                return False
        return True

    def over(self, exit_status: int | None) -> None:
        """No process of it is left. `exit_status` is that of its launcher, None if it had to be killed."""
        self.ended_at = self.ended_at or stamp()
        if self.ended:
            return
        if self.stop is not None and self.problem is None:
            self.state, self.outcome = "stopped", _outcome(self.stop)
        elif self.stop_asked and (self.problem is None or self.problem["code"] in ("interrupted", "step_cancelled")):
            self.problem = None
            self.state, self.outcome = "stopped", "stopped"
        else:
            if self.problem is None:
                how = "was killed" if exit_status is None or exit_status < 0 else f"ended with status {exit_status}"
                self.blame("peer_lost", f"the run broke off: its launcher {how}")
            self._break()

    def ended_unseen(self) -> None:
        """It ended well while nobody here listened."""
        self.state, self.outcome, self.text = "stopped", "finished", "it ended while the server was away"

    def put_away(self) -> None:
        """Somebody has seen that it halted, and stopped it; its problem stays."""
        if self.state == "halted":
            self.state = "stopped"

    def blame(self, code: str, text: str, source: str = "", detail: Mapping[str, Any] | None = None) -> None:
        """Keep the first problem; what follows from it tells less."""
        if self.problem is None or len(self.problem["detail"]) == 0:
            self.problem = problem(code, self._shortened(text), source, detail or {})
            self.text = self.problem["detail"]

    # --- how it goes on ------------------------------------------------------------------------------

    def _begin(self, welcome: Welcome) -> None:
        self.run = welcome.run
        self.recording = Path(welcome.run_folder).name if welcome.run_folder else ""
        self.stop = None
        self._pace.clear()

    def _follow(self, note: StateNote, now: float) -> bool:
        before, was = self.state, self.note
        self._keep_time(note, now)
        self.note = note
        if note.state == "fault":
            self.blame("peer_lost", note.text)
            self._break()
        elif not self.ended:
            self.state = _OF_ENGINE.get(note.state, self.state)
        if self.state in ("paused", "started"):
            self.built = True
            self._tasks.clear()
        if self.state == "started" and self.started_at is None:
            self.started_at = stamp()
        return self.state != before or was is None or was.step != note.step or was.facts.keys() != note.facts.keys()

    def _keep_time(self, note: StateNote, now: float) -> None:
        real_ns = note.facts.get("real_ns")
        if isinstance(real_ns, int):
            self._real_s = real_ns / 1e9
        elif note.state == "running" and self.note is not None and self.note.state == "running":
            self._real_s += now - self._heard_at
        self._heard_at = now
        if note.state == "running":
            self._pace.append((self._real_s, note.t_ns / 1e9))
            while len(self._pace) > 2 and self._real_s - self._pace[0][0] > _RTF_OVER_S:
                self._pace.popleft()

    def _work(self, progress: Progress, now: float) -> None:
        known = self._tasks.get(progress.service)
        if known is None or known.task != progress.task:
            before = [*known.before, {"task": known.task, "s": round(now - known.began_at, 3)}] if known else []
            known = Task(progress.task, 0, 0, "", stamp(), now, before)
            self._tasks[progress.service] = known
        known.done, known.total, known.detail = progress.done, progress.total, progress.detail

    def _conclude(self, stop: RunStop) -> None:
        if stop.outcome == "reset":
            self.state, self.built = "initialised", False
            return
        self.stop = stop
        if stop.outcome in ("fault", "halted"):
            if not (self.stop_asked and stop.code in ("interrupted", "step_cancelled")):
                self._accuse(stop)
                self._break()
            return
        self.state, self.outcome, self.text = "stopped", _outcome(stop), self._shortened(stop.text)
        self.ended_at = stamp()

    def _accuse(self, stop: RunStop) -> None:
        """The last document knows who was to blame for a fault that the state has told of already."""
        text = self._shortened(stop.text)
        if self.problem is not None and self.problem["detail"] == text.strip():
            self.problem = None
        self.blame(stop.code or "internal", stop.text, stop.service)

    def _break(self) -> None:
        if not self.ended:
            self.state = "halted" if self.built else "failed"
            self.outcome = "fault"
            self.ended_at = stamp()

    def _is_refusal(self, frame: ErrorFrame) -> bool:
        """Whether this answers an order, and changes nothing."""
        return frame.code in _REFUSALS and self.stop is None

    def _shortened(self, text: str) -> str:
        return text.replace(f"{self.folder}/", "") if self.folder else text

    # --- how it is told ------------------------------------------------------------------------------

    @property
    def real_time_factor(self) -> float:
        """Simulated over wall time in the last two seconds in which it ran."""
        if len(self._pace) < 2:
            return 0.0
        (real0, t0), (real1, t1) = self._pace[0], self._pace[-1]
        return (t1 - t0) / (real1 - real0) if real1 > real0 else 0.0

    def as_map(self) -> dict[str, Any]:
        """The part of API.md's Simulation that is known here."""
        note = self.note
        facts: Mapping[str, Any] = note.facts if note else {}
        t_s = note.t_ns / 1e9 if note else 0.0
        return {
            "state": self.state,
            "run": self.run,
            "recording": self.recording,
            "created_at": self.created_at,
            "started_at": self.started_at,
            "ended_at": self.ended_at,
            "outcome": self.outcome,
            "text": self.text,
            "problem": self.problem,
            "warnings": list(self.warnings),
            "step": note.step if note else 0,
            "t_s": t_s,
            "real_s": round(self._real_s, 6),
            "real_time_factor": round(self.real_time_factor, 4),
            "dt_s": self.dt_s,
            "limit": self._limit(facts, t_s),
            "spent_s": {name: _seconds(facts, "spent_ns", name) for name in _SPENT},
            "function_s": {str(name): ns / 1e9 for name, ns in dict(facts.get("function_ns", {})).items()},
            "progress": {name: task.as_map() for name, task in self._tasks.items()},
            "facts": {key: facts[key] for key in _FACTS if key in facts},
        }

    def _limit(self, facts: Mapping[str, Any], t_s: float) -> dict[str, Any] | None:
        limit = facts.get("limit")
        if isinstance(limit, Mapping):
            return {"kind": limit.get("kind", "simulated"), "s": limit.get("s"), "left_s": limit.get("left_s")}
        if self.note is None or not self.note.steps:
            return None
        end_s = self.note.steps * self.dt_s
        return {"kind": "simulated", "s": end_s, "left_s": max(round(end_s - t_s, 9), 0.0)}


def problem(code: str, text: str, source: str, detail: Mapping[str, Any]) -> dict[str, Any]:
    """A problem as Simulation has it; file and line are read from the text where nobody gives them."""
    found = _PLACE.search(text)
    column = _COLUMN.search(text)
    lines = text.split("\n")
    file = str(detail.get("file") or (found["file"] if found else ""))
    return {
        "code": code,
        "detail": text.strip(),
        "source": source or _source_of(text, file),
        "type": _TYPES.get(code, "environment"),
        "file": Path(file).name if file else None,
        "line": int(detail.get("line") or (found["line"] if found else 0)) or None,
        "column": int(detail.get("column") or (column["column"] if column else 0)) or None,
        "line_text": str(detail.get("line_text") or (lines[1].strip() if found and len(lines) > 1 else "")) or None,
    }


def _source_of(text: str, file: str) -> str:
    """Who is probably to blame; the last document of the run knows, but comes a little later."""
    if file.endswith("transfer.py"):
        return "transfer function"
    named = _NAMED.match(text)
    return named["who"] if named else "engine"


def stamp() -> str:
    """Now, in ISO 8601 and UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _outcome(stop: RunStop) -> Outcome:
    return "finished" if stop.outcome == "finished" else "stopped"


def _seconds(facts: Mapping[str, Any], table: str, name: str) -> float:
    return round(float(dict(facts.get(table, {})).get(name, 0)) / 1e9, 6)
