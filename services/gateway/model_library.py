"""The models that users have brought, for published experiments that name them instead of having their files.

Such an experiment gets a copy when it is imported, so that it stays as it is whatever becomes of the model.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

from reafference.errors import BadExperiment
from reafference.published import is_published, xmltree
from reafference.published.xmltree import Element

KINDS = ("robots", "brains", "environments")

_DESCRIPTIONS = (".exc", ".bibi")
_HIDDEN = shutil.ignore_patterns(".*")


def bring(models: Path, folder: Path) -> list[str]:
    """Copy the models that the published experiment in `folder` names, and does not have, beside its files.

    `models` is where the models lie, by kind. The names of those that were copied; none for an experiment of our own.
    """
    if not is_published(folder):
        return []
    wanted = _names_in(folder)
    found = [model for kind in KINDS for model in _models(models / kind) if model.name in wanted]
    missing = [model for model in found if not _has(folder, model.name)]
    for model in missing:
        # A robot and an environment may have the same name.
        shutil.copytree(model, folder / model.name, ignore=_HIDDEN, dirs_exist_ok=True)
    return sorted({model.name for model in missing})


def _has(folder: Path, name: str) -> bool:
    return (folder / name).exists() or any(folder.glob(f"*/{name}"))


def _models(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []


def _names_in(folder: Path) -> set[str]:
    """Every part of every path and name in the descriptions of an experiment."""
    words: set[str] = set()
    for file in sorted(folder.rglob("*")):
        if file.suffix.lower() in _DESCRIPTIONS and file.is_file() and not file.is_symlink():
            try:
                root = xmltree.parse(file.read_bytes(), file.name)
            except BadExperiment:
                continue  # whoever takes the experiment over says what is wrong with it
            for text in _texts(root):
                words.update(text.replace("\\", "/").split("/"))
    return words


def _texts(element: Element) -> Iterator[str]:
    yield element.words()
    for value in element.attributes.values():
        yield value.strip()
    for child in element.children:
        yield from _texts(child)
