"""What published files may ask for and is not here: refused by its name, with what there is."""

from collections.abc import Iterable
from types import ModuleType
from typing import Any, NoReturn

from reafference import plain


class NotShimmed(ImportError):
    """Something of the published platform that is not here."""


class Shim(ModuleType):
    """A module that stands for one of the published platform; other names than its own are refused."""

    def __init__(self, name: str, names: dict[str, Any], instead: dict[str, str] | None = None) -> None:
        """`instead` says what to do about names that are known and not here."""
        super().__init__(name)
        self.__dict__.update(names)
        self.__dict__["_instead"] = instead or {}

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        there = [known for known in self.__dict__ if not known.startswith("_")]
        known = self.__dict__["_instead"].get(name)
        text = f"{self.__name__}.{name} is not to be had here{plain.nearest(name, there)}"
        raise NotShimmed(f"{text}: {known or f'there is {_listed(there)}'}", name=self.__name__)


def refuse_module(name: str, there: Iterable[str]) -> NoReturn:
    """Refuse a module of ROS or of the published platform."""
    raise NotShimmed(f"the module {name!r} is not to be had here: of ROS and the platform there is {_listed(there)}")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"
