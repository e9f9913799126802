"""`python -m services.engine.check FOLDER`: what keeps an experiment from being run, found without running it.

It prints a list of problems as JSON: `text`, and where known `file` (relative to the folder), `line`, `column`,
`line_text`, `key`. Nothing of the user's is imported or called, and the process may use only so much.
"""

import ast
import json
import re
import resource
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reafference.errors import BadExperiment
from reafference.published import unindented

from . import experiment
from .dialects.nrp import topics
from .experiment import FILE

Found = dict[str, Any]

_MOST_BYTES = 2 * 2**30
_MOST_CPU_S = 30
_SKIPPED = ("recordings", "__pycache__", "state_machines")


def main() -> int:
    """Check the folder on the command line; 0 whatever was found."""
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_MOST_CPU_S, _MOST_CPU_S))
    warnings.simplefilter("ignore")
    print(json.dumps(list(problems(Path(sys.argv[1])))))
    return 0


def problems(folder: Path) -> Iterator[Found]:
    """What is wrong: first in the experiment file, then in each script."""
    published: tuple[str, ...] = ()
    try:
        table = experiment.load(folder).document.transfer
        if table is not None:
            topics.check(table.topics)
            published = table.files
    except BadExperiment as error:
        yield from _in_experiment(folder, error)
    for path in _scripts(folder):
        name = path.relative_to(folder).as_posix()
        yield from _in_script(path, name, indented=name in published)


def _in_experiment(folder: Path, error: BadExperiment) -> Iterator[Found]:
    text = error.text.replace(f"{folder / FILE}: ", "").replace(f"{folder}/", "")
    key, line = error.detail.get("key"), error.detail.get("line")
    column = re.search(r"column (\d+)", text) if line else None
    yield _found(text, FILE, line, int(column[1]) if column else None, key=key)


def _scripts(folder: Path) -> list[Path]:
    """The Python files of an experiment."""
    found = []
    for path in folder.rglob("*.py"):
        parts = path.relative_to(folder).parts
        hidden = any(part.startswith(".") for part in parts)
        if not hidden and parts[0] not in _SKIPPED and "__pycache__" not in parts and path.is_file():
            found.append(path)
    return sorted(found)


def _in_script(path: Path, name: str, *, indented: bool) -> Iterator[Found]:
    """`indented` says that all of its lines may be, as they are in some published files."""
    try:
        text = path.read_text(encoding="utf-8")
        compile(ast.parse(unindented(text) if indented else text, name), name, "exec", dont_inherit=True)
    except UnicodeDecodeError as error:
        yield _found(f"{name} must be text in UTF-8: byte {error.start} is not", name)
    except SyntaxError as error:
        line = error.lineno or None
        yield _found(f"{type(error).__name__}: {error.msg}", name, line, error.offset or None, _line(text, line))
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        words = str(error) or "it is nested too deeply"
        yield _found(f"{name} cannot be read as Python: {words}", name)
    except OSError as error:
        yield _found(f"{name} cannot be read: {error.strerror}", name)


def _line(text: str, number: int | None) -> str | None:
    lines = text.split("\n")
    return lines[number - 1].rstrip("\r") if number and number <= len(lines) else None


def _found(
    text: str,
    file: str,
    line: int | None = None,
    column: int | None = None,
    line_text: str | None = None,
    key: Any = None,
) -> Found:
    all_ = {"text": text, "file": file, "line": line, "column": column, "line_text": line_text, "key": key}
    return {name: value for name, value in all_.items() if value is not None}


if __name__ == "__main__":
    sys.exit(main())
