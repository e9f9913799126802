"""Meshes: which kinds there are, and how much room one takes."""

from pathlib import Path

import numpy as np

from reafference.errors import BadExperiment
from reafference.frames import Array

KINDS = {".dae": "dae", ".obj": "obj", ".stl": "stl"}


def kind_of(file: str) -> str | None:
    """The format of a mesh by its name, if it is one that can be built."""
    return KINDS.get(Path(file).suffix.lower())


def bounds(path: Path, name: str) -> tuple[Array, Array]:
    """The lowest and highest corner (3,) of the box around a mesh. Raises BadExperiment for what is no mesh."""
    try:
        corners = _of_obj(path) if path.suffix.lower() == ".obj" else _of_stl(path.read_bytes())
    except ValueError:
        corners = np.zeros((0, 3))
    if not len(corners) or not np.isfinite(corners).all():
        raise BadExperiment(f"{name} holds no mesh that can be read: export it again")
    return corners.min(axis=0), corners.max(axis=0)


def _of_obj(path: Path) -> Array:
    lines = path.read_text("utf-8", errors="replace").splitlines()
    rows = [line.split()[1:4] for line in lines if line.startswith("v ")]
    return np.array(rows, dtype=float).reshape(-1, 3)


def _of_stl(data: bytes) -> Array:
    # Some binary files begin with "solid" too; their length tells.
    count = int.from_bytes(data[80:84], "little") if len(data) >= 84 else -1
    if len(data) == 84 + 50 * count:
        facets = np.frombuffer(data, dtype=np.dtype([("places", "<f4", 12), ("rest", "<u2")]), offset=84)
        return np.asarray(facets["places"][:, 3:], dtype=float).reshape(-1, 3)
    lines = (line.split() for line in data.decode("ascii", errors="replace").splitlines())
    rows = [line[1:4] for line in lines if line[:1] == ["vertex"]]
    return np.array(rows, dtype=float).reshape(-1, 3)
