"""Gives keys of a TOML file other values, and leaves everything else in it as it was."""

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any

from .problems import Problem
from .storage import FILE

_HEADER = re.compile(r"\s*\[")
_BARE = re.compile(r"[A-Za-z0-9_-]+\Z")


def with_keys(text: str, table: str, values: Mapping[str, Any]) -> str:
    """The text with these values in a table that it has, each a list of texts or a map to numbers; an empty one is left
    out. Raises Problem 409 where the file is written in a way that is not foreseen here."""
    wanted = tomllib.loads(text)
    if table not in wanted:
        raise _by_hand(table)
    own = {**wanted[table], **values}
    wanted[table] = {key: value for key, value in own.items() if value or key not in values}
    ending = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines(keepends=True)
    for key, value in values.items():
        _put(lines, table, key, f"{key} = {_written(value)}{ending}" if value else "")
    changed = "".join(lines)
    try:
        if tomllib.loads(changed) == wanted:
            return changed
    except (ValueError, RecursionError):
        pass
    raise _by_hand(table)


def _put(lines: list[str], table: str, key: str, line: str) -> None:
    """Let this be the line of a key, of which there may be several now; no line takes it out."""
    headers = [number for number, text in enumerate(lines) if _HEADER.match(text)]
    first = next((n for n in headers if re.match(rf"\s*\[\s*{re.escape(table)}\s*\]", lines[n])), None)
    if first is None:
        return
    # A header within a list of several lines is an element of it.
    after = next((n for n in headers if n > first and not _within(lines[first + 1 : n])), len(lines))
    for number in range(first + 1, after):
        if re.match(rf"\s*{re.escape(key)}\s*=", lines[number]):
            until = number + 1
            while until < after and _within(lines[number:until]):
                until += 1
            lines[number:until] = [line] if line else []
            return
    if line:
        if not lines[first].endswith("\n"):
            lines[first] += "\n"
        lines.insert(first + 1, line)


def _within(lines: list[str]) -> bool:
    """Whether these lines end in the middle of a value."""
    try:
        tomllib.loads("".join(lines))
    except tomllib.TOMLDecodeError:
        return True
    return False


def _written(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(name)} = {_written(one)}" for name, one in value.items()) + " }"
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)


def _key(name: str) -> str:
    return name if _BARE.match(name) else json.dumps(name)


def _by_hand(table: str) -> Problem:
    text = f"{FILE} is written in a way that cannot be changed here without changing more: change [{table}] by hand"
    return Problem(409, "conflict", text, file=FILE)
