"""The files of a robot: found inside the experiment's folder only, and remembered with their digests."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from reafference.errors import BadExperiment

from . import markup
from .collada import as_obj, triangles
from .meshes import kind_of

LARGEST_BYTES = 200 * 2**20


class Files:
    """What can be read of the experiment in `folder`. `texts` are those that came with the plan, by name; they stand
    for the files of these names. `digests` has the SHA-256 of everything that was read, by name."""

    def __init__(self, folder: Path, texts: Mapping[str, str]) -> None:
        self._folder, self._texts = folder.resolve(), texts
        self.digests: dict[str, str] = {}
        self._scratch = TemporaryDirectory(prefix="reaf-mesh-")

    def text(self, name: str, why: str) -> str:
        """The text of a file; raises BadExperiment naming `why`, what asked for it."""
        if name in self._texts:
            text = self._texts[name]
            self.digests[name] = hashlib.sha256(text.encode("utf-8")).hexdigest()
            return text
        try:
            return self._bytes(name, why).decode("utf-8")
        except UnicodeDecodeError:
            raise BadExperiment(f"{why}: {name!r} must be text in UTF-8", detail={"file": name}) from None

    def path(self, name: str, why: str) -> Path:
        """Where a file is, for those who read it themselves; raises BadExperiment."""
        self._bytes(name, why)
        return self._folder / name

    def mesh(self, name: str) -> Path:
        """Where a mesh is in a format that PyBullet reads well, until `close`. Raises BadExperiment."""
        if kind_of(name) != "dae":
            return self.path(name, name)
        made = Path(self._scratch.name) / f"{hashlib.sha256(name.encode()).hexdigest()}.obj"
        if not made.exists():
            made.write_text(as_obj(triangles(self.text(name, name), name)), "utf-8")
        return made

    def close(self) -> None:
        """Remove what was made for PyBullet; safe to call twice."""
        self._scratch.cleanup()

    def find(self, uri: str, beside: str) -> str | None:
        """The name of the file that `uri` means in the file `beside`, or nothing.

        `model://NAME/…` and `package://NAME/…` are looked for in every folder from that of `beside` up to the
        experiment's, and in `models` there; other names beside it.
        """
        scheme, mark, rest = uri.strip().partition("://")
        if not mark:
            return self._existing(PurePosixPath(beside).parent, scheme)
        if scheme == "file":
            found = self._existing(PurePosixPath(beside).parent, rest.lstrip("/"))
            return found or self._existing(PurePosixPath(), rest.lstrip("/"))
        name, _, inside = rest.partition("/")
        if scheme not in ("model", "package") or not name:
            return None
        for folder in _upwards(PurePosixPath(beside).parent):
            inner = [inside or "."] if folder.name == name else []
            for place in (*inner, rest, f"models/{rest}"):
                found = self._existing(folder, place)
                if found:
                    return found
        # The folder may be called otherwise than the model.
        return self._existing(PurePosixPath(beside).parent, inside)

    def model(self, uri: str, beside: str) -> str | None:
        """The name of the SDF file of an included model: of a folder with `model.config`, or with one `.sdf`."""
        found = self.find(uri, beside)
        if found is None or not (self._folder / found).is_dir():
            return found
        config = self._existing(PurePosixPath(found), "model.config")
        if config:
            named = markup.parse(self.text(config, uri), config).word("sdf")
            return self._existing(PurePosixPath(found), named) if named else None
        files = sorted((self._folder / found).glob("*.sdf"))
        return f"{found}/{files[0].name}" if len(files) == 1 else None

    def _existing(self, folder: PurePosixPath, name: str) -> str | None:
        path = (self._folder / folder / name).resolve()
        if name and path.is_relative_to(self._folder) and path.exists():
            return path.relative_to(self._folder).as_posix()
        return None

    def _bytes(self, name: str, why: str) -> bytes:
        path = (self._folder / name).resolve()
        if not path.is_relative_to(self._folder):
            raise BadExperiment(f"{why}: {name!r} is outside the experiment's folder: copy it there")
        try:
            if path.stat().st_size > LARGEST_BYTES:
                raise BadExperiment(f"{why}: {name!r} has more than {LARGEST_BYTES // 2**20} MiB")
            data = path.read_bytes()
        except OSError as error:
            raise BadExperiment(
                f"{why}: {name!r} cannot be read ({error.strerror}); names are relative to the experiment's folder",
                detail={"file": name},
            ) from None
        self.digests[name] = hashlib.sha256(data).hexdigest()
        return data


def _upwards(folder: PurePosixPath) -> Iterator[PurePosixPath]:
    """A folder and those around it, up to that of the experiment."""
    yield folder
    yield from folder.parents
