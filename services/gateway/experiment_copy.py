"""Copies: what an experiment consists of, so that two places can say whether they have the same one.

A site sends an experiment to the gateway of a job under its own id, with its owner; afterwards it takes back what was
saved there.
"""

import contextlib
import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .storage import About, Storage, etag_of, files_in


@dataclass(frozen=True, slots=True)
class Contents:
    """The tag of each file by its path, and what is kept beside them."""

    files: dict[str, str]
    about: About

    @property
    def digest(self) -> str:
        """Equal where every byte of every file, and what is kept beside them, is equal."""
        text = json.dumps([self.files, asdict(self.about)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def as_map(self) -> dict[str, Any]:
        return {"digest": self.digest, "files": self.files}


def contents_of(storage: Storage, id: str) -> Contents:
    """What an experiment in the storage consists of; raises Problem 404 if there is none. Reads all of it."""
    return Contents(tags_in(storage.folder(id)), storage.about(id))


def tags_in(folder: Path) -> dict[str, str]:
    """The tag of each file of a folder, by its path."""
    tags = {}
    for file in files_in(folder):
        with contextlib.suppress(FileNotFoundError):  # somebody deletes it in this very moment
            tags[file.path] = etag_of((folder / file.path).read_bytes())
    return tags
