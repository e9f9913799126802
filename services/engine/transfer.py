"""Transfer functions: declare, order, evaluate, isolate.

The engine keeps one array per input port. Functions write into them and what nobody writes keeps its value, so
a function that failed is simply not called any more and its last values hold.
"""

import inspect
import linecache
import math
import signal
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType, SimpleNamespace, TracebackType
from typing import Any

import numpy as np

from reafference import declare, plain
from reafference.errors import BadExperiment, PortMismatch, ScriptError
from reafference.frames import Array, Message, MessageType, Ports

from . import ports as addresses
from .ports import Place

Values = dict[str, dict[str, Array]]
"""Arrays by participant and port name."""


@dataclass(slots=True)
class Function:
    """One transfer function, resolved against the ports of this run.

    `flaw` says why it cannot be called with the ports as they are now; empty if it can.
    """

    declaration: declare.Declaration
    reads: tuple[Place, ...]
    writes: tuple[Place, ...]
    injected: tuple[str, ...]
    active: bool = True
    flaw: str = ""
    state: SimpleNamespace = field(default_factory=SimpleNamespace)

    @property
    def name(self) -> str:
        return self.declaration.name

    @property
    def to_brain(self) -> bool:
        return any(place.participant == "brain" for place in self.writes)


class Late(BaseException):
    """A transfer function did not come back within its time; it cannot catch this by `except Exception`."""


class Transfer:
    """All transfer functions of a run.

    `values` holds the newest outputs of each participant, `inputs` what it will be given next; both start at
    the resting values that the ports declare. `want` says which output ports the functions read.
    """

    def __init__(
        self,
        declarations: Sequence[declare.Declaration],
        ports: Mapping[str, Ports],
        params: Mapping[str, Any],
        *,
        timeout_s: float = 5.0,
        log: Any = None,
    ) -> None:
        self.values: Values = _resting(addresses.outputs(ports))
        self.inputs: Values = {
            name: {port: np.array(array) for port, array in resting.items()}
            for name, resting in _resting(addresses.inputs(ports)).items()
        }
        self.functions = sorted(
            (_resolve(declaration, ports) for declaration in declarations),
            key=lambda f: (not f.to_brain, -f.declaration.priority, f.name),
        )
        self._params = SimpleNamespace(**params)
        self._timeout_s = timeout_s
        self._log = log
        self._alarm = _Alarm()

    def close(self) -> None:
        """Give the alarm signal back to whoever had it before."""
        self._alarm.close()

    def want(self, participant: str) -> tuple[str, ...]:
        """Output ports of `participant` that functions read and that must therefore ride in its answers."""
        read = (place for f in self.functions if not f.flaw for place in f.reads)
        return tuple(sorted({p.port.name for p in read if p.participant == participant}))

    def switched_off(self) -> list[str]:
        return [f.name for f in self.functions if not f.active or f.flaw]

    def rewire(self, participant: str, ports: Mapping[str, Ports], step: int, t_ns: int) -> list[Message]:
        """Take the ports as they are now, those of `participant` having changed; variables stay.

        What it gave is at rest again; what it takes keeps its value where the port is what it was. For each function
        that names a port which is gone there is a message: it is not called until the port is there again.
        """
        self.values[participant] = {port.name: port.resting() for port in ports[participant].outputs}
        before = self.inputs[participant]
        self.inputs[participant] = {port.name: port.kept(before.get(port.name)) for port in ports[participant].inputs}
        messages = []
        for function in self.functions:
            try:
                resolved = _resolve(function.declaration, ports)
            except PortMismatch as error:
                if not function.flaw:
                    messages.append(_flawed(function, error, step, t_ns))
                function.flaw = error.text
            else:
                function.reads, function.writes, function.flaw = resolved.reads, resolved.writes, ""
        return messages

    def evaluate(self, t_ns: int, step: int) -> list[Message]:
        """Call every active function once; `step` steps are complete, the last one ended at `t_ns`.

        A function that raises, returns something unusable or takes too long is switched off; for each there is
        a message. Raises PortMismatch for a wrong shape before step 0, where it can still be mended.
        """
        given = {"t": t_ns / 1e9, "step": step, "params": self._params, "log": self._log}
        limit = self._alarm.ring_after
        messages = []
        for function in self.functions:
            if not function.active or function.flaw:
                continue
            try:
                limit(self._timeout_s)
                result = self._call(function, given)
                limit(0)
                self._write(function, result)
            except _Unusable as error:
                if error.shape and step == 0:
                    raise PortMismatch(str(error)) from None
                messages.append(_message(function, error, step, t_ns))
            except Late as late:
                limit(0)  # before it rings again, here
                late.args = (f"transfer function {function.name!r} did not return within {self._timeout_s:g} s",)
                messages.append(_message(function, late, step, t_ns))
            except (Exception, SystemExit) as error:
                messages.append(_message(function, error, step, t_ns))
            else:
                continue
            limit(0)
            function.active = False
        return messages

    def _call(self, function: Function, given: Mapping[str, Any]) -> Any:
        arguments = [_read(self.values, place) for place in function.reads]
        extra = {name: function.state if name == "state" else given[name] for name in function.injected}
        return function.declaration.function(*arguments, **extra)

    def _write(self, function: Function, result: Any) -> None:
        """Check everything first, then write: a bad value in second place must not leave half a result."""
        checked = [
            (place, _usable(function, place, value))
            for place, value in zip(function.writes, _spread(function, result), strict=True)
            if value is not None
        ]
        for place, array in checked:
            self._own(place)[... if place.index is None else place.index] = array

    def _own(self, place: Place) -> Array:
        """The input array to write into: a new one where the old one was large and belongs to the wire."""
        known, name = self.inputs[place.participant], place.port.name
        if not known[name].flags.writeable:
            known[name] = known[name].copy()
        return known[name]


def load(name: str, text: str, folder: Path) -> list[declare.Declaration]:
    """Run the file of transfer functions and return what it declares.

    Raises ScriptError, with file and line, for anything that keeps it from being run.
    """
    shown = str(folder / name)
    # Tracebacks show the text that ran, even if the file on disk has changed meanwhile.
    linecache.cache[shown] = (len(text), None, text.splitlines(keepends=True), shown)
    code = _compiled(shown, text)
    with declare.collecting() as declarations, _importable(folder):
        try:
            exec(code, {"__name__": Path(name).stem, "__file__": shown, "transfer": declare.transfer})
        except (Exception, SystemExit) as error:
            line = _deepest_line(error.__traceback__, shown)
            raise ScriptError(
                f"{shown}, line {line}: {_phrase(error)}\n    {linecache.getline(shown, line).strip()}",
                detail={"file": shown, "line": line},
            ) from None
    names = [declaration.name for declaration in declarations]
    for declaration in declarations:
        if names.count(declaration.name) > 1:
            raise ScriptError(
                f"{shown}: two transfer functions are called {declaration.name!r}: rename one of them",
                detail={"file": shown},
            )
    return declarations


def _compiled(shown: str, text: str) -> CodeType:
    try:
        return compile(text, shown, "exec")
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", 0) or 0
        column = getattr(error, "offset", 0) or 0
        source = (getattr(error, "text", "") or "").strip()
        raise ScriptError(
            f"{shown}, line {line}: {error.args[0]}\n    {source}",
            detail={"file": shown, "line": line, "column": column},
        ) from None


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let a script import the modules beside it; who loads it again gets them anew, with the variables in them."""
    sys.path.insert(0, str(folder))
    before = set(sys.modules)
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None)
            if file and Path(file).is_relative_to(folder):
                del sys.modules[name]


# --- resolving ---------------------------------------------------------------------------------------


def _resting(ports: Mapping[str, Sequence[Any]]) -> Values:
    return {name: {port.name: port.resting() for port in known} for name, known in ports.items()}


def _resolve(declaration: declare.Declaration, ports: Mapping[str, Ports]) -> Function:
    who = f"transfer function {declaration.name!r}"
    readable, writable = addresses.outputs(ports), addresses.inputs(ports)
    reads = tuple(addresses.find(a, readable, f"{who} reads") for a in declaration.reads)
    writes = tuple(addresses.find(a, writable, f"{who} writes to") for a in declaration.writes)
    injected = _injected(declaration, who)
    return Function(declaration, reads, writes, injected, declaration.active)


def _injected(declaration: declare.Declaration, who: str) -> tuple[str, ...]:
    """Which of the offered names the function takes; raises BadExperiment if its arguments do not fit."""
    signature = inspect.signature(declaration.function)
    names = list(signature.parameters)
    taken = next((name for name in names[: len(declaration.reads)] if name in declare.INJECTED), None)
    if taken is not None:
        raise BadExperiment(
            f"{who} reads {_values(len(declaration.reads))}, which come first, but is defined as "
            f"{declaration.name}{signature}: {taken!r} has another meaning, so give what is read a name before it"
        )
    injected = tuple(name for name in names[len(declaration.reads) :] if name in declare.INJECTED)
    try:
        signature.bind(*declaration.reads, **dict.fromkeys(injected))
    except TypeError as error:
        raise BadExperiment(
            f"{who} reads {_values(len(declaration.reads))} but is defined as {declaration.name}{signature}: {error}; "
            f"besides what it reads it may take {', '.join(declare.INJECTED)}"
        ) from None
    return injected


def _values(count: int) -> str:
    return "1 value" if count == 1 else f"{count} values"


# --- values ------------------------------------------------------------------------------------------


class _Unusable(Exception):
    """A result that cannot be written; `shape` says that its form is wrong, not its number."""

    def __init__(self, text: str, *, shape: bool = False) -> None:
        super().__init__(text)
        self.shape = shape


def _read(values: Values, place: Place) -> Any:
    """A Python number for a scalar, else a read-only view."""
    array = values[place.participant][place.port.name]
    if place.index is not None:
        array = array[place.index]
    if array.ndim == 0:
        return array.item()
    view = array.view()
    view.flags.writeable = False
    return view


def _spread(function: Function, result: Any) -> Sequence[Any]:
    """One value, or None, for each of `writes`."""
    writes = function.writes
    if result is None:
        return [None] * len(writes)
    if isinstance(result, Mapping):
        return _by_address(function, result)
    if len(writes) == 1:
        return [result]
    if not isinstance(result, (list, tuple)) and np.ndim(result) == 0:
        return [result] * len(writes)
    if len(result) != len(writes):
        raise _Unusable(
            f"transfer function {function.name!r} returned {len(result)} values but writes to {len(writes)} ports: "
            "return one number for all, or one value for each",
            shape=True,
        )
    return list(result)


def _by_address(function: Function, result: Mapping[Any, Any]) -> list[Any]:
    known = function.declaration.writes
    for address in result:
        if address not in known:
            raise _Unusable(
                f"transfer function {function.name!r} returned a value for {address!r}, which it does not write to"
                f"{plain.nearest(str(address), known)}",
                shape=True,
            )
    return [result.get(address) for address in known]


def _usable(function: Function, place: Place, value: Any) -> Array | float:
    """`value` as an array of the port's dtype; raises _Unusable for a wrong form, NaN or out of range."""
    if type(value) is float and place.index is not None and _plain(value, place):
        return value
    who = f"transfer function {function.name!r}"
    try:
        array = np.asarray(value, dtype=place.port.dtype)
    except (TypeError, ValueError):
        raise _Unusable(f"{who} returned {value!r:.60} for {place.name}: expected {_form(place)}", shape=True) from None
    if array.shape != place.shape:
        raise _Unusable(f"{who} returned shape {array.shape} for {place.name}: expected {_form(place)}", shape=True)
    low, high = place.port.low, place.port.high
    if array.size and not _within(array.min(), array.max(), low, high):
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise _Unusable(f"{who} returned {_first_bad(array)} for {place.name}")
        if low is not None and (array < low).any():
            raise _Unusable(f"{who} returned {array.min():g} for {place.name}: expected {low:g} or more")
        raise _Unusable(f"{who} returned {array.max():g} for {place.name}: expected {high:g} or less")
    return array


def _plain(value: float, place: Place) -> bool:
    """The common case, without arrays: a number that may be written as it is."""
    return len(place.port.shape) == 1 and _within(value, value, place.port.low, place.port.high)


def _within(least: float, most: float, low: float | None, high: float | None) -> bool:
    """Whether all from `least` to `most` is finite and within the limits; either of them is NaN where one value is."""
    return (-math.inf < least if low is None else low <= least) and (most < math.inf if high is None else most <= high)


def _form(place: Place) -> str:
    unit = f" in {place.port.unit}" if place.port.unit not in ("", "1") else ""
    return f"a number{unit}" if place.shape == () else f"an array of shape {place.shape}{unit}"


def _first_bad(array: Array) -> str:
    bad = array[~np.isfinite(array)].flat[0]
    return "NaN" if np.isnan(bad) else f"{bad}"


# --- isolation ---------------------------------------------------------------------------------------


class _Alarm:
    """Lets Late be raised after a time; it works in the main thread only."""

    def __init__(self) -> None:
        self._before = signal.signal(signal.SIGALRM, _ring)

    def ring_after(self, seconds: float) -> None:
        """0 for never. Rings again after the first time, for functions that catch every exception in a loop."""
        signal.setitimer(signal.ITIMER_REAL, seconds, 0.05 if seconds else 0)

    def close(self) -> None:
        self.ring_after(0)
        signal.signal(signal.SIGALRM, self._before)


def _ring(number: int, frame: FrameType | None) -> None:
    raise Late


def _message(function: Function, error: BaseException, step: int, t_ns: int) -> Message:
    code = function.declaration.function.__code__
    if isinstance(error, _Unusable):
        line = code.co_firstlineno
        text = str(error)
    else:
        line = _deepest_line(error.__traceback__, code.co_filename) or code.co_firstlineno
        text = str(error) if isinstance(error, Late) else f"transfer function {function.name!r}: {_phrase(error)}"
    kind: MessageType = "timeout" if isinstance(error, Late) else "runtime"
    return _about(function, line, kind, f"{text}; it is switched off and its last values are held", step, t_ns)


def _flawed(function: Function, error: PortMismatch, step: int, t_ns: int) -> Message:
    line = function.declaration.function.__code__.co_firstlineno
    return _about(function, line, "loading", f"{error.text}; it is not called until there is such a port", step, t_ns)


def _about(function: Function, line: int, kind: MessageType, text: str, step: int, t_ns: int) -> Message:
    """A message about a line of this function."""
    file = function.declaration.function.__code__.co_filename
    return Message(
        step=step,
        t_ns=t_ns,
        severity="error",
        source="transfer function",
        type=kind,
        text=text,
        function=function.name,
        file=file,
        line=line,
        line_text=linecache.getline(file, line).strip(),
    )


def _deepest_line(trace: TracebackType | None, file: str) -> int:
    """The last line of the user's file in a traceback, 0 if it is not in it."""
    lines = [frame.lineno for frame in traceback.extract_tb(trace) if frame.filename == file]
    return (lines[-1] or 0) if lines else 0


def _phrase(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
