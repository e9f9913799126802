"""What the published client keeps of recordings: files beside the run folders, and a note with each."""

import re
from pathlib import Path

from ..problems import Problem
from ..storage import MOST_FILES, check_bytes, replace_file

FOLDER = "recordings"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. +:-]{0,119}")


def kept_in(folder: Path) -> list[Path]:
    """The files that are kept in the folder with the recordings of an experiment, by name."""
    if not folder.is_dir():
        return []
    return sorted(
        file for file in folder.iterdir() if _NAME.fullmatch(file.name) and file.is_file() and not file.is_symlink()
    )


def paths_in(folder: Path) -> list[str]:
    """Their paths in the experiment."""
    return [f"{FOLDER}/{file.name}" for file in kept_in(folder)]


def kept(folder: Path, path: str) -> Path | None:
    """The one at this path of the experiment; None if there is none."""
    return next((file for file in kept_in(folder) if f"{FOLDER}/{file.name}" == path), None)


def is_note(path: str) -> bool:
    """Whether this is the path of a note on a recording: such a text may be written there, and nothing else."""
    folder, _, name = path.partition("/")
    return folder == FOLDER and name.endswith(".txt") and _NAME.fullmatch(name) is not None


def keep_note(folder: Path, path: str, data: bytes) -> None:
    """Write a note on a recording; raises Problem for what is too large, or no text."""
    check_bytes(path, data)
    folder.mkdir(exist_ok=True)
    if len(kept_in(folder)) >= MOST_FILES:
        raise Problem(413, "too_large", f"there are {MOST_FILES} files of recordings: delete some")
    replace_file(folder / path.partition("/")[2], data)
