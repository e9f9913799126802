"""Paths that people give: relative, plain, inside their folder. Anything else is refused with the reason."""

import os
import re
import stat
import unicodedata
from pathlib import Path, PurePosixPath

from .problems import Problem

LONGEST_PATH = 200
DEEPEST_PATH = 8
RESERVED = ("recordings", "__pycache__")
"""Names that the server itself uses at the top of an experiment."""

_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\]')
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def checked(path: str) -> PurePosixPath:
    """The path, if it can be a file of an experiment; raises Problem 422 if not."""
    flaw = flaw_of(path)
    if flaw:
        raise Problem(422, "invalid", f"{shown(path)} cannot be the path of a file: {flaw}")
    return PurePosixPath(path)


def flaw_of(path: str) -> str:
    """What is wrong with a path, in words; empty if nothing is."""
    if not path:
        return "it is empty"
    if len(path.encode("utf-8", "surrogatepass")) > LONGEST_PATH:
        return f"it is longer than {LONGEST_PATH} bytes"
    if path.startswith("/"):
        return "it is absolute; paths begin in the experiment's folder"
    if _FORBIDDEN.search(path):
        return 'it has a sign that not every system takes (control signs, \\ < > : " | ? *)'
    if any(unicodedata.category(sign) in ("Cs", "Cf") for sign in path):
        return "it has a sign that cannot be seen"
    parts = path.split("/")
    if len(parts) > DEEPEST_PATH:
        return f"it is deeper than {DEEPEST_PATH} folders"
    if parts[0].lower() in RESERVED:
        return f"{parts[0]} is a folder of the server"
    return next((flaw for part in parts if (flaw := _flaw_of_name(part))), "")


def _flaw_of_name(name: str) -> str:
    if name == "..":
        return "it leads out of the experiment's folder"
    if not name:
        return "it has an empty part"
    if name.startswith("."):
        return "names that begin with a dot are hidden"
    if name != name.strip() or name.endswith("."):
        return "a name begins or ends with a space, or ends with a dot"
    if _DEVICES.fullmatch(name):
        return f"{name} is the name of a device on some systems"
    return ""


def inside(folder: Path, path: PurePosixPath) -> Path:
    """Where `path` lies in `folder`; raises Problem 422 where a link is on the way."""
    place = folder
    for part in path.parts:
        place = place / part
        try:
            mode = os.lstat(place).st_mode
        except FileNotFoundError:
            continue
        except NotADirectoryError:
            raise Problem(422, "invalid", f"{shown(str(path))}: {place.parent.name} is a file, no folder") from None
        if stat.S_ISLNK(mode):
            raise Problem(422, "invalid", f"{shown(str(path))} leads over a link; links are not followed")
    return place


def shown(path: str) -> str:
    """A path as it can stand in a sentence, whatever it holds."""
    text = path if len(path) <= 80 else path[:77] + "…"
    return repr(text)
