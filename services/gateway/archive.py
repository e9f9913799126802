"""Experiments as zip files. What comes from outside is believed only after all of it has been looked at."""

import contextlib
import lzma
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from . import paths
from .problems import Problem

MIB = 2**20
MOST_ZIP_BYTES = 200 * MIB
MOST_UNPACKED_BYTES = 1024 * MIB
MOST_ENTRIES = 10_000
MOST_RATIO = 200
"""Unpacked to packed, of an entry that is large: text shrinks tenfold, only a bomb more than this."""

_RATIO_FROM_BYTES = MIB
_CHUNK = 256 * 1024
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_IGNORED = ("__MACOSX/",)
_IGNORED_NAMES = (".DS_Store", "Thumbs.db")


def pack(folder: Path, files: Sequence[str], into: BinaryIO, top: str) -> None:
    """Write the files of a folder as a zip file, all below one folder `top`; one that is no more is left out."""
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as zipped:
        for path in files:
            with contextlib.suppress(FileNotFoundError):  # which is raised before anything of it is written
                zipped.write(folder / path, f"{top}/{path}")


def unpack(zipped: BinaryIO, folder: Path, *, tidying: bool = False) -> None:
    """Put what is in a zip file into an empty folder; a single folder at its top is taken off.

    With `tidying`, what nobody means to send is left out instead of being refused: hidden files, compiled Python, and
    recordings. Scripts that zip whole folders cannot be asked to choose.

    Raises Problem 422 or 413, before anything is written where the list of contents already shows that it cannot be.
    """
    try:
        with zipfile.ZipFile(zipped) as opened:
            entries = _checked(opened, tidying)
            for path, entry in entries.items():
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                _write(opened, entry, target)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError) as error:
        raise _refused(f"it is damaged, or no zip file ({error})") from None
    except (ValueError, OverflowError, UnicodeError):
        raise _refused("it is damaged") from None


def top_of(zipped: BinaryIO) -> str:
    """The name of the only folder at the top of a zip file; empty if it has none, or cannot be read."""
    try:
        with zipfile.ZipFile(zipped) as opened:
            names = [entry.filename for entry in _tidied(opened.infolist()) if not entry.is_dir()]
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError):
        return ""
    return _single_top([name for name in names if not _ignored(name)]).rstrip("/")


def _checked(opened: zipfile.ZipFile, tidying: bool) -> dict[PurePosixPath, zipfile.ZipInfo]:
    """The files by their path in the experiment."""
    entries = _tidied(opened.infolist()) if tidying else opened.infolist()
    if len(entries) > MOST_ENTRIES:
        raise _too_large(f"it has {len(entries):,} entries; the limit is {MOST_ENTRIES:,}")
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > MOST_UNPACKED_BYTES:
        raise _too_large(f"it would be {unpacked / MIB:,.0f} MiB unpacked; the limit is {MOST_UNPACKED_BYTES // MIB}")
    for entry in entries:
        _check_entry(entry)
    wanted = [entry for entry in entries if not entry.is_dir() and not _ignored(entry.filename)]
    top = _single_top([entry.filename for entry in wanted])
    return _by_path({entry.filename.removeprefix(top): entry for entry in wanted}, len(wanted))


def _tidied(entries: list[zipfile.ZipInfo]) -> list[zipfile.ZipInfo]:
    """Without those that nobody means to send."""
    meant = [entry for entry in entries if not any(map(_aside, entry.filename.split("/")))]
    top = _single_top([entry.filename for entry in meant if not entry.is_dir() and not _ignored(entry.filename)])
    return [entry for entry in meant if entry.filename.removeprefix(top).split("/")[0].lower() not in paths.RESERVED]


def _aside(part: str) -> bool:
    """Whether a part of a path is a file or folder that stands aside: hidden, or made by Python."""
    return (part.startswith(".") and part not in (".", "..")) or part == "__pycache__"


def _check_entry(entry: zipfile.ZipInfo) -> None:
    # `filename` has been cut at a zero byte and had its backslashes turned; what was in the file is what counts.
    name = entry.orig_filename
    flaw = paths.flaw_of(name.removesuffix("/") if not _ignored(name) else name.split("/")[-1].lstrip("._") or "x")
    if ".." in name.replace("\\", "/").split("/"):
        flaw = "it leads out of the experiment's folder"
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        flaw = "it is a link, or something else that is no file"
    if flaw:
        raise _refused(f"its entry {paths.shown(name)} cannot be taken: {flaw}")
    if entry.flag_bits & 0x1:
        raise _refused("it has a password: make it without one")
    if entry.compress_type not in _METHODS:
        raise _refused(
            f"{paths.shown(name)} is packed in a way that not everybody can read: use the usual one (deflate)"
        )
    if entry.file_size > _RATIO_FROM_BYTES and entry.file_size > MOST_RATIO * max(entry.compress_size, 1):
        raise _too_large(f"{paths.shown(name)} would grow more than {MOST_RATIO} times when unpacked")


def _by_path(named: dict[str, zipfile.ZipInfo], number: int) -> dict[PurePosixPath, zipfile.ZipInfo]:
    found = {paths.checked(name): entry for name, entry in named.items()}
    seen = {unicodedata.normalize("NFC", str(path)).casefold() for path in found}
    if len(seen) < number:
        raise _refused("two of its entries have the same name")
    for path in found:
        for parent in path.parents:
            if parent in found:
                raise _refused(f"{paths.shown(str(parent))} is a file and a folder in it")
    return found


def _single_top(names: Sequence[str]) -> str:
    """The folder in which all lie, with its slash; empty if there is none."""
    tops = {name.partition("/")[0] if "/" in name else "" for name in names}
    return f"{tops.pop()}/" if len(tops) == 1 and "" not in tops else ""


def _write(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    """The entry as a file; what it says of its size is held against what comes out."""
    written = 0
    with opened.open(entry) as source, target.open("xb") as file:
        while chunk := source.read(_CHUNK):
            written += len(chunk)
            if written > entry.file_size:
                raise _refused(f"{paths.shown(entry.filename)} is larger than it says")
            file.write(chunk)
    if written != entry.file_size:
        raise _refused(f"{paths.shown(entry.filename)} is shorter than it says")


def _ignored(name: str) -> bool:
    """What some systems put into every zip file."""
    return name.startswith(_IGNORED) or name.split("/")[-1] in _IGNORED_NAMES


def _refused(reason: str) -> Problem:
    return Problem(422, "invalid", f"this zip file cannot be taken: {reason}")


def _too_large(reason: str) -> Problem:
    return Problem(413, "too_large", f"this zip file cannot be taken: {reason}")
