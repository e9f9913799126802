"""Experiments in the published form, as folders beside this file and as the zip files that people upload."""

import csv
from pathlib import Path

from tests.gateway.doors import zip_of

FOLDER = Path(__file__).parent / "published"
HUSKY = FOLDER / "husky_search"
FORELIMB = FOLDER / "forelimb_devices"
ARM = FOLDER / "own_arm"


def texts(folder, top=""):
    """The files of a published experiment by path, all below the folder `top` if one is named."""
    prefix = f"{top}/" if top else ""
    return {
        prefix + file.relative_to(folder).as_posix(): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts
    }


def zipped(folder, top="", **changes):
    """The experiment as a zip file; `changes` are other texts, by path."""
    return zip_of(texts(folder, top) | changes)


def columns(path):
    """The columns of a CSV file, by name, as numbers."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows] for name in rows[0]}
