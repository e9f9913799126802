"""What a published brain script says of itself, read from its text without running it."""

import ast
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_PYNN_PACKAGES = ("pyNN", "hbp_nrp_cle")
_WITHOUT_NETWORKS = sys.stdlib_module_names | {"nest", "numpy", "scipy", "past", "hbp_nrp_excontrol"}
"""Modules from which no network comes, and so no delay that the script does not name."""
USUAL_DELAYS_MS = (0.1, 20.0)
"""The range of delays with the devices of the published platform, of which each has a delay of 0.1 ms."""
_NEST_DELAY_MS = 1.0
_PYNN_MOST_DELAY_MS = 10.0
"""Of PyNN, where a script says only the shortest."""
MOST_CHARACTERS = 2**20
"""Of a script that is looked into."""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """`names` are those given at the top of the module, None where they cannot be told; `kernel` are keys of [brain].

    `delays_ms` are the numbers that are called delays, `delays_known` says that there can be no others. `seed` is what
    the script asks for. `builds` says that it has a function `build` and is our own form already.
    """

    pynn: bool = False
    builds: bool = False
    names: frozenset[str] | None = None
    kernel: Mapping[str, float] = field(default_factory=dict)
    delays_ms: tuple[float, ...] = ()
    delays_known: bool = False
    seed: int | None = None

    def settings(self, step_ms: float, delays_of_devices_ms: Sequence[float]) -> dict[str, float]:
        """The keys of [brain]: those that the script asks for, and a range of delays where the step wants one.

        A step must be a multiple of the shortest delay there is, which only a range in [brain] can promise.
        """
        made = dict(self.kernel)
        delays = [_NEST_DELAY_MS, *self.delays_ms, *delays_of_devices_ms]
        fit = all(_divides(delay, step_ms) for delay in delays)
        if "min_delay_ms" not in made and (self.pynn or not self.delays_known or not fit):
            least, most = USUAL_DELAYS_MS
            made["min_delay_ms"] = max(least, made.get("resolution_ms", least))
            made["max_delay_ms"] = max(most, *delays)
        return made


def about(text: str) -> About:
    """What can be told of a script; nothing of one that is no Python, which is for those who run it to say."""
    if len(text) > MOST_CHARACTERS:
        return About()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _about(ast.parse(text))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return About()


def delays_in(text: str) -> tuple[float, ...]:
    """The numbers that are called delays in a script, in ms; none where it is no Python."""
    return about(text).delays_ms


def _about(tree: ast.Module) -> About:
    imported = {name.partition(".")[0] for name in _imported(tree)}
    asked = dict(_asked(tree))
    return About(
        pynn=not imported.isdisjoint(_PYNN_PACKAGES),
        builds=any(isinstance(node, ast.FunctionDef) and node.name == "build" for node in tree.body),
        names=_names(tree),
        kernel=_kernel(asked),
        delays_ms=tuple(sorted(set(_delays(tree)))),
        delays_known=imported <= _WITHOUT_NETWORKS,
        seed=_seed(asked),
    )


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def _names(tree: ast.Module) -> frozenset[str] | None:
    """Names bound at the top, also below `if` and `for`; None where a star or `globals()` may bring others."""
    bound: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            return None
        if isinstance(node, ast.Name) and node.id in ("globals", "exec", "locals", "vars"):
            return None
        if isinstance(node, ast.Global):
            bound.update(node.names)
    for node in _of_the_module(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.add(node.id)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            bound.update((alias.asname or alias.name).partition(".")[0] for alias in node.names)
    return frozenset(bound)


def _of_the_module(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those within functions and classes."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            yield child
            yield from _of_the_module(child)


def _asked(tree: ast.AST) -> Iterator[tuple[str, Any]]:
    """Plain values, or names of such, that are handed to `setup`, `SetKernelStatus` and `nest.set`."""
    constants = dict(_constants(tree))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        of_nest = isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") == "nest"
        if not (called in ("setup", "SetKernelStatus") or (called == "set" and of_nest)):
            continue
        for key, value in _handed(node, called):
            known = constants.get(value.id) if isinstance(value, ast.Name) else _literal(value)
            if known is not None:
                yield key, known


def _handed(call: ast.Call, called: str) -> Iterator[tuple[str, ast.expr]]:
    for word in call.keywords:
        if word.arg:
            yield word.arg, word.value
    for first in call.args[:1]:
        if isinstance(first, ast.Dict):
            for key, value in zip(first.keys, first.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield key.value, value
        elif called == "setup":
            yield "timestep", first


def _constants(tree: ast.AST) -> Iterator[tuple[str, Any]]:
    """Names that are given a plain value."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and (value := _literal(node.value)) is not None:
            yield from ((target.id, value) for target in node.targets if isinstance(target, ast.Name))


def _literal(node: ast.expr) -> Any:
    """The value that a piece of a script writes out; None for anything else."""
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def _delays(tree: ast.AST) -> Iterator[float]:
    """Numbers above 0 that stand where a delay is named: in a keyword, an assignment or an entry of a table."""
    for node in ast.walk(tree):
        named: list[tuple[str, ast.AST]] = []
        if isinstance(node, ast.keyword):
            named = [(node.arg or "", node.value)]
        elif isinstance(node, ast.Assign):
            named = [(target.id, node.value) for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            named = [(str(key.value), value) for key, value in pairs if isinstance(key, ast.Constant)]
        for name, value in named:
            if "delay" in name.casefold():
                constants = (one.value for one in ast.walk(value) if isinstance(one, ast.Constant))
                yield from (number for one in constants if (number := _number(one)) is not None and number > 0)


def _kernel(asked: Mapping[str, Any]) -> dict[str, float]:
    found: dict[str, float] = {}
    step = _number(asked.get("timestep", asked.get("resolution")))
    if step is not None and step > 0 and step != 0.1:
        found["resolution_ms"] = step
    shortest, longest = _number(asked.get("min_delay")), _number(asked.get("max_delay"))
    if shortest is not None:
        found |= {"min_delay_ms": shortest, "max_delay_ms": _PYNN_MOST_DELAY_MS if longest is None else longest}
    threads = asked.get("threads", asked.get("local_num_threads"))
    if isinstance(threads, int) and not isinstance(threads, bool) and threads > 1:
        found["threads"] = threads
    return found


def _divides(delay_ms: float, step_ms: float) -> bool:
    parts = step_ms / delay_ms
    return abs(parts - round(parts)) < 1e-9


def _seed(asked: Mapping[str, Any]) -> int | None:
    given = asked.get("rng_seed", asked.get("grng_seed", asked.get("rng_seeds")))
    if isinstance(given, (list, tuple)) and given:
        given = given[0]
    return given if isinstance(given, int) and not isinstance(given, bool) and 0 < given < 2**32 else None


def _number(value: Any) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
