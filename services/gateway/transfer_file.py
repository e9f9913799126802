"""Writes transfer functions back into the file they came from, and leaves everything else in it as it was.

The file is changed as text, at the places where Python's own parser finds the functions: comments, helpers and empty
lines stay, byte for byte.
"""

import ast
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import published_files
from .problems import Problem
from .storage import FILE, Storage

_DEFAULTS: Mapping[str, Any] = {"active": True, "priority": 0}

Function = Mapping[str, Any]
"""A function as the engine tells of it: name, source, active, priority."""


@dataclass(frozen=True, slots=True)
class Place:
    """A function in a file: its first and last line, from 0, the last one not included."""

    name: str
    first: int
    after: int
    source: str


def save(storage: Storage, experiment: str, functions: Sequence[Function]) -> dict[str, Any]:
    """Put these functions into the file that the experiment names; which file, and whether it has changed.

    Published functions have a file each: then all that have changed are named.

    Raises Problem 409 if the experiment has no such file, 422 for a function or a file that Python cannot read.
    """
    table = _table(storage.folder(experiment))
    if published_files.is_published(table):
        return published_files.save(storage, experiment, table, functions)
    name = _name(table)
    content = storage.read(experiment, name)
    text = written(content.data.decode("utf-8"), functions, name)
    changed = text.encode("utf-8") != content.data
    if changed:
        storage.write(experiment, name, text.encode("utf-8"), if_match=content.etag)
    return {"file": name, "changed": changed}


def saved(folder: Path, functions: Sequence[Function]) -> set[str]:
    """The names of those that stand in the file of the experiment in `folder` as they are."""
    try:
        table = _table(folder)
        if published_files.is_published(table):
            return published_files.saved(folder, table, functions)
        text = (folder / _name(table)).read_text(encoding="utf-8")
        places = {place.name: place for place in places_in(text)}
    except (OSError, ValueError, SyntaxError, Problem):
        return set()
    return {name for one in functions if (name := str(one["name"])) in places and _stands(one, places[name])}


def _stands(one: Function, place: Place) -> bool:
    """Whether the function is written here as it is."""
    try:
        return _fitted(one, "\n").splitlines() == place.source.splitlines()
    except (SyntaxError, ValueError):
        return False


def _table(folder: Path) -> dict[str, Any]:
    """[transfer] of the experiment file. Raises Problem 409 if there is none."""
    try:
        table = tomllib.loads((folder / FILE).read_text(encoding="utf-8")).get("transfer")
    except (OSError, ValueError, RecursionError):
        raise Problem(409, "conflict", f"{FILE} cannot be read any more: mend it first") from None
    if not isinstance(table, dict):
        raise Problem(409, "conflict", f"the experiment has no file of transfer functions: add [transfer] to {FILE}")
    return table


def _name(table: Mapping[str, Any]) -> str:
    return str(table.get("file", "transfer.py"))


def written(text: str, functions: Sequence[Function], name: str = "the file") -> str:
    """The text of a file with these functions in it: changed ones in their places, new ones at the end.

    Raises Problem 422 if the text, or the source of a function, has an error of syntax.
    """
    ending = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines(keepends=True)
    try:
        places = places_in(text)
    except SyntaxError as error:
        said = f"{name}, line {error.lineno}: {error.msg}; mend the file before functions are saved into it"
        raise Problem(422, "script_error", said, file=name, line=error.lineno) from None
    wanted = {str(one["name"]): _checked(one, ending) for one in functions}
    for place in reversed(places):
        source = wanted.pop(place.name, None)
        if source is None:
            _cut(lines, place)
        elif source.splitlines() != place.source.splitlines():
            lines[place.first : place.after] = _closed(source, ending)
    for source in wanted.values():
        _append(lines, source, ending)
    return "".join(lines)


def places_in(text: str) -> list[Place]:
    """The transfer functions of a file, in order. Raises SyntaxError or ValueError for what is no Python."""
    lines = text.splitlines(keepends=True)
    found = []
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and any(_is_transfer(one) for one in node.decorator_list):
            first = min(one.lineno for one in node.decorator_list) - 1
            after = node.end_lineno or node.lineno
            source = "".join(lines[first:after]).rstrip("\r\n")
            found.append(Place(node.name, first, after, source))
    return found


def declared(source: str, values: Mapping[str, Any]) -> str:
    """The source of one function with these keywords in its decorator.

    A keyword is written where it stands already, or differs from what it is without being written.
    """
    for keyword, value in values.items():
        call = _decorator(source)
        present = next((one for one in call.keywords if one.arg == keyword), None) if call else None
        if present is not None:
            if not _has_value(present.value, value):
                source = _replaced(source, present.value, repr(value))
        elif value != _DEFAULTS.get(keyword):
            source = _added(source, call, f"{keyword}={value!r}")
    return source


def _fitted(one: Function, ending: str) -> str:
    source = str(one["source"]).replace("\r\n", "\n").strip("\n")
    source = declared(source, {key: one[key] for key in _DEFAULTS if key in one})
    return source.replace("\n", ending)


def _checked(one: Function, ending: str) -> str:
    try:
        return _fitted(one, ending)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        text = f"the transfer function {one['name']!r} has an error in line {line}: mend it before it is saved"
        raise Problem(422, "script_error", text, line=line, column=getattr(error, "offset", None)) from None


def _decorator(source: str) -> ast.Call | None:
    """The call `transfer(…)` above the function; None if it is decorated without one."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef):
            for one in node.decorator_list:
                if _is_transfer(one):
                    return one if isinstance(one, ast.Call) else None
    raise ValueError("this is no transfer function")


def _is_transfer(node: ast.expr) -> bool:
    target = node.func if isinstance(node, ast.Call) else node
    name = target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")
    return name == "transfer"


def _has_value(node: ast.expr, value: Any) -> bool:
    try:
        found = ast.literal_eval(node)
    except ValueError:
        return False
    return type(found) is type(value) and found == value


def _replaced(source: str, node: ast.expr, text: str) -> str:
    start = _offset(source, node.lineno, node.col_offset)
    end = _offset(source, node.end_lineno or node.lineno, node.end_col_offset or 0)
    data = source.encode("utf-8")
    return (data[:start] + text.encode("utf-8") + data[end:]).decode("utf-8")


def _added(source: str, call: ast.Call | None, text: str) -> str:
    """The source with one more argument at the end of the decorator's."""
    if call is None:
        return source  # a bare decorator takes none, and the engine refuses it anyway
    given = [*call.args, *(one.value for one in call.keywords)]
    data = source.encode("utf-8")
    if given:
        last = max(given, key=lambda node: (node.end_lineno or 0, node.end_col_offset or 0))
        at = _offset(source, last.end_lineno or last.lineno, last.end_col_offset or 0)
        text = f", {text}"
    else:
        at = _offset(source, call.end_lineno or call.lineno, call.end_col_offset or 0) - 1
    return (data[:at] + text.encode("utf-8") + data[at:]).decode("utf-8")


def _offset(source: str, line: int, column: int) -> int:
    """Where a line (from 1) and a column in bytes are in the bytes of a text."""
    lines = source.split("\n")
    return sum(len(one.encode("utf-8")) + 1 for one in lines[: line - 1]) + column


def _closed(source: str, ending: str) -> list[str]:
    return f"{source}{ending}".splitlines(keepends=True)


def _cut(lines: list[str], place: Place) -> None:
    """Take a function out, and the empty lines that kept it apart from what follows."""
    after = place.after
    while after < len(lines) and not lines[after].strip():
        after += 1
    del lines[place.first : after]
    if after >= len(lines) + (after - place.first):  # it was the last one: no empty lines at the end of a file
        while lines and not lines[-1].strip():
            lines.pop()


def _append(lines: list[str], source: str, ending: str) -> None:
    if lines and not lines[-1].endswith(("\n", "\r")):
        lines[-1] += ending
    while lines and not lines[-1].strip():
        lines.pop()
    lines += ([ending, ending] if lines else []) + _closed(source, ending)
