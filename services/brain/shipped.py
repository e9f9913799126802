"""The brain models that come with the platform: one package each in `models/`."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, cast

from reafference.plain import nearest
from reafference.simulator import Report
from services.brain.kernel import Delays
from services.brain.network import Network
from services.brain.settings import bad

_FOLDER = Path(__file__).parent / "models"


class ShippedModel(Protocol):
    """What the package of a model has. `DELAYS` is the range the kernel is given, None to leave it to NEST."""

    DELAYS: Delays | None

    def build(self, parameters: Mapping[str, Any], *, seed: int, resolution_ms: float, report: Report) -> Network:
        """Build into the kernel, which is set up. Raises BadExperiment for a bad parameter."""
        ...


def names() -> list[str]:
    return sorted(p.name for p in _FOLDER.iterdir() if (p / "__init__.py").exists())


def about(name: str) -> str:
    """What a model says of itself, in a few lines."""
    return (importlib.import_module(f"services.brain.models.{name}").__doc__ or "").strip()


def shipped_model(name: str) -> ShippedModel:
    """Raises BadExperiment if there is no such model."""
    if name not in names():
        hint = nearest(name, names()) or f" (there are {', '.join(names())})"
        raise bad("brain.model", f"no model of the name {name!r} is shipped{hint}")
    return cast(ShippedModel, importlib.import_module(f"services.brain.models.{name}"))
