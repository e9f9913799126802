"""Models of robots, brains and environments that users have brought, and the names of those that are shipped.

What users bring is kept in `HOME/models/KIND/NAME`, one folder each, for experiments that name it (model_library.py).
"""

import ast
import contextlib
import json
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from reafference.errors import BadExperiment
from reafference.published import xmltree

from .. import archive
from ..people import Person
from ..problems import Problem, not_found
from ..storage import check_content, files_in, replace_file

Kind = Literal["robots", "brains", "environments"]

_SERVICES = Path(__file__).parents[2]
_SHIPPED: Mapping[Kind, Path] = {"robots": _SERVICES / "body" / "models", "brains": _SERVICES / "brain" / "models"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}")
_ABOUT, _CONFIG = ".reafference.json", "model.config"
_TOLD_IN = ("__init__.py", "body.py")
_MOST_MODELS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model. `owner` is empty for one that is shipped."""

    name: str
    title: str
    description: str = ""
    owner: str = ""


class Models:
    """The models of one server, in its home folder. Blocking."""

    def __init__(self, home: Path) -> None:
        self._root = home / "models"
        self._incoming = self._root / ".incoming"

    def all(self, kind: Kind) -> list[Model]:
        """The shipped ones, then those of users, by name."""
        return [*_shipped(kind), *(_brought(folder) for folder in self._folders(kind))]

    def receive(self, zipped: BinaryIO, kind: Kind, wish: str, owner: Person, *, instead: bool = False) -> Model:
        """Keep the model in a zip file under this name, or under what is before `.zip` in it.

        `instead` puts it in the place of an older one. Raises Problem, and leaves nothing behind, where it cannot be.
        """
        self._incoming.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder = Path(tempfile.mkdtemp(dir=self._incoming))
        try:
            archive.unpack(zipped, folder, tidying=True)
            files = files_in(folder)
            if not files:
                raise Problem(422, "invalid", "the zip file is empty: put the files of the model into it")
            for file in files:
                check_content(file.path, folder / file.path)
            name = wish.removesuffix(".zip")
            if not _NAME.fullmatch(name):
                text = f"a model cannot be called {name[:80]!r}: take letters, digits, '_', '-' and '.'"
                raise Problem(422, "invalid", text)
            self._check_free(kind, name, owner, instead=instead)
            replace_file(folder / _ABOUT, json.dumps({"owner": owner.name}).encode())
            folder.chmod(0o755)
            self._settle(folder, kind, name)
            return _brought(self._root / kind / name)
        except OSError as error:
            raise Problem(507, "disk_full", f"this could not be written: {error.strerror}") from None
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def folder(self, kind: Kind, name: str) -> Path:
        """Where the model of a user lies; raises Problem 404 if there is none of this name."""
        found = next((folder for folder in self._folders(kind) if folder.name == name), None)
        if found is None:
            raise not_found(f"model among the {kind}", name)
        return found

    def remove(self, kind: Kind, name: str, person: Person) -> None:
        """Delete a model; raises Problem 403 for somebody else's and for one that is shipped."""
        if any(model.name == name for model in _shipped(kind)):
            raise Problem(403, "forbidden", f"{name!r} is shipped with the platform: it cannot be deleted")
        folder = self.folder(kind, name)
        person.must_own(_brought(folder).owner, f"the model {name!r}")
        self._discard(folder)

    def _folders(self, kind: Kind) -> list[Path]:
        root = self._root / kind
        if not root.is_dir():
            return []
        return sorted(entry for entry in root.iterdir() if _NAME.fullmatch(entry.name) and _is_folder(entry))

    def _check_free(self, kind: Kind, name: str, owner: Person, *, instead: bool) -> None:
        """Raises Problem 409 where the name is taken, and 403 where it is by somebody else."""
        known = {model.name: model for model in self.all(kind)}
        if name in known and not known[name].owner:
            raise Problem(409, "conflict", f"a model that is shipped is called {name!r}: give yours another name")
        if name in known:
            owner.must_own(known[name].owner, f"the model {name!r}")
            if not instead:
                raise Problem(409, "conflict", f"there is a model {name!r} already: delete it first, or say override")
        elif len(known) >= _MOST_MODELS:
            raise Problem(409, "conflict", f"there are {_MOST_MODELS} {kind}: delete some")

    def _settle(self, folder: Path, kind: Kind, name: str) -> None:
        target = self._root / kind / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            self._discard(target)
        os.rename(folder, target)

    def _discard(self, folder: Path) -> None:
        """Out of sight first, which is one step, then away."""
        self._incoming.mkdir(parents=True, exist_ok=True, mode=0o700)
        away = self._incoming / secrets.token_hex(8)
        os.rename(folder, away)
        shutil.rmtree(away, ignore_errors=True)


def _shipped(kind: Kind) -> list[Model]:
    """Those that are installed with the platform; a robot brings its surroundings along."""
    root = _SHIPPED.get(kind)
    if root is None or not root.is_dir():
        return []
    packages = sorted(entry for entry in root.iterdir() if (entry / "__init__.py").is_file())
    return [Model(name=entry.name, title=entry.name.replace("_", " "), description=_told(entry)) for entry in packages]


def _told(package: Path) -> str:
    """The first sentence that a package says of itself."""
    for name in _TOLD_IN:
        with contextlib.suppress(OSError, ValueError, SyntaxError):
            told = ast.get_docstring(ast.parse((package / name).read_text(encoding="utf-8")))
            if told:
                return " ".join(told.split("\n\n")[0].split())
    return ""


def _brought(folder: Path) -> Model:
    """A model of a user, as its model.config describes it."""
    owner, title, description = "", folder.name, ""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        owner = str(json.loads((folder / _ABOUT).read_text(encoding="utf-8"))["owner"])
    with contextlib.suppress(OSError, BadExperiment):
        config = xmltree.parse((folder / _CONFIG).read_bytes(), _CONFIG)
        named, told = config.child("name"), config.child("description")
        title = (named.words() if named else "") or title
        description = told.words() if told else ""
    return Model(name=folder.name, title=title, description=description, owner=owner)


def _is_folder(entry: Path) -> bool:
    return entry.is_dir() and not entry.is_symlink()
