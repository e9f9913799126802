"""The experiments of users: one folder each, below `HOME/experiments`.

What is written appears at once and whole (a new file or folder takes its place by renaming), so a reader never
sees half of it, and of two writers one is last. Texts of scripts, pictures and all else are plain files, which
`reaf run` can use as well.
"""

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
import stat
import tempfile
import threading
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from reafference.errors import BadExperiment
from reafference.plain import nearest

from . import archive, model_library, paths
from . import published as published_form
from .people import Person
from .problems import Problem, not_found

MIB = 2**20
MOST_SCRIPT_BYTES = 5 * MIB
"""Of a file that people read: a script, the experiment file, a text."""
MOST_FILE_BYTES = 50 * MIB
"""Of any other file."""
MOST_FILES = 10_000
MOST_EXPERIMENTS = 10_000
LONGEST_NAME = 80

FILE = "experiment.toml"
_ABOUT = ".reafference.json"
_LEAVING = ".leaving"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}")
_SCRIPTS = (".py", ".exd")
_TABLES = (".toml", ".json", ".csv", ".yaml", ".yml", ".xml", ".urdf", ".sdf", ".exc", ".bibi")
_TEXTS = frozenset((*_SCRIPTS, *_TABLES, ".md", ".txt", ".rst"))


@dataclass(frozen=True, slots=True)
class About:
    """What the server keeps of an experiment beside its files. `title` is "" where that of the file is meant."""

    name: str
    owner: str
    template: str = ""
    title: str = ""
    created_at: str = ""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of an experiment. `path` is relative, `changed_at` in ISO 8601, `text` says whether people read it."""

    path: str
    bytes: int
    changed_at: str
    text: bool


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a file, and the tag that a writer shows to say which bytes it has seen."""

    data: bytes
    etag: str


class Storage:
    """The experiments in a home folder. Blocking; safe to use from several threads.

    Recordings lie in the folder of their experiment, or in `recordings`, below its id: on a volume of their own.
    """

    def __init__(self, home: Path, recordings: Path | None = None) -> None:
        self.home = home
        self._held = recordings
        self._root = home / "experiments"
        # Beside what it becomes: the experiments may lie on a volume of their own, and renaming ends at its border.
        self._incoming = self._root / ".incoming"
        self._lock = threading.RLock()
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(self._incoming, ignore_errors=True)
            self._incoming.mkdir(mode=0o700)
            if recordings is not None:
                recordings.mkdir(parents=True, exist_ok=True)
                shutil.rmtree(recordings / _LEAVING, ignore_errors=True)
        except OSError as error:
            where = error.filename or home
            raise BadExperiment(f"{where} cannot hold experiments and recordings: {error.strerror}") from None

    def ids(self) -> list[str]:
        """All experiments, the one changed last first."""
        folders = [entry for entry in os.scandir(self._root) if _ID.fullmatch(entry.name) and _is_folder(entry)]
        folders.sort(key=lambda entry: (-changed_ns(Path(entry.path)), entry.name))
        return [entry.name for entry in folders]

    def folder(self, id: str) -> Path:
        """The folder of an experiment; raises Problem 404 if there is none."""
        folder = self._root / id
        if not _ID.fullmatch(id) or not folder.is_dir() or folder.is_symlink():
            raise not_found("experiment", id, nearest(id, self.ids()))
        return folder

    def recordings(self, id: str) -> Path:
        """Where the recordings of an experiment lie; the folder is there when this returns."""
        folder = self.held(id)
        folder.mkdir(exist_ok=True)
        return folder

    def held(self, id: str) -> Path:
        """The same folder, which may not be there yet; raises Problem 404 if there is no such experiment."""
        folder = self.folder(id)
        return folder / "recordings" if self._held is None else self._held / id

    def about(self, id: str) -> About:
        """What is kept of an experiment beside its files."""
        folder = self.folder(id)
        try:
            kept = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
            return About(**kept)
        except (OSError, ValueError, TypeError):
            # A folder that somebody has put here by hand belongs to nobody in particular.
            return About(name=id, owner="")

    def describe(self, id: str, *, name: str | None = None, title: str | None = None) -> About:
        """Give an experiment another name or title; its id stays."""
        with self._lock:
            about = self.about(id)
            if name is not None:
                about = replace(about, name=plain_words(name, "name"))
            if title is not None:
                about = replace(about, title=plain_words(title, "title", 200))
            self._keep_about(self.folder(id), about)
        return about

    def clone(
        self, source: Path, template: str, owner: Person, name: str | None = None, *, published: bool = False
    ) -> str:
        """Copy an experiment's files, without recordings; the id of the new one.

        `published` gives it the id that the published platform would give: scripts may know it beforehand.
        """
        with self._new_folder() as folder:
            for file in files_in(source):
                target = folder / file.path
                target.parent.mkdir(parents=True, exist_ok=True)
                with contextlib.suppress(FileNotFoundError):  # somebody deletes it in this very moment
                    shutil.copyfile(source / file.path, target, follow_symlinks=False)
            if not source.is_dir():
                raise not_found("experiment", source.name)
            stem = source.name if published else name or template or source.name
            return self._settle(folder, stem, owner, template, name, published=published)

    def receive(
        self,
        zipped: BinaryIO,
        owner: Person,
        name: str | None = None,
        file_name: str = "",
        *,
        published: bool = False,
    ) -> str:
        """Make an experiment of a zip file; its id. Raises Problem and leaves nothing behind if it cannot be.

        `published` as in `clone`: the id is then made of the name of the folder in the zip file, and what a folder has
        beside its files (hidden ones, recordings) is left out.
        """
        with self._new_folder() as folder:
            archive.unpack(zipped, folder, tidying=published)
            for file in files_in(folder):
                check_content(file.path, folder / file.path)
            model_library.bring(self.home / "models", folder)
            published_form.complete(folder)
            if not (folder / FILE).is_file():
                text = f"the zip file has no {FILE}, at its top or in its only folder, and no published .exc file"
                raise Problem(422, "invalid", text)
            stem = archive.top_of(zipped) if published else name
            stem = stem or _name_in(folder) or file_name or "experiment"
            return self._settle(folder, stem, owner, "", name, published=published)

    def put(self, id: str, zipped: BinaryIO, about: About) -> None:
        """Make the files of an experiment, new or not, those of a zip file; recordings stay. Raises as `receive`."""
        if not _ID.fullmatch(id):
            raise Problem(422, "invalid", f"{paths.shown(id)} cannot be the id of an experiment")
        with self._new_folder() as folder:
            archive.unpack(zipped, folder)
            for file in files_in(folder):
                check_content(file.path, folder / file.path)
            if not (folder / FILE).is_file():
                raise Problem(422, "invalid", f"the zip file has no {FILE}")
            with self._lock:
                target = self._root / id
                target.mkdir(exist_ok=True)
                self._exchange(folder, self.folder(id))
                self._keep_about(target, about)

    def _exchange(self, new: Path, folder: Path) -> None:
        """What has no place in it any more goes; then each file of `new` takes its place, at once."""
        kept = [file.path for file in files_in(new)]
        for file in files_in(folder):
            if file.path not in kept:
                (folder / file.path).unlink()
        for path in kept:
            target = paths.inside(folder, PurePosixPath(path))
            if target.is_dir():
                shutil.rmtree(target)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(new / path, target)

    def incoming(self) -> BinaryIO:
        """A file for what is being received; it vanishes when it is closed."""
        return tempfile.TemporaryFile(dir=self._incoming)

    def download(self, id: str) -> BinaryIO:
        """The experiment as a zip file, without recordings, to be read from its beginning."""
        folder = self.folder(id)
        zipped = self.incoming()
        archive.pack(folder, [file.path for file in files_in(folder)], zipped, self.about(id).name)
        self.folder(id)  # no empty zip file of one that was deleted meanwhile
        zipped.seek(0)
        return zipped

    def delete(self, id: str) -> None:
        """Remove an experiment with its recordings."""
        with self._lock:
            held = self.held(id)
            self._discard(self.folder(id))
            if self._held is not None and held.is_dir():
                self._discard(held)

    def files(self, id: str) -> list[StoredFile]:
        """The files of an experiment, by path; neither recordings nor hidden ones."""
        return files_in(self.folder(id))

    def read(self, id: str, path: str) -> Content:
        """A file of an experiment; raises Problem 404 if there is none."""
        return read_in(self.folder(id), path)

    def write(self, id: str, path: str, data: bytes, if_match: str | None = None) -> tuple[str, bool]:
        """Put a file in its place, whole; its tag, and whether it is new.

        `if_match` is the tag of the bytes that were seen before: raises Problem 412 if the file has others by now.
        """
        place = paths.checked(path)
        check_bytes(path, data)
        with self._lock:
            target = paths.inside(self.folder(id), place)
            new = not target.exists()
            if not new and not target.is_file():
                raise Problem(409, "conflict", f"{paths.shown(path)} is a folder")
            if new and len(self.files(id)) >= MOST_FILES:
                raise Problem(413, "too_large", f"an experiment has at most {MOST_FILES} files")
            self._check_match(target, if_match, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            replace_file(target, data)
        return etag_of(data), new

    def remove(self, id: str, path: str, if_match: str | None = None) -> None:
        """Delete a file. The experiment file itself stays: raises Problem 409."""
        place = paths.checked(path)
        if place == PurePosixPath(FILE):
            raise Problem(409, "conflict", f"without {FILE} there is no experiment: delete the experiment instead")
        with self._lock:
            folder = self.folder(id)
            target = paths.inside(folder, place)
            if not target.is_file():
                raise not_found("file", path)
            self._check_match(target, if_match, path)
            target.unlink()
            for parent in list(target.parents)[: len(place.parts) - 1]:
                with contextlib.suppress(OSError):
                    parent.rmdir()

    def recording(self, id: str, rec: str) -> Path:
        """The folder of a recording; raises Problem 404 if there is none."""
        folder = self.held(id) / rec
        if not _ID.fullmatch(rec) or not folder.is_dir() or folder.is_symlink():
            raise not_found("recording", rec)
        return folder

    def delete_recording(self, id: str, rec: str) -> None:
        """Remove a recording."""
        with self._lock:
            self._discard(self.recording(id, rec))

    def _check_match(self, target: Path, if_match: str | None, path: str) -> None:
        if if_match is None:
            return
        now = etag_of(target.read_bytes()) if target.is_file() else ""
        wanted = [tag.strip().removeprefix("W/") for tag in if_match.split(",")]
        if now not in wanted and not (now and "*" in wanted):
            text = f"{paths.shown(path)} has been changed by somebody else: read it again before you write it"
            raise Problem(412, "conflict", text, headers={"ETag": now} if now else None)

    @contextlib.contextmanager
    def _new_folder(self) -> Iterator[Path]:
        """A folder out of sight; what is still there at the end is removed."""
        folder = Path(tempfile.mkdtemp(dir=self._incoming))
        try:
            yield folder
        except OSError as error:
            raise Problem(507, "disk_full", f"this could not be written: {error.strerror}") from None
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _settle(
        self, folder: Path, wish: str, owner: Person, template: str, name: str | None, *, published: bool
    ) -> str:
        """Move a finished folder to where all see it, under an id that is free."""
        words = plain_words(name, "name") if name is not None else ""
        stem = _id_of(wish)
        with self._lock:
            known = {*os.listdir(self._root), *(os.listdir(self._held) if self._held is not None else ())}
            if len(known) >= MOST_EXPERIMENTS:
                raise Problem(409, "conflict", f"there are {MOST_EXPERIMENTS} experiments: delete some")
            id = _free(stem, known, published=published)
            now = datetime.now(UTC).isoformat(timespec="seconds")
            self._keep_about(folder, About(words or id, owner.name, template, "", now))
            folder.chmod(0o755)
            os.rename(folder, self._root / id)
        return id

    def _keep_about(self, folder: Path, about: About) -> None:
        replace_file(folder / _ABOUT, json.dumps(asdict(about), indent=1).encode())

    def _discard(self, folder: Path) -> None:
        """Out of sight first, which is one step, then away."""
        incoming = self._incoming
        if self._held is not None and folder.is_relative_to(self._held):
            incoming = self._held / _LEAVING
            incoming.mkdir(mode=0o700, exist_ok=True)
        away = incoming / secrets.token_hex(8)
        os.rename(folder, away)
        shutil.rmtree(away, ignore_errors=True)


def files_in(folder: Path) -> list[StoredFile]:
    """The files of a folder that count, by path: no hidden ones, no links, nothing of the server's own."""
    found = []
    for where, folders, names in os.walk(folder):
        inner = Path(where).relative_to(folder).as_posix()
        prefix = "" if inner == "." else f"{inner}/"
        folders[:] = sorted(name for name in folders if not paths.flaw_of(prefix + name) and name != "__pycache__")
        for name in names:
            path = prefix + name
            if paths.flaw_of(path):
                continue
            try:
                state = os.lstat(os.path.join(where, name))
            except FileNotFoundError:
                continue  # somebody deletes it in this very moment
            if stat.S_ISREG(state.st_mode):
                found.append(StoredFile(path, state.st_size, _iso(state.st_mtime), is_text(path)))
    return sorted(found, key=lambda file: (file.path.count("/"), file.path))


def read_in(folder: Path, path: str) -> Content:
    """A file below a folder; raises Problem 404 if there is none, 422 if the path leads elsewhere."""
    target = paths.inside(folder, paths.checked(path))
    try:
        handle = os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        raise not_found("file", path) from None
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise not_found("file", path)
        data = file.read(MOST_FILE_BYTES + 1)
    if len(data) > MOST_FILE_BYTES:
        raise Problem(413, "too_large", f"{path} is larger than {MOST_FILE_BYTES // MIB} MiB: download the experiment")
    return Content(data, etag_of(data))


def replace_file(target: Path, data: bytes) -> None:
    """Write a file so that a reader sees what was there before, or all of this."""
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".writing-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o644)
        os.replace(name, target)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise Problem(507, "disk_full", f"{target.name} could not be written: {error.strerror}") from None


def check_bytes(path: str, data: bytes) -> None:
    """Raises Problem 413 or 422 where these bytes cannot be the file of this name."""
    most = most_bytes(path)
    if len(data) > most:
        raise Problem(413, "too_large", f"{path} has {len(data):,} bytes; the limit is {most // MIB} MiB")
    if not is_text(path):
        return
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Problem(422, "invalid", f"{path} must be text in UTF-8: byte {error.start} is not") from None
    if "\x00" in text:
        raise Problem(422, "invalid", f"{path} must be text: it has a zero byte at {text.index(chr(0))}")


def check_content(path: str, file: Path) -> None:
    """As `check_bytes`, for a file on the disk."""
    if file.stat().st_size > most_bytes(path):
        raise Problem(413, "too_large", f"{path} is larger than {most_bytes(path) // MIB} MiB")
    if is_text(path):
        check_bytes(path, file.read_bytes())


def most_bytes(path: str) -> int:
    """How large the file of this name may be."""
    return MOST_SCRIPT_BYTES if is_text(path) else MOST_FILE_BYTES


def is_text(path: str) -> bool:
    """Whether people read the file of this name."""
    return PurePosixPath(path).suffix.lower() in _TEXTS or "." not in path


def etag_of(data: bytes) -> str:
    return f'"{hashlib.sha256(data).hexdigest()[:32]}"'


def changed_ns(folder: Path) -> int:
    """When a file of an experiment was last changed; 0 where it is no more."""
    times = [_changed_ns(folder / file.path) for file in files_in(folder)]
    return max([*times, _changed_ns(folder / _ABOUT) or _changed_ns(folder)])


def plain_words(text: str, what: str, longest: int = LONGEST_NAME) -> str:
    """A name or a title, without spaces around it; raises Problem 422 for one that cannot be shown."""
    words = " ".join(text.split())
    if not words or len(words) > longest or not words.isprintable():
        raise Problem(422, "invalid", f"the {what} must have 1 to {longest} signs that can be seen")
    return words


def _name_in(folder: Path) -> str:
    """The name that the experiment file gives; empty where it cannot be read, which is for `check` to say."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        general: Any = tomllib.loads((folder / FILE).read_text(encoding="utf-8")).get("experiment")
        if isinstance(general, dict) and isinstance(general.get("name"), str):
            return str(general["name"])
    return ""


def _id_of(name: str) -> str:
    """An id that looks like the name."""
    signs = re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("_.-")
    stem = re.sub(r"-\d+$", "", signs)[:60].rstrip("_.-") if re.fullmatch(r".+-\d+", signs) else signs[:60]
    return stem.rstrip("_.-") or "experiment"


def _free(stem: str, known: set[str], *, published: bool) -> str:
    """`stem-1`, `stem-2` and so on; the published platform counts `stem_0`, `stem_1`."""
    sign, number = ("_", 0) if published else ("-", 1)
    while f"{stem}{sign}{number}" in known:
        number += 1
    return f"{stem}{sign}{number}"


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False)


def _changed_ns(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return os.lstat(path).st_mtime_ns
    return 0


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
