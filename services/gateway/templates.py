"""Templates: the experiments that are shipped. Folders with an experiment file; nobody changes them here."""

from pathlib import Path

from reafference.plain import nearest

from .problems import not_found
from .storage import FILE


class Templates:
    """The experiments in a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def ids(self) -> list[str]:
        """All templates, by name."""
        if not self._root.is_dir():
            return []
        return sorted(entry.name for entry in self._root.iterdir() if (entry / FILE).is_file())

    def folder(self, id: str) -> Path:
        """The folder of a template; raises Problem 404 if there is none."""
        if id not in self.ids():
            raise not_found("template", id, nearest(id, self.ids()))
        return self._root / id
