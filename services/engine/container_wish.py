"""What the launcher of containers may be asked for, checked before any of it comes near a container engine.

Values in, values out. Whoever may launch may have written every word of a request, so nothing but a tag that exists
and the number of a set ever reaches the engine; the rest goes to the set's own stand, inside the set.
"""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from reafference.errors import BadExperiment
from reafference.stand_client import Request

MODULE = "services.engine.launch_bare"
SERVICES = ("engine", "brain", "body", "recorder")

# The grammar of a tag, as container engines have it: no slash, no colon, no '@', so it can name no other repository.
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,63}", re.ASCII)
_OURS = ("REAF_STANDS", "REAF_PARENT_PID")  # of the set, not of who asks
_MOST_ARGUMENTS = 1000
_MOST_VARIABLES = 100
_MOST_TEXT = 64 * 1024
_MOST_ABOUT = 16 * 1024
_SHOWN = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class StartWish:
    """A run in a set of containers of its own. `tag` is "" for the launcher's own version."""

    tag: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    keep: bool = False

    def request(self, stands: str) -> Request:
        """The request for the stand of the engine in the set whose stands are in this folder."""
        return Request(
            module=MODULE,
            arguments=self.arguments,
            environment={**self.environment, "REAF_STANDS": stands},
            output="lines",
            keep=self.keep,
            about=self.about,
        )


def start_wish(request: Mapping[str, Any]) -> StartWish:
    """What a start request asks for. Raises BadExperiment with one sentence about what is wrong with it."""
    if request.get("module") != MODULE:
        raise BadExperiment(f"a set of containers runs {MODULE} only, not {_shown(request.get('module'))}")
    about = request.get("about") or {}
    if not isinstance(about, dict) or len(json.dumps(about)) > _MOST_ABOUT:
        raise BadExperiment(f"about must be an object of JSON of at most {_MOST_ABOUT} bytes")
    return StartWish(
        tag=_tag(request.get("image") or ""),
        arguments=_arguments(request.get("arguments") or []),
        environment=_environment(request.get("environment") or {}),
        about=about,
        keep=request.get("keep") is True,
    )


def chosen(tag: str, own: str, known: Collection[str]) -> str:
    """The tag of the images to take. Raises BadExperiment that lists the tags there are."""
    wanted = tag or own
    if wanted in known:
        return wanted
    there = f"there are {', '.join(sorted(known))}" if known else "there are none (make images)"
    raise BadExperiment(f"there are no images of version {_shown(wanted)}: {there}")


def label(value: object) -> str:
    """A text for a label that people read: one short line."""
    text = value if isinstance(value, str) else ""
    return "".join(sign for sign in text if sign.isprintable())[:80]


def _tag(value: object) -> str:
    if value == "" or (isinstance(value, str) and _TAG.fullmatch(value)):
        return str(value)
    raise BadExperiment(
        f"image is {_shown(value)}, but must be a version such as 0.1.0: letters, digits, '_', '.', '-'"
    )


def _arguments(values: object) -> tuple[str, ...]:
    if not isinstance(values, list) or len(values) > _MOST_ARGUMENTS or not all(_is_text(value) for value in values):
        raise BadExperiment(f"arguments must be a list of at most {_MOST_ARGUMENTS} texts without a NUL")
    return tuple(values)


def _environment(values: object) -> Mapping[str, str]:
    if not isinstance(values, dict) or len(values) > _MOST_VARIABLES:
        raise BadExperiment(f"environment must be an object of at most {_MOST_VARIABLES} variables")
    for name, value in values.items():
        if not isinstance(name, str) or not _VARIABLE.fullmatch(name) or not _is_text(value):
            raise BadExperiment(f"environment: {_shown(name)} must be a variable in capital letters with a text")
    return {name: value for name, value in values.items() if name not in _OURS}


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _MOST_TEXT and "\x00" not in value


def _shown(value: object) -> str:
    """A value as a sentence may show it, whoever wrote it."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
