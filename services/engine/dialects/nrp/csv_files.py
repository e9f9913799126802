"""The CSV files of published functions, in the folder `csv` of the run."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

RESET_COLUMN = "Simulation_reset"
_FOLDER = "csv"


class CsvFile:
    """What a function is given: `record_entry(...)` writes a row."""

    def __init__(self, name: str, headers: Sequence[str], erase_on_reset: bool) -> None:
        self.name, self.headers, self.erase_on_reset = name, list(headers), erase_on_reset
        self._rows: list[list[Any]] = []
        self._kept: list[list[Any]] = []
        self._out: TextIO | None = None
        self._path: Path | None = None

    def record_entry(self, *values: Any) -> None:
        """Write a row. Raises ValueError unless there is a value for each of the headers."""
        if len(values) != len(self.headers):
            raise ValueError(f"{self.name} has {len(self.headers)} columns, but {len(values)} values were recorded")
        row = list(values)
        if self._kept:
            row.append("" if self._rows else "RESET")
        self._rows.append(row)
        if self._out is not None:
            csv.writer(self._out).writerow(row)

    def get_csv_recorder_name(self) -> str:
        return self.name

    def get_csv_headers(self) -> list[str]:
        return list(self.headers)

    def follow(self, former: "CsvFile") -> None:
        """Begin with what was recorded before a reset, unless that is to be erased."""
        if not self.erase_on_reset and former.headers == self.headers:
            marked = bool(former._kept)
            self._kept = [*former._kept, *(row if marked else [*row, ""] for row in former._rows)]

    def open(self, folder: Path) -> None:
        """Write into this run folder from now on, and what there is already. Raises OSError."""
        place = folder / _FOLDER
        place.mkdir(exist_ok=True)
        # One row at a time: who looks at the file while the run goes on sees whole ones.
        self._out = (place / self.name).open("w", newline="", encoding="utf-8", buffering=1)
        rows = csv.writer(self._out)
        rows.writerow([*self.headers, RESET_COLUMN] if self._kept else self.headers)
        rows.writerows([*self._kept, *self._rows])

    def close(self) -> None:
        if self._out is not None:
            self._out.close()
            self._out = None


class CsvFiles:
    """All CSV files of a run, by name."""

    def __init__(self) -> None:
        self._files: dict[str, CsvFile] = {}
        self._former: dict[str, CsvFile] = {}
        self._folder: Path | None = None

    def file(self, name: str, headers: Sequence[str], erase_on_reset: bool) -> CsvFile:
        """The file of this name. Raises ValueError for a name that is none, or one that has other columns already."""
        if not name or Path(name).name != name or name.startswith("."):
            raise ValueError(f"{name!r} is no name of a file: it has no folders, and does not begin with a dot")
        known = self._files.get(name)
        if known is not None:
            if known.headers != list(headers):
                raise ValueError(f"the file {name!r} has other columns already: {', '.join(map(str, known.headers))}")
            return known
        made = self._files[name] = CsvFile(name, headers, erase_on_reset)
        if name in self._former:
            made.follow(self._former[name])
        if self._folder is not None:
            made.open(self._folder)
        return made

    def follow(self, former: "CsvFiles") -> None:
        """Files that are not to be erased begin with what those of the run before a reset have."""
        self._former = former._files

    def open(self, folder: Path) -> None:
        """The run begins, and has this folder. Raises OSError."""
        self._folder = folder
        for file in self._files.values():
            file.open(folder)

    def close(self) -> None:
        for file in self._files.values():
            file.close()
