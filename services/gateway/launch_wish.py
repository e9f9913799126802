"""What somebody who launches asks for, and the launcher's command line that says the same."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from .problems import Problem

_STEP_MS = 20.0
_FILE = "experiment.toml"

Positive = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]


class LimitWish(BaseModel):
    """When the run shall end: in simulated seconds, or in seconds of wall time spent running."""

    kind: Literal["simulated", "real"] = "simulated"
    s: Positive


class LaunchWish(BaseModel):
    """What POST simulations takes."""

    model_config = ConfigDict(extra="forbid")

    experiment: str
    ranks: int | None = Field(None, ge=1, le=4096)
    threads: int | None = Field(None, ge=1, le=1024)
    seed: int | None = Field(None, ge=0, lt=2**63)
    steps: int | None = Field(None, ge=1, lt=2**31)
    limit: LimitWish | None = None
    set: dict[str, Any] = Field(default_factory=dict, description="keys of the experiment file and their values")
    record: bool = True
    pace: float | None = Field(None, ge=0, le=1000, allow_inf_nan=False)
    start: bool = False
    cprofile: bool = Field(False, description="run the engine under Python's cProfile")
    name: str | None = Field(None, max_length=80)
    server: str = Field("local", max_length=80, description="one of GET servers")
    image: str = Field("", max_length=128, description="the image version, where the server lets one choose")


def arguments(wish: LaunchWish, folder: Path, recording: Path) -> list[str]:
    """The launcher's command line. Raises Problem for a value that cannot be written in TOML."""
    made = [str(folder), "--out", str(recording)]
    if not wish.start:
        made.append("--hold")
    if wish.cprofile:
        made.append("--cprofile")
    for option in ("ranks", "threads", "seed", "steps"):
        value = getattr(wish, option)
        if value is not None:
            made.append(f"--{option}={value}")
    overrides: dict[str, Any] = dict(wish.set)
    if not wish.record:
        overrides["record.enabled"] = False
    if wish.pace is not None:
        overrides["experiment.pace"] = float(wish.pace)
    if wish.limit is not None:
        overrides |= _limit(wish.limit, _step_ms(folder, wish.set))
    return made + [f"--set={_key(key)}={_toml(value)}" for key, value in overrides.items()]


def _limit(limit: LimitWish, step_ms: float) -> dict[str, Any]:
    if limit.kind == "real":
        # A run that ends by the clock on the wall shall not end by its steps before.
        return {"experiment.real_limit_s": float(limit.s), "experiment.steps": 2**31 - 1}
    steps = limit.s * 1000 / step_ms
    if abs(steps - round(steps)) > 1e-6 or round(steps) < 1:
        text = f"the limit of {limit.s:g} s is no multiple of the step of {step_ms:g} ms"
        raise Problem(422, "invalid", text)
    return {"experiment.steps": round(steps)}


def _step_ms(folder: Path, overrides: Mapping[str, Any]) -> float:
    """The CLE step as far as it can be told without reading the experiment as the engine does."""
    found = overrides.get("experiment.step_ms")
    if found is None:
        try:
            table = tomllib.loads((folder / _FILE).read_text(encoding="utf-8"))
            found = table.get("experiment", {}).get("step_ms")
        except (OSError, ValueError, AttributeError, RecursionError):
            found = None  # the engine says what is wrong with the file
    return float(found) if isinstance(found, (int, float)) and found > 0 else _STEP_MS


def _key(key: str) -> str:
    if not key or len(key) > 200 or "=" in key or not key.isprintable():
        raise Problem(422, "invalid", f"set: {key[:60]!r} is no key of an experiment file")
    return key


def _toml(value: Any, depth: int = 0) -> str:
    """A value as TOML has it."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str() if "\x00" not in value:
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case list() if depth < 20:
            return f"[{', '.join(_toml(item, depth + 1) for item in value)}]"
        case dict() if depth < 20:
            pairs = (f"{json.dumps(str(key))} = {_toml(item, depth + 1)}" for key, item in value.items())
            return f"{{{', '.join(pairs)}}}"
    raise Problem(422, "invalid", f"set: {str(value)[:60]!r} has no form in an experiment file")
