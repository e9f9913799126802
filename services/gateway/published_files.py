"""Writes published transfer functions back into their files, one function in each.

Which files there are, and which of them begin switched off, stands in `[transfer]` of the experiment file.
"""

import ast
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reafference.published import unindented

from .problems import Problem
from .storage import FILE, Storage
from .toml_keys import with_keys

Function = Mapping[str, Any]

OWN_DIALECT = "reafference"


def is_published(table: Any) -> bool:
    """Whether [transfer] names files of published functions."""
    return isinstance(table, Mapping) and table.get("dialect", OWN_DIALECT) != OWN_DIALECT


def save(storage: Storage, experiment: str, table: Mapping[str, Any], functions: Sequence[Function]) -> dict[str, Any]:
    """Put each function into its own file; new ones get files of their own name, and those of functions that are no
    more are named in the experiment no longer. Which files have changed.

    Raises Problem 422 for a function that Python cannot read.
    """
    for one in functions:
        _check(one)
    texts = {name: storage.read(experiment, name) for name in table.get("files", ())}
    own = {name_in(content.data.decode("utf-8", "replace")): name for name, content in texts.items()}
    placed: dict[str, Function] = {}
    for one in functions:
        name = own.get(str(one["name"])) or _free(storage, experiment, str(one["name"]), placed)
        placed[name] = one
    wanted = _ordered(table, placed)
    content = storage.read(experiment, FILE)
    text = content.data.decode("utf-8")
    values = {key: value for key, value in wanted.items() if value != table.get(key, type(value)())}
    changed_text = with_keys(text, "transfer", values) if values else text
    # All has been understood: only now is anything written.
    changed = [name for name, one in placed.items() if not _holds(texts.get(name), str(one["source"]))]
    for name in changed:
        data = str(placed[name]["source"]).encode("utf-8")
        storage.write(experiment, name, data, if_match=texts[name].etag if name in texts else None)
    if changed_text != text:
        storage.write(experiment, FILE, changed_text.encode("utf-8"), if_match=content.etag)
        changed.append(FILE)
    return {"file": ", ".join(changed or placed), "changed": bool(changed)}


def saved(folder: Path, table: Mapping[str, Any], functions: Sequence[Function]) -> set[str]:
    """The names of those that stand in a file of the experiment as they are."""
    found = set()
    by_name = {str(one["name"]): one for one in functions}
    for name in table.get("files", ()):
        try:
            text = (folder / name).read_text(encoding="utf-8")
        except (OSError, ValueError):
            continue
        one = by_name.get(name_in(text))
        if one is None or text.splitlines() != str(one["source"]).splitlines():
            continue
        active = name not in table.get("inactive", ())
        if one.get("active", active) == active:
            found.add(str(one["name"]))
    return found


def name_in(text: str) -> str:
    """The name of the function of a file: the first one with a decorator; empty if there is none."""
    try:
        body = ast.parse(unindented(text)).body
    except (SyntaxError, ValueError, RecursionError):
        found = re.search(r"^@[\s\S]*?^def\s+(\w+)", text, re.MULTILINE) or re.search(
            r"^def\s+(\w+)", text, re.MULTILINE
        )
        return found[1] if found else ""
    functions = [node for node in body if isinstance(node, ast.FunctionDef)]
    decorated = [node for node in functions if node.decorator_list]
    return (decorated or functions)[0].name if functions else ""


def _check(one: Function) -> None:
    try:
        ast.parse(unindented(str(one["source"])))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        text = f"the transfer function {one['name']!r} has an error in line {line}: mend it before it is saved"
        raise Problem(422, "script_error", text, line=line, column=getattr(error, "offset", None)) from None


def _free(storage: Storage, experiment: str, name: str, placed: Mapping[str, Function]) -> str:
    """A name for a file that is not there yet."""
    taken = {file.path for file in storage.files(experiment)} | set(placed)
    number, path = 1, f"{name}.py"
    while path in taken:
        number += 1
        path = f"{name}_{number}.py"
    return path


def _ordered(table: Mapping[str, Any], placed: Mapping[str, Function]) -> dict[str, Any]:
    """`files`, `inactive` and `priorities` as they are now; what a function says nothing about stays."""
    files = [name for name in table.get("files", ()) if name in placed]
    files += [name for name in placed if name not in files]
    inactive = [name for name in files if not placed[name].get("active", name not in table.get("inactive", ()))]
    before = table.get("priorities", {})
    priorities = {name: int(placed[name].get("priority", before.get(name, 0))) for name in files}
    given = {name: number for name, number in priorities.items() if number}
    return {"files": files, "inactive": inactive, "priorities": given}


def _holds(content: Any, source: str) -> bool:
    """Whether a file has this text already, however its lines end."""
    return content is not None and content.data.decode("utf-8", "replace").splitlines() == source.splitlines()
