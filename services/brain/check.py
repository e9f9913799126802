"""`python -m services.brain.check FOLDER`: what the table [brain] of an experiment says wrongly, without NEST.

It prints a list of problems as JSON, each with `text`, `file` and `key`, as the check of the engine does.
"""

import json
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from reafference.errors import BadExperiment
from reafference.plain import nearest

from .settings import FILE, BrainSettings, bad

# Not asked of the room that builds them: it would load NEST.
_MODELS = Path(__file__).parent / "models"
_OF_THE_ENGINE = ("step_ms", "ranks", "mpi")


def main() -> int:
    """Check the folder on the command line; 0 whatever was found."""
    print(json.dumps(list(problems(Path(sys.argv[1])))))
    return 0


def problems(folder: Path) -> Iterator[dict[str, str]]:
    """The first thing that is wrong; nothing where there is no such table, or no TOML."""
    try:
        table = tomllib.loads((folder / FILE).read_text(encoding="utf-8")).get("brain")
    except (OSError, ValueError):
        return
    if not isinstance(table, dict):
        return
    try:
        settings = BrainSettings.load({key: value for key, value in table.items() if key not in _OF_THE_ENGINE})
        known = sorted(path.parent.name for path in _MODELS.glob("*/__init__.py"))
        if settings.model is not None and settings.model not in known:
            hint = nearest(settings.model, known) or f" (there are {', '.join(known)})"
            raise bad("brain.model", f"no model of the name {settings.model!r} is shipped{hint}")
    except BadExperiment as error:
        yield {"text": error.text, "file": FILE, "key": str(error.detail.get("key", "brain"))}


if __name__ == "__main__":
    sys.exit(main())
