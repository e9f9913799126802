"""The file of transfer functions, and sources that are put beside it while it runs."""

import ast
import linecache
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import Any

from reafference import declare
from reafference.errors import ScriptError
from reafference.frames import MessageType, Ports

from . import blame
from .stage import Need, Stage

MOST_CHARACTERS = 1_000_000
"""The longest source of one function."""


@dataclass(frozen=True, slots=True)
class Source:
    """The text of one function. `file` is what tracebacks call it, `line` the line of that file in which it begins."""

    text: str
    file: str
    line: int = 1

    def own(self, line: int) -> int:
        """The same line, counted in this text from 1; 0 if it is not in it."""
        number = line - self.line + 1
        return number if 1 <= number <= len(_rows(self.text)) else 0

    def line_text(self, number: int) -> str:
        """A line of this text, without the space around it."""
        rows = _rows(self.text)
        return rows[number - 1].strip() if 1 <= number <= len(rows) else ""

    def place_of(self, words: str) -> tuple[int, int]:
        """Line and column of the first place where this stands, from 1; the first line if it stands nowhere."""
        for number, row in enumerate(_rows(self.text), 1):
            if words in row:
                return number, row.index(words) + 1
        return 1, 0


class Flaw(Exception):
    """A source that cannot be used; `line` and `column` are counted in it from 1, 0 where there is none."""

    def __init__(self, kind: MessageType, text: str, line: int = 0, column: int = 0) -> None:
        super().__init__(text)
        self.kind, self.text, self.line, self.column = kind, text, line, column


@dataclass(frozen=True, slots=True)
class Script:
    """A file of transfer functions that has been run: what it declares, and the names that it has defined.

    `sources` has the text of each declared function that stands in the file itself.
    """

    file: str
    folder: Path
    declarations: tuple[declare.Declaration, ...] = ()
    sources: Mapping[str, Source] = field(default_factory=dict)
    namespace: dict[str, Any] = field(default_factory=dict)
    flaws: Mapping[str, Flaw] = field(default_factory=dict)

    def define(self, source: Source) -> declare.Declaration:
        """Run another source among the names of the file; what it declares. Raises Flaw."""
        remember(source.file, source.text)
        code = code_of(source)
        with declare.collecting() as found, importable(self.folder):
            try:
                exec(code, self.namespace)
            except (Exception, SystemExit) as error:
                known = blame.places(error.__traceback__, source.file)
                raise Flaw("loading", blame.phrase(error), *(known[-1] if known else (0, 0))) from None
        if len(found) != 1:
            names = " and ".join(repr(one.name) for one in found)
            what = f"{names} have the decorator @transfer" if found else "nothing in it has the decorator @transfer"
            raise Flaw("loading", f"{what}: a source holds one transfer function", 1)
        return found[0]

    # --- what other dialects need; see services.engine.dialects -------------------------------------------

    @property
    def keeps_flawed(self) -> bool:
        return False

    def name_in(self, text: str) -> str:
        return name_in(text)

    def devices(self) -> Mapping[str, Mapping[str, Any]]:
        return {}

    def begin(self, stage: Stage) -> None:
        """Functions of ours know what they read."""

    def resolve(self, declaration: declare.Declaration, ports: Mapping[str, Ports]) -> declare.Declaration:
        del ports
        return declaration

    def dropped(self, declaration: declare.Declaration) -> None:
        """The last values that it wrote are held."""

    def needs(self) -> list[Need]:
        return []

    def refused(self, need: Need) -> None:
        """Nothing was needed."""

    def open(self, folder: Path) -> None:
        """Nothing is written there."""

    def close(self) -> None:
        """Nothing is open."""


def of(file: tuple[str, str] | None, folder: Path) -> Script:
    """Run the file of this name and text, if there is one. Raises ScriptError."""
    if file is not None:
        return load(*file, folder)
    return Script(str(folder / "transfer.py"), folder, namespace=_names("transfer", str(folder / "transfer.py")))


def load(name: str, text: str, folder: Path) -> Script:
    """Run the file of transfer functions.

    Raises ScriptError, with file and line, for anything that keeps it from being run.
    """
    shown = str(folder / name)
    # Tracebacks show the text that ran, even if the file on disk has changed meanwhile.
    remember(shown, text)
    code = _compiled(shown, text)
    namespace = _names(Path(name).stem, shown)
    with declare.collecting() as declarations, importable(folder):
        try:
            exec(code, namespace)
        except (Exception, SystemExit) as error:
            known = blame.places(error.__traceback__, shown)
            line = known[-1][0] if known else 0
            raise ScriptError(
                f"{shown}, line {line}: {blame.phrase(error)}\n    {linecache.getline(shown, line).strip()}",
                detail={"file": shown, "line": line},
            ) from None
    _check_names(declarations, shown)
    return Script(shown, folder, tuple(declarations), _sources(shown, text, declarations), namespace)


def name_in(text: str) -> str:
    """The name of the function in a source, as far as one can tell without running it; empty if there is none."""
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        found = re.search(r"@\s*transfer\b[\s\S]*?^\s*def\s+(\w+)", text, re.MULTILINE) or re.search(
            r"^\s*def\s+(\w+)", text, re.MULTILINE
        )
        return found[1] if found else ""
    functions = [node for node in body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    decorated = [node for node in functions if node.decorator_list]
    return (decorated or functions)[0].name if functions else ""


def forget(file: str) -> None:
    """Show the text of this source in tracebacks no more."""
    linecache.cache.pop(file, None)


def _names(name: str, file: str) -> dict[str, Any]:
    return {"__name__": name, "__file__": file, "transfer": declare.transfer}


def remember(file: str, text: str) -> None:
    """Show this text in tracebacks that name this file."""
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)


def _rows(text: str) -> list[str]:
    """The lines as Python counts them."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _check_names(declarations: list[declare.Declaration], shown: str) -> None:
    names = [declaration.name for declaration in declarations]
    for declaration in declarations:
        if names.count(declaration.name) > 1:
            raise ScriptError(
                f"{shown}: two transfer functions are called {declaration.name!r}: rename one of them",
                detail={"file": shown},
            )


def _sources(file: str, text: str, declarations: list[declare.Declaration]) -> dict[str, Source]:
    """The text of each declared function, from its first decorator to its end."""
    rows = _rows(text)
    spans = {
        min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]): node.end_lineno or node.lineno
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    sources = {}
    for declaration in declarations:
        code = getattr(declaration.function, "__code__", None)
        if code is not None and code.co_filename == file and code.co_firstlineno in spans:
            first = code.co_firstlineno
            own = "\n".join(rows[first - 1 : spans[first]]) + "\n"
            sources[declaration.name] = Source(own, file, first)
    return sources


def code_of(source: Source) -> CodeType:
    """What can be run. Raises Flaw."""
    if len(source.text) > MOST_CHARACTERS:
        raise Flaw("compile", f"it has {len(source.text)} characters: the source of a function has at most 1,000,000")
    try:
        return compile(source.text, source.file, "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line, column = getattr(error, "lineno", 0) or 0, getattr(error, "offset", 0) or 0
        raise Flaw("compile", _said(error), line, max(column, 0)) from None


def _said(error: BaseException) -> str:
    return str(error.args[0]) if error.args else type(error).__name__


def _compiled(shown: str, text: str) -> CodeType:
    try:
        return compile(text, shown, "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", 0) or 0
        column = getattr(error, "offset", 0) or 0
        source = (getattr(error, "text", "") or "").strip()
        raise ScriptError(
            f"{shown}, line {line}: {_said(error)}\n    {source}",
            detail={"file": shown, "line": line, "column": column},
        ) from None


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Let a script import the modules beside it; who loads it again gets them anew, with the variables in them."""
    sys.path.insert(0, str(folder))
    before = set(sys.modules)
    try:
        yield
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None)
            if file and Path(file).is_relative_to(folder):
                del sys.modules[name]
