"""Scripts of callers, run in a kernel that is theirs: restricted to NEST and a few harmless names, or not at all.

Restricted scripts cannot import, open files or reach names that begin with an underscore. That keeps accidents out and
makes mischief hard; it is no wall against somebody who wants to break out.
"""

import ast
import contextlib
import importlib
import io
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.brain.calls import line_of, plain, refused
from services.brain.kernel import nest

_FILE = "<inline>"
_LINE = re.compile(r"Line (\d+):")


@dataclass(frozen=True, slots=True)
class Scripts:
    """How scripts are run: `modules` are the import statements whose names they find, with semicolons between."""

    restricted: bool
    modules: Mapping[str, Any]

    def run(self, source: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """What a script has printed, and the values of the names in `wanted["return"]`. Raises BadExperiment."""
        text = commented(source)
        try:
            names, said = self._run_restricted(text) if self.restricted else self._run_freely(text)
            answer: dict[str, Any] = {} if said is None else {"stdout": said}
            if "return" in wanted:
                answer["data"] = plain(_chosen(names, wanted["return"]))
        except (Exception, SystemExit) as error:
            raise refused(error, _line(error)) from error
        return answer

    def _run_freely(self, text: str) -> tuple[dict[str, Any], str | None]:
        names: dict[str, Any] = {"__name__": "__main__", **self.modules}
        with contextlib.redirect_stdout(io.StringIO()) as said:
            exec(compile(text, _FILE, "exec"), names)
        lines = said.getvalue().splitlines()
        return names, "\n".join(lines) if lines else None

    def _run_restricted(self, text: str) -> tuple[dict[str, Any], str | None]:
        from RestrictedPython.compile import compile_restricted

        code = compile_restricted(text, _FILE, "exec")
        names = {**_harmless(), **self.modules}
        exec(code, names)
        return names, "".join(names["_print"].txt) if "_print" in names else None


def modules_of(statements: str) -> dict[str, Any]:
    """The names that import statements bring. Raises ValueError for a text that has others, or no such module."""
    try:
        parsed = ast.parse(statements).body
    except SyntaxError as error:
        raise ValueError(f"{statements!r} are no import statements: {error.msg}") from None
    found: dict[str, Any] = {}
    for node in parsed:
        if isinstance(node, ast.Import):
            for alias in node.names:
                found[alias.asname or alias.name] = importlib.import_module(alias.name)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                module = importlib.import_module(str(node.module))
                found[alias.asname or alias.name] = getattr(module, alias.name)
        else:
            raise ValueError(f"{statements!r} has something else than import statements")
    return found


def commented(source: str) -> str:
    """The script with its imports as comments, so that each line keeps its number."""
    lines = source.split("\n")
    return "\n".join(f"#{line}" if line.startswith(("import", "from")) else line for line in lines)


def _chosen(names: Mapping[str, Any], wanted: Any) -> Any:
    if isinstance(wanted, (list, tuple)):
        return {name: names.get(name) for name in wanted}
    return names.get(wanted)


def _line(error: BaseException) -> int:
    said = error.args[0] if error.args else ""
    if isinstance(error, SyntaxError) and isinstance(said, tuple):
        found = _LINE.match(str(said[0])) if said else None
        return int(found.group(1)) if found else -1
    return line_of(error, _FILE)


def _harmless() -> dict[str, Any]:
    """What a restricted script may use."""
    from RestrictedPython import Guards, Limits, Utilities
    from RestrictedPython.PrintCollector import PrintCollector

    builtins = {
        **Guards.safe_builtins,
        **Limits.limited_builtins,
        **Utilities.utility_builtins,
        "max": max,
        "min": min,
        "sum": sum,
        "time": time,
    }
    return {
        "__builtins__": builtins,
        "_print_": PrintCollector,
        "_getattr_": Guards.safer_getattr,
        "_getitem_": _item,
        "_getiter_": iter,
        "_unpack_sequence_": Guards.guarded_unpack_sequence,
        "_write_": Guards.full_write_guard,
    }


def _item(held: Any, index: Any) -> Any:
    if type(held) in (list, tuple, dict) or isinstance(held, (nest.NodeCollection, nest.SynapseCollection)):
        return held[index]
    raise TypeError(f"a restricted script cannot take an item of {type(held).__name__}")
