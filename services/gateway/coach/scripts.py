"""Scripts as the published client sends them: as plain text, whatever the header says, and state machines as files."""

import ast
import io
import re
import tokenize
from pathlib import Path

from reafference.published import unindented

from ..problems import Problem, not_found
from ..storage import Storage, read_in

FOLDER = "state_machines"
_SUFFIX = ".py"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}")
_NOTHING = frozenset((tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.ENCODING, tokenize.ENDMARKER))


def text_of(body: bytes) -> str:
    """The text in the body of a request; old clients send it in Latin-1."""
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return body.decode("latin-1")


def says_nothing(script: str) -> bool:
    """Whether a script has comments and empty lines only."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(script).readline))
    except (tokenize.TokenError, SyntaxError):
        return False
    return all(token.type in _NOTHING for token in tokens)


def name_of(function: str) -> str:
    """The name of the function that a text defines: of the decorated one, where there are more.

    Raises Problem 422 where it defines none, or is no Python.
    """
    try:
        found = [node for node in ast.parse(unindented(function)).body if isinstance(node, ast.FunctionDef)]
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line, said = getattr(error, "lineno", None), getattr(error, "msg", None) or "it cannot be read"
        text = f"a transfer function has an error in line {line}: {said}; mend it before it is saved"
        raise Problem(422, "script_error", text, line=line, column=getattr(error, "offset", None)) from None
    names = [node.name for node in found if node.decorator_list] or [node.name for node in found]
    if not names:
        raise Problem(422, "invalid", "this text defines no function: a transfer function begins with def NAME(...)")
    return names[-1]


def state_machines(folder: Path) -> dict[str, str]:
    """The state machines of the experiment in `folder`, by name."""
    files = sorted((folder / FOLDER).glob(f"*{_SUFFIX}"))
    return {file.stem: read_state_machine(folder, file.stem) for file in files if _NAME.fullmatch(file.stem)}


def read_state_machine(folder: Path, name: str) -> str:
    """The text of one; raises Problem 404 if there is none of this name."""
    try:
        return read_in(folder, path_of(name)).data.decode("utf-8", "replace")
    except Problem as problem:
        raise (not_found("state machine", name) if problem.status == 404 else problem) from None


def write_state_machine(storage: Storage, experiment: str, name: str, text: str) -> None:
    """Keep one in its experiment; raises Problem 422 for a name that cannot be that of a file."""
    storage.write(experiment, path_of(name), text.encode("utf-8"))


def remove_state_machine(storage: Storage, experiment: str, name: str) -> None:
    """Delete one; raises Problem 404 if there is none of this name."""
    read_state_machine(storage.folder(experiment), name)
    storage.remove(experiment, path_of(name))


def path_of(name: str) -> str:
    """The file in which a state machine is kept; raises Problem 422 for a name that cannot be that of a file."""
    if not _NAME.fullmatch(name):
        text = f"a state machine cannot be called {name[:80]!r}: take letters, digits, '_', '-' and '.'"
        raise Problem(422, "invalid", text)
    return f"{FOLDER}/{name}{_SUFFIX}"
