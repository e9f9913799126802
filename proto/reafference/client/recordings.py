"""What the runs of an experiment have left, as a mapping from names to recordings."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from ..frames import Array
from . import tables
from .door import Door, loaded
from .refusals import NotFound
from .resources import Recording

_EXPORT_S = 3600.0


class Recordings(Mapping[str, Recording]):
    """List them, fetch their files, turn them into tables.

    runs = session.recordings("mouse_reach-1")
    joints = runs.csv(runs.last().id, "joints")
    """

    def __init__(self, door: Door, experiment: str) -> None:
        self._door, self._path = door, ("experiments", experiment, "recordings")

    def __iter__(self) -> Iterator[str]:
        """Their names, newest first."""
        return iter([recording.id for recording in self.list()])

    def __len__(self) -> int:
        return len(self.list())

    def __getitem__(self, name: str) -> Recording:
        """One of them, with its files. Raises KeyError."""
        try:
            return loaded(Recording, self._door.get(*self._path, name))
        except NotFound as error:
            raise KeyError(error.text) from None

    def list(self) -> tuple[Recording, ...]:
        """All of them, newest first."""
        return tuple(loaded(Recording, found) for found in self._door.get(*self._path))

    def last(self) -> Recording:
        """The newest one, with its files. Raises NotFound where there is none."""
        found = self.list()
        if not found:
            raise NotFound("nothing has been recorded yet: launch the experiment first", status=404, code="not_found")
        return self[found[0].id]

    def export(self, name: str) -> Recording:
        """Make CSV and HDF5 files from it; the recording with all its files."""
        self._door.post(*self._path, name, "export", patience_s=_EXPORT_S)
        return self[name]

    def read(self, name: str, path: str) -> bytes:
        """A file of it: MCAP, CSV, HDF5, PNG, log."""
        return self._door.read(*self._path, name, "files", path, patience_s=_EXPORT_S)[0]

    def fetch(self, name: str, folder: Path | str) -> Path:
        """All files of it into a folder of its own below `folder`; that folder."""
        made = Path(folder) / name
        for file in self[name].files:
            path = made / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.read(name, file.path))
        return made

    def csv(self, name: str, stream: str) -> dict[str, Array]:
        """The table of a stream (joints, spikes, profile, …) by column; it is exported first where it is not yet."""
        path = self._table(self[name], stream) or self._table(self.export(name), stream)
        if path is None:
            raise NotFound(f"the recording {name} has no table {stream!r}", status=404, code="not_found")
        return tables.columns(self.read(name, path).decode("utf-8"))

    def delete(self, name: str) -> None:
        self._door.delete(*self._path, name)

    @staticmethod
    def _table(recording: Recording, stream: str) -> str | None:
        wanted = f"{stream.removesuffix('.csv').rpartition('/')[2]}.csv"
        return next((file.path for file in recording.files if file.path.rpartition("/")[2] == wanted), None)
