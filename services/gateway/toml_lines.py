"""Where a key stands in a TOML text, for a mark in an editor."""

import contextlib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def placed(problem: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A problem of a TOML file that names a key, with the line where that is."""
    known = dict(problem)
    if "line" in known or "key" not in known or not str(known.get("file", "")).endswith(".toml"):
        return known
    with contextlib.suppress(OSError, ValueError, RecursionError):
        text = (folder / known["file"]).read_text(encoding="utf-8")
        tomllib.loads(text)
        if line := line_of(text, str(known["key"])):
            known |= {"line": line, "line_text": text.splitlines()[line - 1]}
    return known


def line_of(text: str, key: str) -> int | None:
    """The line of a TOML text where a dotted key stands, or the nearest table around it; None if there is neither.

    It reads line by line: good enough for files that people write, and for a mark in an editor.
    """
    wanted = [part for part in re.sub(r"\[\d+\]", "", key).split(".") if part]
    best, best_line = 0, None
    table: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        here = _named_on(line, table)
        if here is None:
            continue
        if line.lstrip().startswith("["):
            table = here
        depth = len(here) if here == wanted[: len(here)] else 0
        if depth > best:
            best, best_line = depth, number
    return best_line


def _named_on(line: str, table: list[str]) -> list[str] | None:
    """The dotted name of the table or the key that a line begins with."""
    if header := re.match(r"\s*\[\[?\s*([^\]]+?)\s*\]", line):
        return _parts(header[1])
    if assigned := re.match(r"""\s*((?:[A-Za-z0-9_.\- ]|"[^"]*"|'[^']*')+?)\s*=""", line):
        return [*table, *_parts(assigned[1])]
    return None


def _parts(name: str) -> list[str]:
    return [part.strip("\"' ") for part in re.findall(r'"[^"]*"|\'[^\']*\'|[^.]+', name)]
