"""The experiment's parameters, as transfer functions see them."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from reafference import plain
from reafference.errors import BadExperiment


class Parameters:
    """Values by name; `namespace` is what a transfer function is given as `params`."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.namespace = SimpleNamespace(**given)
        self._known = tuple(given)

    def now(self) -> dict[str, Any]:
        """All of them as plain values; what a function has put in their place too, if it is plain."""
        return {name: _plain(getattr(self.namespace, name, None)) for name in self._known}

    def put(self, values: Mapping[str, Any]) -> None:
        """Give these other values; all or none.

        Raises BadExperiment for a name that is not there, or a value of another kind.
        """
        for name, value in values.items():
            if name not in self._known:
                known = ", ".join(self._known) or "none at all"
                hint = plain.nearest(name, self._known)
                raise BadExperiment(f"there is no parameter {name!r}{hint}: the experiment has {known}")
            expected, found = _kind(getattr(self.namespace, name, value)), _kind(value)
            if expected != found:
                raise BadExperiment(f"the parameter {name!r} is {expected}, it cannot become {plain.describe(value)}")
        for name, value in values.items():
            setattr(self.namespace, name, value)


def _plain(value: Any) -> Any:
    try:
        found = plain.load(Any, plain.dump(value))
        str(found).encode()
        return found
    except (plain.Misfit, RecursionError, UnicodeEncodeError):
        return f"{type(value).__name__}, which has no plain form"


def _kind(value: Any) -> str:
    kinds = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list"}
    for kind, words in kinds.items():
        if isinstance(value, kind):
            return words
    return "a table" if isinstance(value, Mapping) else "something else"
