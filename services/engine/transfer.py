"""Transfer functions: order, evaluate, isolate, change while running.

The engine keeps one array per input port. Functions write into them and what nobody writes keeps its value, so
a function that failed is simply not called any more and its last values hold.
"""

import inspect
import itertools
import linecache
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reafference import declare, plain
from reafference.errors import BadExperiment, PortMismatch, ReafferenceError, ScriptError
from reafference.frames import Array, Message, MessageType, Ports

from . import blame, functions, results, script
from . import ports as addresses
from .alarm import Alarm, Late
from .dialects import Observing, Written
from .functions import Function, Problem
from .parameters import Parameters
from .ports import Place
from .results import Unusable
from .script import Flaw, Source
from .stage import Need, Stage
from .voice import Log, Voices

Arrays = dict[str, dict[str, Array]]
"""Arrays by participant and port name."""

_MOST_NUMBERS = 64
_NUMBERS = (int, float, np.floating, np.integer, np.bool_)
_FAR = 2.0**1000

_HELD = "; it is switched off and its last values are held"
_UNTIL_MENDED = "; it is not called until it has another source"
_UNTIL_THERE = "; it is not called until there is such a port"


class Transfer:
    """All transfer functions of a run, in the order in which they are called.

    `values` holds the newest outputs of each participant, `inputs` what it will be given next; both start at
    the resting values that the ports declare. `want` says which output ports the functions read. `numbers` are those
    of the last evaluation: results that are numbers by the name of the function, and those in its `state` as
    `function.name`.
    """

    def __init__(
        self,
        written: Written,
        ports: Mapping[str, Ports],
        params: Mapping[str, Any],
        *,
        timeout_s: float = 5.0,
    ) -> None:
        self.values: Arrays = _resting(addresses.outputs(ports))
        self.inputs: Arrays = {
            name: {port: np.array(array) for port, array in resting.items()}
            for name, resting in _resting(addresses.inputs(ports)).items()
        }
        self._heard: dict[str, set[str]] = {name: set() for name in ports}
        self.numbers: dict[str, float] = {}
        self.pause_when_done = False
        self.parameters = Parameters(params)
        self._script, self._ports = written, ports
        self._timeout_s = timeout_s
        self._voices = Voices()
        written.namespace.setdefault("print", self._voices.print)
        self._step = self._t_ns = 0
        written.begin(Stage(self.values, self._heard, self.inputs))
        self.functions = [self._first(declaration) for declaration in written.declarations]
        self.functions += [self._kept(name, flaw) for name, flaw in written.flaws.items()]
        self._arrange()
        self._alarm = Alarm()

    def close(self) -> None:
        """Give the alarm signal back to whoever had it before."""
        self._alarm.close()

    def take(self, participant: str, port: str, value: Array) -> None:
        """The participant has sent this."""
        self.values[participant][port] = value
        self._heard[participant].add(port)

    def flaws(self) -> list[Message]:
        """What is wrong with functions that could not be loaded."""
        return [message for function in self.functions for message in self._told_of(function)]

    def needs(self) -> list[Need]:
        """What functions need before they can be called, each told once."""
        return [need for need in self._script.needs() if need.to in self._ports]

    def refused(self, need: Need, text: str) -> list[Message]:
        """An edit that a function needs was not carried out, for this reason; a message about it."""
        self._script.refused(need)
        for function in self.functions:
            if function.name == need.function and function.declaration is not None:
                function.problem = self._problem(function.source, Flaw("loading", text, 1))
                self._arrange()
                return self._told_of(function)
        return []

    def want(self, participant: str) -> tuple[str, ...]:
        """Output ports of `participant` that functions read and that must therefore ride in its answers."""
        usable = (f for f in self.functions if f.problem is None or f.problem.of_a_call)
        read = (place for f in usable for place in f.wiring.reads)
        return tuple(sorted({p.port.name for p in read if p.participant == participant}))

    @property
    def observing(self) -> Observing:
        """The functions, if they have a status function and datapacks. Raises BadExperiment."""
        if not isinstance(self._script, Observing):
            raise BadExperiment("this experiment has no datapacks: they belong to the dialect nrp_core")
        return self._script

    def give(self, engines: Mapping[str, Sequence[Mapping[str, str]]], step: int) -> None:
        """Send datapacks to engines with their next steps. Raises BadExperiment; nothing has changed then."""
        self.set_inputs(self.observing.give(engines, step))

    @property
    def shall_pause(self) -> bool:
        """Whether the status function has just said that it is done, and somebody waits for that."""
        return self.pause_when_done and isinstance(self._script, Observing) and self._script.done

    def switched_off(self) -> list[str]:
        return [f.name for f in self.functions if not f.due]

    def described(self) -> list[dict[str, Any]]:
        """All functions as PROTOCOL.md describes them, in plain values."""
        return [function.described() for function in self.functions]

    def spent_ns(self) -> dict[str, int]:
        """The wall time of each function so far."""
        return {function.name: function.spent_ns for function in self.functions}

    def said(self, *, all_of_it: bool = False) -> list[Message]:
        """What functions have printed and logged since the last time."""
        return self._voices.taken(all_of_it=all_of_it)

    def rewire(self, participant: str, ports: Mapping[str, Ports], step: int, t_ns: int) -> list[Message]:
        """Take the ports as they are now, those of `participant` having changed; variables stay.

        What it gave is at rest again; what it takes keeps its value where the port is what it was. For each function
        that names a port which is gone there is a message: it is not called until the port is there again.
        """
        self._ports, self._step, self._t_ns = ports, step, t_ns
        self.values[participant] = {port.name: port.resting() for port in ports[participant].outputs}
        self._heard[participant].clear()
        before = self.inputs[participant]
        self.inputs[participant] = {port.name: port.kept(before.get(port.name)) for port in ports[participant].inputs}
        messages = []
        for function in self.functions:
            known = function.problem
            if function.declaration is None:
                continue
            found = self._wire(function)
            if found is not None:
                function.problem = found
                if known is None or known.of_a_call:
                    messages.append(self._flawed(function, _UNTIL_THERE))
            elif known is not None and not known.of_a_call:
                function.problem = None
        self._arrange()
        return messages

    # --- evaluating ----------------------------------------------------------------------------------

    def evaluate(self, t_ns: int, step: int) -> list[Message]:
        """Call every active function once; `step` steps are complete, the last one ended at `t_ns`.

        A function that raises, returns something unusable or takes too long is switched off; for each there is
        a message. Raises PortMismatch for a wrong shape before step 0, where it can still be mended.
        """
        self._step, self._t_ns = step, t_ns
        given = {"t": t_ns / 1e9, "step": step}
        limit, voices, clock_ns = self._alarm.ring_after, self._voices, time.perf_counter_ns
        voices.begin(step, t_ns)
        numbers: dict[str, float] = {}
        messages = []
        for function in self._due:
            voices.speaking = (function.name, function.source.file)
            began_ns = clock_ns()
            try:
                limit(self._timeout_s)
                result = self._call(function, given)
                limit(0)
                self._write(function, result)
                _note(function, result, numbers)
            except Unusable as error:
                if error.shape and step == 0 and not function.edited:
                    raise PortMismatch(str(error)) from None
                messages.append(self._failed(function, error))
            except Late as late:
                limit(0)  # before it rings again, here
                messages.append(self._failed(function, late))
            except (Exception, SystemExit) as error:
                limit(0)
                messages.append(self._failed(function, error))
            function.spent_ns += clock_ns() - began_ns
        voices.speaking = None
        self.numbers = numbers
        if messages:
            self._arrange()
        return messages

    def _call(self, function: Function, given: Mapping[str, Any]) -> Any:
        wiring, constants = function.wiring, function.takes
        arguments = [_read(self.values, place) for place in wiring.reads]
        for name in wiring.varying:
            constants[name] = given[name]
        return function.call(*arguments, **constants)

    def _write(self, function: Function, result: Any) -> None:
        """Check everything first, then write: a bad value in second place must not leave half a result."""
        self._put(results.checked(function.name, function.writes, function.wiring.writes, result))

    def set_inputs(self, values: Mapping[str, Any]) -> None:
        """Give these to the participants next, by address; a function that writes to one of them may do so again.

        Raises BadExperiment, and nothing has changed then, for an address that is not there or a value that cannot be.
        """
        writable = addresses.inputs(self._ports)
        places = [addresses.find(address, writable, "set_inputs writes to") for address in values]
        try:
            usable = results.checked("set_inputs", tuple(values), places, dict(values))
        except Unusable as error:
            raise BadExperiment(str(error).removeprefix("transfer function ")) from None
        self._put(usable)

    def _put(self, usable: Sequence[tuple[Place, Array | float]]) -> None:
        for place, array in usable:
            if place.index is None and -1 in place.port.shape:
                self.inputs[place.participant][place.port.name] = np.array(array)
            else:
                self._own(place)[... if place.index is None else place.index] = array

    def _own(self, place: Place) -> Array:
        """The input array to write into: a new one where the old one was large and belongs to the wire."""
        known, name = self.inputs[place.participant], place.port.name
        if not known[name].flags.writeable:
            known[name] = known[name].copy()
        return known[name]

    def _failed(self, function: Function, error: BaseException) -> Message:
        """Switch the function off; what people are told of it."""
        source, passed = function.source, blame.places(error.__traceback__, function.source.file)
        who = f"transfer function {function.name!r}"
        kind: MessageType = "runtime"
        if isinstance(error, Late):
            kind, text = "timeout", f"it did not return within {self._timeout_s:g} s"
            told = f"{who} {text.removeprefix('it ')}"
        elif isinstance(error, Unusable):
            passed, text = [], blame.readable(str(error))
            told = text
        else:
            text = blame.phrase(error)
            told = f"{who}: {text}"
        line = passed[-1][0] if passed else source.line
        # Deeper in the file there may be another function; its own place is where it called that.
        inside = ((source.own(number), column) for number, column in reversed(passed) if source.own(number))
        own, column = next(inside, (1, 0))
        function.on = False
        function.problem = Problem(
            type=kind,
            text=text,
            line=own,
            column=column,
            line_text=source.line_text(own),
            since_s=self._t_ns / 1e9,
        )
        return function.message(
            function.problem, told + _HELD, line, linecache.getline(source.file, line).strip(), self._step, self._t_ns
        )

    # --- changing ------------------------------------------------------------------------------------

    def add(self, text: str) -> list[Message]:
        """Take another function, from now on called with the others; what is wrong with it.

        Raises ScriptError where no name can be found in it, BadExperiment where the name is taken.
        """
        new = self._made(text, None)
        self.functions.append(new)
        self._arrange()
        return self._told_of(new)

    def replace(self, name: str, text: str) -> list[Message]:
        """Give a function another source, and the name that stands there; what is wrong with it.

        Its variables stay where its name does. Raises as `add`, and BadExperiment for a name that is not there.
        """
        former = self._named(name)
        new = self._made(text, former)
        self.functions[self.functions.index(former)] = new
        self._drop(former, new)
        if new.name != former.name:
            script.forget(f"<{former.name}>")
        self._arrange()
        return self._told_of(new)

    def delete(self, name: str) -> None:
        """Call it no more, and forget it; the last values that it wrote are held."""
        former = self._named(name)
        self.functions.remove(former)
        self._drop(former, None)
        script.forget(f"<{name}>")
        self._arrange()

    def _drop(self, former: Function, new: Function | None) -> None:
        """Let what the function has at the simulators fall silent, and then what is still wanted speak again."""
        if former.declaration is not None:
            self._script.dropped(former.declaration)
        if new is not None and new.declaration is not None and new.problem is None:
            new.problem = self._wire(new)

    def switch(self, name: str, on: bool) -> list[Message]:
        """Call a function, or do not; to switch it on forgets how it failed. What is wrong with it now."""
        function = self._named(name)
        function.on, messages = on, []
        if on and function.problem is not None and function.problem.of_a_call:
            function.problem = self._wire(function)
            messages = self._told_of(function)
        self._arrange()
        return messages

    def set_priority(self, name: str, priority: int) -> None:
        """Functions of a higher priority are called earlier."""
        self._named(name).priority = priority
        self._arrange()

    def order(self, names: Sequence[str]) -> None:
        """Give priorities with which these are called in this order, among those that write to the brain and among
        all others; the rest keep their places."""
        chosen = [self._named(name) for name in names]
        if len(set(names)) != len(names):
            raise BadExperiment("a transfer function is named twice: name each one once, in the order of calling")
        for to_brain in (True, False):
            group = [f for f in self.functions if f.to_brain == to_brain]
            later = iter([f for f in chosen if f.to_brain == to_brain])
            arranged = [next(later) if f in chosen else f for f in group]
            if arranged != group:
                for rank, function in enumerate(reversed(arranged)):
                    function.priority = rank
        self._arrange()

    def _arrange(self) -> None:
        self.functions.sort(key=lambda function: function.turn)
        self._due = tuple(function for function in self.functions if function.due)

    def _named(self, name: str) -> Function:
        for function in self.functions:
            if function.name == name:
                return function
        known = [function.name for function in self.functions]
        raise BadExperiment(f"there is no transfer function {name!r}{plain.nearest(name, known)}")

    def _check_free(self, name: str, former: Function | None) -> None:
        if any(function.name == name and function is not former for function in self.functions):
            raise BadExperiment(f"there is a transfer function {name!r} already: choose another name, or replace it")

    def _first(self, declaration: declare.Declaration) -> Function:
        """A function of the file. Raises PortMismatch or BadExperiment."""
        source = self._script.sources.get(declaration.name) or _elsewhere(declaration, self._script.file)
        function = Function(blame.readable(declaration.name), source, declaration, on=declaration.active)
        function.reads, function.writes = declaration.reads, declaration.writes
        function.priority = declaration.priority
        if self._script.keeps_flawed:
            function.problem = self._wire(function)
        else:
            self._connect(function, declaration)
        return function

    def _kept(self, name: str, flaw: Flaw) -> Function:
        """A function that could not be loaded, with what is wrong."""
        source = self._script.sources[name]
        return Function(name, source, None, problem=self._problem(source, flaw))

    def _made(self, text: str, former: Function | None) -> Function:
        """A function from a source, with its problem if it cannot be called."""
        name = self._script.name_in(text) or (former.name if former else "")
        self._check_free(name, former)
        source = Source(text, f"<{name}>")
        declaration, problem = self._defined(source)
        if declaration is not None and declaration.name != name:
            name = blame.readable(declaration.name)
            self._check_free(name, former)
        if not name:
            assert problem is not None
            raise _nameless(problem)
        return self._succeeding(Function(name, source, declaration, problem=problem, edited=True), former)

    def _succeeding(self, new: Function, former: Function | None) -> Function:
        """The new function with what stays of the one in whose place it comes, wired."""
        declared = new.declaration
        if declared is not None:
            new.reads, new.writes = declared.reads, declared.writes
            new.priority, new.on = declared.priority, declared.active
        if former is not None:
            before = former.declaration
            if declared is None:
                new.reads, new.writes = former.reads, former.writes
            # What was set by hand stays, unless the source itself says something else than before.
            if declared is None or (before is not None and declared.priority == before.priority):
                new.priority = former.priority
            if declared is None or (before is not None and declared.active == before.active):
                new.on = former.on or former.problem is not None
            if new.name == former.name:
                new.state, new.spent_ns = former.state, former.spent_ns
        if declared is not None:
            new.problem = self._wire(new)
        return new

    def _defined(self, source: Source) -> tuple[declare.Declaration | None, Problem | None]:
        """Run a source; what it declares, or why it cannot be run."""
        limit = self._alarm.ring_after
        try:
            limit(self._timeout_s)
            declaration = self._script.define(source)
            limit(0)
        except Late:
            limit(0)
            text = f"it could not be read within {self._timeout_s:g} s: what takes long belongs into the function"
            return None, self._problem(source, Flaw("timeout", text))
        except Flaw as flaw:
            limit(0)
            return None, self._problem(source, flaw)
        return declaration, None

    def _wire(self, function: Function) -> Problem | None:
        """Find the places that the function names; what is wrong with them."""
        declared = function.declaration
        if declared is None:
            return function.problem
        try:
            self._connect(function, declared)
        except BadExperiment as error:
            line, column = functions.misplaced(declared, function.source, error)
            return self._problem(function.source, Flaw("loading", error.text, line, column))
        except Exception as error:  # whatever kind of thing was decorated
            return self._problem(function.source, Flaw("loading", blame.phrase(error), 1))
        return None

    def _connect(self, function: Function, declared: declare.Declaration) -> None:
        """Let the function be called with what it names; raises PortMismatch or BadExperiment."""
        resolved = self._script.resolve(declared, self._ports)
        function.wiring = functions.wired(resolved, self._ports)
        function.call = resolved.function
        function.reads, function.writes = resolved.reads, resolved.writes
        log = Log(self._voices, function.name, function.source.file)
        constant = {"state": function.state, "params": self.parameters.namespace, "log": log}
        function.takes = {name: constant.get(name) for name in function.wiring.injected}

    def _problem(self, source: Source, flaw: Flaw) -> Problem:
        return Problem(
            type=flaw.kind,
            text=blame.readable(flaw.text),
            line=flaw.line,
            column=flaw.column,
            line_text=source.line_text(flaw.line),
            since_s=self._t_ns / 1e9,
        )

    def _told_of(self, function: Function) -> list[Message]:
        return [] if function.problem is None else [self._flawed(function, _UNTIL_MENDED)]

    def _flawed(self, function: Function, until: str) -> Message:
        """A message about a function that cannot be called as it is."""
        problem = function.problem
        assert problem is not None
        begins = problem.text.startswith("transfer function")
        text = problem.text if begins else f"transfer function {function.name!r}: {problem.text}"
        line = function.source.line + max(problem.line, 1) - 1
        return function.message(problem, text + until, line, problem.line_text, self._step, self._t_ns)


def _nameless(problem: Problem) -> ReafferenceError:
    """A source that cannot even be kept."""
    where = f"line {problem.line}: " if problem.line else ""
    detail = {"line": problem.line, "column": problem.column, "line_text": problem.line_text}
    hint = "a transfer function is written @transfer(…), def name(…):"
    return ScriptError(f"{where}{problem.text}; {hint}", detail=detail)


def _elsewhere(declaration: declare.Declaration, file: str) -> Source:
    """The text of a function that does not stand in the file of transfer functions, as far as it can be found."""
    code = getattr(declaration.function, "__code__", None)
    try:
        text = inspect.getsource(declaration.function)
    except (OSError, TypeError):
        text = ""
    return Source(text, code.co_filename, code.co_firstlineno) if code else Source(text, file)


def _resting(ports: Mapping[str, Sequence[Any]]) -> Arrays:
    return {name: {port.name: port.resting() for port in known} for name, known in ports.items()}


def _read(values: Arrays, place: Place) -> Any:
    """A Python number for a scalar, else a read-only view."""
    array = values[place.participant][place.port.name]
    if place.index is not None:
        array = array[place.index]
    if array.ndim == 0:
        return array.item()
    view = array.view()
    view.flags.writeable = False
    return view


def _note(function: Function, result: Any, numbers: dict[str, float]) -> None:
    """Keep the result if it is a number, and the numbers among the function's variables."""
    if type(result) is float:
        numbers[function.name] = result
    elif result is not None and isinstance(result, _NUMBERS) and _near(result):
        numbers[function.name] = float(result)
    variables = function.state.__dict__
    if not variables:
        return
    names = function.names
    for key, value in variables.items() if len(variables) <= _MOST_NUMBERS else _front(variables):
        if type(value) is float or (isinstance(value, _NUMBERS) and _near(value)):
            name = names.get(key)
            if name is None:
                name = names[key] = blame.readable(f"{function.name}.{key}")
            numbers[name] = float(value)


def _near(value: Any) -> bool:
    """Whether it can become a float: some whole numbers are too large."""
    return not isinstance(value, int) or -_FAR < value < _FAR


def _front(variables: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return list(itertools.islice(variables.items(), _MOST_NUMBERS))
