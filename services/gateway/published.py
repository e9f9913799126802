"""Experiments in the published form, made runnable in place; and `reaf import`, which does that without a server.

    python -m services.gateway.published ZIP_OR_FOLDER [--to FOLDER]

It prints what it has made as one line of JSON: `folder`, `files`, `remarks`. The last line on standard error is the
reason where it cannot be done, with exit status 2; then nothing has been written.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from reafference.errors import BadExperiment, ReafferenceError
from reafference.published import TakenOver, is_published, take_over

from . import archive
from .problems import Problem


def complete(folder: Path) -> TakenOver | None:
    """Write what a published experiment lacks to be run; None for a folder with one of ours, or with none.

    Raises BadExperiment, and has written nothing, where it cannot be understood.
    """
    if not is_published(folder):
        return None
    taken = take_over(folder)
    for path, data in taken.files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return taken


def main() -> int:
    """Take over the zip file or folder on the command line; the exit status."""
    parser = argparse.ArgumentParser(prog="reaf import")
    parser.add_argument("source", type=Path)
    parser.add_argument("--to", type=Path)
    given = parser.parse_args()
    try:
        folder, taken = _bring(given.source, given.to)
    except (ReafferenceError, Problem) as error:
        print(f"reaf: {error.detail if isinstance(error, Problem) else error.text}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"reaf: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    print(json.dumps({"folder": str(folder), "files": sorted(taken.files), "remarks": list(taken.remarks)}))
    return 0


def _bring(source: Path, to: Path | None) -> tuple[Path, TakenOver]:
    if source.is_dir() and to is None:
        return source, _completed(source, source)
    if not source.exists():
        raise BadExperiment(f"{source}: there is no such file or folder")
    target = to or Path(source.stem)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise BadExperiment(f"{target} is there already: name another folder with --to")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".reaf-import-") as work:
        folder = Path(work) / "experiment"
        if source.is_dir():
            shutil.copytree(source, folder)
        else:
            folder.mkdir()
            with source.open("rb") as zipped:
                archive.unpack(zipped, folder)
        taken = _completed(folder, source)
        if target.exists():
            target.rmdir()
        folder.rename(target)
    return target, taken


def _completed(folder: Path, source: Path) -> TakenOver:
    taken = complete(folder)
    if taken is None:
        words = (
            "has an experiment.toml already: run it"
            if (folder / "experiment.toml").is_file()
            else ("has no experiment in the published form: an .exc file, and the .bibi file that it names")
        )
        raise BadExperiment(f"{source} {words}")
    return taken


if __name__ == "__main__":
    sys.exit(main())
