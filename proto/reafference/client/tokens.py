"""Where a script finds its token: given, in the environment, or in a file that only its owner can read."""

import os
from collections.abc import Mapping
from pathlib import Path

from .refusals import Unauthorized

VARIABLE = "REAF_TOKEN"
_OTHERS = 0o077


def file(environ: Mapping[str, str]) -> Path:
    """Where the token is kept: ~/.config/reafference/token, or below XDG_CONFIG_HOME."""
    base = environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME", "~")).expanduser() / ".config"
    return Path(base) / "reafference" / "token"


def find(environ: Mapping[str, str]) -> str:
    """The token from REAF_TOKEN, else from the file; empty where there is neither.

    Raises Unauthorized for a file that others can read.
    """
    if environ.get(VARIABLE):
        return environ[VARIABLE].strip()
    path = file(environ)
    try:
        mode = path.stat().st_mode
    except OSError:
        return ""
    if mode & _OTHERS:
        raise Unauthorized(f"{path} can be read by others: chmod 600 {path}, and make a new token if need be")
    return path.read_text(encoding="utf-8").strip()


def remember(token: str, environ: Mapping[str, str]) -> Path:
    """Keep the token in the file, for the owner only."""
    path = file(environ)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return write(path, token)


def write(path: Path, token: str) -> Path:
    """Never, not even for a moment, may others read it."""
    made = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(token + "\n")
    return made.replace(path)
