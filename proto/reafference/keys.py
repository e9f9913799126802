"""Keys for wires that leave the machine: who is who, as files in a private folder.

    NAME.key            public, may be given to anybody
    NAME.key_secret     for NAME alone
    allowed/NAME.key    NAME is known to the servers of this folder

`engine`, `gateway` and `recorder` are servers; everybody else is a client and proves with its key that it bears its
name. A client's own folder needs its own two files and the public keys of the servers.
`python -m reafference.keys FOLDER` makes them, as `reaf keys` does.
"""

import argparse
import os
import re
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import zmq
import zmq.auth

from .errors import BadExperiment, NoKeys, ReafferenceError
from .topics import is_name

SERVERS = ("engine", "gateway", "recorder")
MONITOR = "monitor-"
ALLOWED = "allowed"

_CLIENTS = ("brain", "body")
_RANK = re.compile(r".\.\d+\Z")
_OTHERS = 0o077
_TICK_NS = 1_000_000_000


def make(folder: Path, *, ranks: int = 1, monitors: Iterable[str] = ()) -> list[str]:
    """Make the keys that are missing in `folder`, for servers, participants, ranks and monitors; their names.

    What is there already stays as it is, so that more monitors can be added later.
    Raises NoKeys if others can read the folder, BadExperiment for a name that cannot be one.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_private(folder)
    (folder / ALLOWED).mkdir(mode=0o700, exist_ok=True)
    clients = [*_CLIENTS, *(f"brain.{rank}" for rank in range(1, ranks)), *map(_monitor, monitors)]
    made = [name for name in (*SERVERS, *clients) if _make_pair(folder, name)]
    for name in clients:
        _copy(folder / f"{name}.key", folder / ALLOWED / f"{name}.key")
    return made


def give(folder: Path, name: str, to: Path) -> None:
    """Put into the folder `to` what the client `name` needs: its own pair, those of its ranks, and the public keys of
    the servers.

    Raises NoKeys if `folder` has no such key, or others can read `to`.
    """
    ranks = [path.stem for path in folder.glob(f"{name}.*.key_secret") if _RANK.search(path.stem)]
    secrets = [f"{one}.{kind}" for one in (name, *ranks) for kind in ("key", "key_secret")]
    files = [*secrets, *(f"{server}.key" for server in SERVERS)]
    for file in files:
        if not (folder / file).is_file():
            raise NoKeys(f"there is no key {folder / file}: make it with reaf keys")
    to.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_private(to)
    for file in files:
        _copy(folder / file, to / file)


def check_private(folder: Path) -> Path:
    """`folder` itself. Raises NoKeys unless it is there and its owner alone can get at what is in it."""
    try:
        kept = [folder, *folder.glob("*.key_secret")]
        # A secret may be readable in a folder that is not: nobody else comes so far, unless through a link.
        open_ones = [path for path in kept if path.stat().st_mode & _OTHERS]
    except OSError as error:
        raise NoKeys(f"the keys in {folder} cannot be read: {error.strerror}") from None
    if not folder.is_dir():
        raise NoKeys(f"{folder} is not a folder of keys: make one with reaf keys FOLDER")
    if open_ones:
        raise NoKeys(f"{open_ones[0]} is open to others: keys must be private (chmod -R go= {folder})")
    return folder


def may_enter(name: str, wire: str) -> bool:
    """Whether who proved to be `name` may use this wire: `step`, `pulse`, `bus-in`, `bus-out` or `tap`.

    Monitors listen, and do nothing else; a rank shows that it is alive, and does nothing else.
    """
    if name.startswith(MONITOR):
        return wire == "bus-out"
    return wire == "pulse" or not _RANK.search(name)


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys that one process may use: its own, as `name`, and the public ones of the servers.

    Raises NoKeys if the folder is not there or others can read it. Single keys are read when they are needed.
    """

    folder: Path
    name: str

    def __post_init__(self) -> None:
        check_private(self.folder)

    @classmethod
    def of_only(cls, folder: Path) -> Self:
        """The ring of the one secret that lies in the folder. Raises NoKeys if it is not one."""
        check_private(folder)
        names = sorted(path.name.removesuffix(".key_secret") for path in folder.glob("*.key_secret"))
        if len(names) != 1:
            found = "no secret key" if not names else f"{len(names)} secret keys ({', '.join(names[:5])})"
            raise NoKeys(f"{folder} holds {found}, so it is not clear who we are: give a folder with one of them")
        return cls(folder, names[0])

    def pair(self, name: str = "") -> tuple[bytes, bytes]:
        """Public and secret key of `name`, our own by default; raises NoKeys."""
        public, secret = _read(self.folder / f"{name or self.name}.key_secret")
        if secret is None:
            raise NoKeys(f"{self.folder / (name or self.name)}.key_secret holds no secret key: make it anew")
        return public, secret

    def public(self, server: str) -> bytes:
        """Raises NoKeys."""
        return _read(self.folder / f"{server}.key")[0]


class AllowList:
    """Whom the servers know, by key. Read anew when somebody was added or removed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / ALLOWED
        self._names: dict[bytes, str] = {}
        self._seen: tuple[int, int] | None = None

    def name_of(self, public: bytes) -> str:
        """The name that goes with this public key, "" for a stranger."""
        self._refresh()
        return self._names.get(public, "")

    def _refresh(self) -> None:
        try:
            found = self._folder.stat()
        except OSError:
            self._names, self._seen = {}, None
            return
        seen = (found.st_ino, found.st_mtime_ns)
        # Two changes within one tick of the file system's clock look like one.
        if seen == self._seen and time.time_ns() - found.st_mtime_ns > _TICK_NS:
            return
        names: dict[bytes, str] = {}
        for path in sorted(self._folder.glob("*.key")):
            try:
                public, _ = _read(path)
            except NoKeys:
                continue  # somebody may be writing it just now; it is nobody's until it can be read
            names.setdefault(public, path.name.removesuffix(".key"))
        self._names, self._seen = names, seen


def _read(path: Path) -> tuple[bytes, bytes | None]:
    try:
        public, secret = zmq.auth.load_certificate(path)
    except (OSError, ValueError, IndexError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "it is not a key"
        raise NoKeys(f"the key {path} cannot be read ({why}): make keys with reaf keys FOLDER") from None
    return public, secret


def _monitor(name: str) -> str:
    return name if name.startswith(MONITOR) else MONITOR + name


def _make_pair(folder: Path, name: str) -> bool:
    """Whether it had to be made."""
    if not is_name(name):
        raise BadExperiment(f"{name!r} cannot be the name of a key: use letters, digits, '_', '-' and '.'")
    public, secret = folder / f"{name}.key", folder / f"{name}.key_secret"
    if public.is_file() and secret.is_file():
        return False
    zmq.auth.create_certificates(folder, name)
    for path in (public, secret):
        path.chmod(0o600)
    return True


def _copy(source: Path, target: Path) -> None:
    """A private copy, whole or not at all."""
    part = target.with_name(f".{target.name}.{os.getpid()}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(source.read_bytes())
    part.replace(target)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `reaf keys` and `python -m reafference.keys` take."""
    parser.add_argument("folder", type=Path, help="where the keys are, or shall be")
    parser.add_argument("--ranks", type=int, default=1, metavar="N", help="processes of the brain, each with a key (1)")
    parser.add_argument("--monitor", action="append", default=[], metavar="NAME", help="somebody who may only listen")
    parser.add_argument("--give", metavar="NAME", help="copy what the client NAME needs to the folder DIR")
    parser.add_argument("--to", type=Path, metavar="DIR", help="see --give")


def run(given: argparse.Namespace) -> int:
    """Do what the command line says, and tell; returns the exit status."""
    if (given.give is None) != (given.to is None):
        raise BadExperiment("--give NAME and --to DIR belong together")
    if not 1 <= given.ranks <= 100_000:
        raise BadExperiment(f"--ranks is {given.ranks}, but must be 1 to 100,000")
    made = make(given.folder, ranks=given.ranks, monitors=given.monitor)
    print(f"{given.folder}: {f'made {len(made)} keys' if made else 'all keys are there'}")
    if given.give is not None:
        give(given.folder, given.give, given.to)
        print(f"{given.to}: what {given.give} needs")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m reafference.keys", description="Make the keys of an installation.")
    add_arguments(parser)
    try:
        return run(parser.parse_args(arguments))
    except ReafferenceError as error:
        print(f"reaf: {error.text}", file=sys.stderr)
        return error.exit_status


if __name__ == "__main__":
    sys.exit(main())
