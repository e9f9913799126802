"""Calls of NEST's own interface from elsewhere: by name, with plain arguments, as a NEST server takes them."""

import inspect
import json
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reafference.errors import BadExperiment
from services.brain.kernel import nest

READING = frozenset(
    (
        "Displacement",
        "Distance",
        "FindCenterElement",
        "FindNearestElement",
        "GetConnections",
        "GetDefaults",
        "GetKernelStatus",
        "GetLocalNodeCollection",
        "GetLocalVPs",
        "GetNodes",
        "GetPosition",
        "GetSourceNodes",
        "GetSourcePositions",
        "GetStatus",
        "GetTargetNodes",
        "GetTargetPositions",
        "Models",
        "ConnectionRules",
        "NodeCollection",
        "NumProcesses",
        "Rank",
        "get",
        "get_verbosity",
    )
)
"""What changes nothing in the kernel, nor outside of it."""

_NODES = ("nodes", "nodes_or_conns", "nc", "source", "target", "pre", "post")
"""Parameters that are given as lists of node ids."""

_INSTEAD: Mapping[str, str] = {
    "ResetKernel": "the edit reset of the brain",
    "Simulate": "start, pause and step the simulation",
    "Run": "start, pause and step the simulation",
    "Prepare": "start, pause and step the simulation",
    "Cleanup": "start, pause and step the simulation",
    "SetStatus": "the edits set_parameters and set_synapses of the brain",
    "SetDefaults": "the edits set_parameters and set_synapses of the brain",
    "Create": "the edits add_device, stimulate and replace_brain of the brain",
    "Connect": "the edits add_device, stimulate and replace_brain of the brain",
    "Disconnect": "the edit set_synapses of the brain, with a weight of 0",
}
_CHANGE = "the edits of the brain (set_parameters, set_synapses, stimulate, add_device, replace_brain, reset)"

_ITSELF = ("getdoc", "getcomments", "getsource", "getfile", "getsourcefile", "signature", "isfunction", "isclass")
"""What can be asked of a function of NEST instead of calling it."""

_OF_FIRST_FRAME = (nest.NESTError, KeyError, SyntaxError, TypeError, ValueError)


def names() -> list[str]:
    """What NEST has, in alphabetical order."""
    return sorted(name for name in dir(nest) if not name.startswith("_"))


def check_reading(name: str, kwargs: Mapping[str, Any]) -> None:
    """Raises BadExperiment for what may change a kernel that a closed loop owns."""
    if name in READING or "inspect" in kwargs or not callable(getattr(nest, name, None)):
        return
    raise looking_only(name, _INSTEAD.get(name, _CHANGE))


def check_ends(kwargs: Mapping[str, Any]) -> None:
    """Raises BadExperiment unless some neurons are named."""
    if not {"source", "target", "inspect"} & set(kwargs):
        text = "these are too many connections to tell of: name source or target, as lists of node ids"
        raise BadExperiment(text, detail={"message": text, "status": 400})


def looking_only(what: str, instead: str = _CHANGE) -> BadExperiment:
    """A closed loop owns the kernel, and this would change it."""
    text = f"{what} would change the kernel, which belongs to the simulation that runs: use {instead} instead"
    return BadExperiment(text, detail={"message": text, "status": 403})


def call(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What NEST answers, as plain maps, lists and scalars. Raises BadExperiment."""
    try:
        if name.startswith("_"):
            raise AttributeError(f"module 'nest' has no attribute {name!r}")
        target = getattr(nest, name)
        if not callable(target):
            return plain(target)
        if "inspect" in kwargs:
            return {"data": _about(target, kwargs["inspect"])}
        args, kwargs = _with_nodes(target, args, kwargs)
        return plain(target(*args, **kwargs))
    except (Exception, SystemExit) as error:
        raise refused(error, 1) from error


def _about(target: Callable[..., Any], what: Any) -> Any:
    if what not in _ITSELF:
        raise ValueError(f"inspect takes {', '.join(_ITSELF)}, not {what!r}")
    found = getattr(inspect, what)(target)
    return str(found) if isinstance(found, inspect.Signature) else found


def _with_nodes(
    target: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """The arguments, with collections of nodes in place of lists of their ids."""
    try:
        parameters = list(inspect.signature(target).parameters)
    except (TypeError, ValueError):
        parameters = []
    named = [*parameters[: len(args)], *[""] * (len(args) - len(parameters))]
    return (
        [_collection(name, arg) for name, arg in zip(named, args, strict=True)],
        {name: _collection(name, arg) for name, arg in kwargs.items()},
    )


def _collection(name: str, value: Any) -> Any:
    if name not in _NODES or value is None or isinstance(value, str):
        return value
    return nest.NodeCollection(value)


def plain(value: Any) -> Any:
    """As NEST makes what it has plain. Raises TypeError for what cannot be sent."""
    made = nest.serialize_data(value)
    json.dumps(made)
    return made


# --- errors -------------------------------------------------------------------------------------------------


def refused(error: BaseException, line: int) -> BadExperiment:
    """The error as the caller reads it; `line` is where in what he sent."""
    kind = type(error).__name__ + (" (NESTError)" if isinstance(error, nest.NESTError) else "")
    said = error.args[0] if error.args else ""
    if isinstance(said, (list, tuple)):
        said = "; ".join(map(str, said))
    place = f" at line {line}" if line > 0 else ""
    message = f"{kind}{place}: {said}"
    detail: dict[str, Any] = {"message": message, "status": 400}
    return BadExperiment(message, detail=detail | ({"lineNumber": line} if line > 0 else {}))


def line_of(error: BaseException, file: str) -> int:
    """The line of the script that the error belongs to, -1 if it is none of its lines."""
    own = getattr(error, "lineno", None)
    if isinstance(own, int):
        return own
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    numbers = [line for line in lines if line is not None]
    if not numbers:
        return -1
    return numbers[0] if isinstance(error, _OF_FIRST_FRAME) else numbers[-1]
