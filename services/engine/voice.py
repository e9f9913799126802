"""What transfer functions say to people: their `log`, and what they print.

A function that says the same thing thousands of times a second must not slow down the run or fill the recording:
beyond a number of messages a second they are counted only.
"""

import builtins
import sys
import time
from dataclasses import dataclass
from typing import Any

from reafference.clock import NS_PER_S
from reafference.frames import Message, Severity

from . import blame

MOST_PER_S = 50
"""Messages of one function in a second of wall time; those beyond are told in one."""

_MOST_CHARACTERS = 2000
_DEEPEST = 50


@dataclass(slots=True)
class _Window:
    """A second of wall time, and how much was said in it."""

    began_ns: int
    said: int = 0
    left_out: int = 0


class Voices:
    """Keeps what the functions say until the engine takes it.

    `speaking` is the function that is being called, with its file; nobody between two calls.
    """

    def __init__(self) -> None:
        self.speaking: tuple[str, str] | None = None
        self._step = self._t_ns = 0
        self._said: list[Message] = []
        self._windows: dict[str, _Window] = {}
        self._muted: set[str] = set()

    def begin(self, step: int, t_ns: int) -> None:
        """From now on all is said when so many steps are complete."""
        self._step, self._t_ns = step, t_ns

    def print(self, *values: Any, sep: str | None = " ", end: str | None = "\n", file: Any = None, **more: Any) -> None:
        """As the built-in one, but for what a transfer function prints to nowhere else."""
        if file is not None or self.speaking is None:
            builtins.print(*values, sep=sep, end=end, file=file, **more)
            return
        text = (" " if sep is None else sep).join(map(str, values))
        if text.strip():
            self.say(*self.speaking, "info", text)

    def say(self, function: str, file: str, severity: Severity, text: str) -> None:
        """Keep this until the engine takes it, or count it if the function says too much."""
        now = time.monotonic_ns()
        window = self._windows.get(function)
        if window is None or now - window.began_ns >= NS_PER_S:
            self._tell_left_out(function)
            window = self._windows[function] = _Window(now)
        if window.said >= MOST_PER_S:
            window.left_out += 1
            self._muted.add(function)
            return
        window.said += 1
        self._keep(function, file, severity, _shortened(text), _line(file))

    def taken(self, *, all_of_it: bool = False) -> list[Message]:
        """What was said since the last time, with how much was left out in the seconds that are over (or at all)."""
        if self._muted:
            over = time.monotonic_ns() - NS_PER_S
            for function in sorted(self._muted):
                if all_of_it or self._windows[function].began_ns <= over:
                    self._tell_left_out(function)
        if not self._said:
            return []
        said, self._said = self._said, []
        return said

    def _tell_left_out(self, function: str) -> None:
        window = self._windows.pop(function, None)
        self._muted.discard(function)
        if window is not None and window.left_out:
            more = "1 more message" if window.left_out == 1 else f"{window.left_out} more messages"
            text = f"{more} within a second: left out, {MOST_PER_S} are shown"
            self._keep(function, "", "info", text, 0)

    def _keep(self, function: str, file: str, severity: Severity, text: str, line: int) -> None:
        self._said.append(
            Message(
                step=self._step,
                t_ns=self._t_ns,
                severity=severity,
                source="transfer function",
                type="runtime",
                text=blame.readable(text),
                function=function,
                file=file,
                line=line,
            )
        )


class Log:
    """What a transfer function is given as `log`: `log.info("pressed", force_N=0.3)`."""

    __slots__ = ("_bound", "_file", "_function", "_voices")

    def __init__(self, voices: Voices, function: str, file: str, bound: dict[str, Any] | None = None) -> None:
        self._voices, self._function, self._file, self._bound = voices, function, file, bound or {}

    def debug(self, text: Any, *values: Any, **fields: Any) -> None:
        self._say("info", text, values, fields)

    def info(self, text: Any, *values: Any, **fields: Any) -> None:
        self._say("info", text, values, fields)

    def warning(self, text: Any, *values: Any, **fields: Any) -> None:
        self._say("warning", text, values, fields)

    def error(self, text: Any, *values: Any, **fields: Any) -> None:
        self._say("error", text, values, fields)

    def critical(self, text: Any, *values: Any, **fields: Any) -> None:
        self._say("error", text, values, fields)

    def exception(self, text: Any, *values: Any, **fields: Any) -> None:
        """An error, with the exception that is being handled."""
        error = sys.exc_info()[1]
        self._say("error", f"{text}: {blame.phrase(error)}" if error else text, values, fields)

    def bind(self, **fields: Any) -> "Log":
        """The same with these fields in every message."""
        return Log(self._voices, self._function, self._file, {**self._bound, **fields})

    def _say(self, severity: Severity, text: Any, values: tuple[Any, ...], fields: dict[str, Any]) -> None:
        said = str(text)
        if values:
            try:
                said %= values
            except (TypeError, ValueError):
                said = " ".join((said, *map(str, values)))
        named = {**self._bound, **fields}
        said += "".join(f" {name}={value!r}" for name, value in named.items())
        self._voices.say(self._function, self._file, severity, said)


def _shortened(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}… ({len(text)} characters)"


def _line(file: str) -> int:
    """The line of this file that is being executed, 0 if it is not in the way here."""
    frame = sys._getframe(2)
    for _ in range(_DEEPEST):
        if frame.f_code.co_filename == file:
            return frame.f_lineno
        if frame.f_back is None:
            return 0
        frame = frame.f_back
    return 0
