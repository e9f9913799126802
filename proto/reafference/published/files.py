"""The files of a published experiment, and which of them a reference means."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

_SKIPPED = ("recordings", "__pycache__", "__MACOSX")


class Files:
    """The files below a folder, by their path in it. Nothing outside is ever looked at."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paths = sorted(_found(folder))

    def named(self, suffix: str) -> list[str]:
        """All files whose name ends like this, those nearest to the top first."""
        found = [path for path in self.paths if path.lower().endswith(suffix)]
        return sorted(found, key=lambda path: (path.count("/"), path))

    def find(self, reference: str, beside: str) -> str | None:
        """The file that `reference`, written in the file `beside`, means; None if there is none, or several could be.

        It is looked for beside that file, at the top, then anywhere by as much of its path as can be found.
        """
        wanted = PurePosixPath(reference.replace("\\", "/"))
        parts = [part for part in wanted.parts if part not in ("/", ".", "..")]
        if not parts:
            return None
        inner = "/".join(parts)
        near = (PurePosixPath(beside).parent / inner).as_posix()
        for path in (near, inner):
            if path in self.paths:
                return path
        for length in range(len(parts), 0, -1):
            end = "/" + "/".join(parts[-length:])
            found = [path for path in self.paths if f"/{path}".endswith(end)]
            if len(found) == 1:
                return found[0]
            if found:
                return None
        return None

    def read(self, path: str) -> bytes:
        return (self.folder / path).read_bytes()


def _found(folder: Path) -> Iterator[str]:
    for where, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in _SKIPPED and not name.startswith(".")]
        for name in names:
            file = Path(where) / name
            if not name.startswith(".") and file.is_file() and not file.is_symlink():
                yield file.relative_to(folder).as_posix()
