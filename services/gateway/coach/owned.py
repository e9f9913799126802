"""An experiment that somebody wants to change through the published client."""

from typing import Annotated

from fastapi import Depends, Path

from ..people import Person, editor
from .access import House

Id = Annotated[str, Path(max_length=200)]


def _owned(id: Id, gateway: House, person: Annotated[Person, Depends(editor)]) -> str:
    """Dependency: the id of an experiment that this person may change. Raises Problem 404, or 403."""
    person.must_own(gateway.storage.about(id).owner, f"the experiment {id!r}")
    return id


Owned = Annotated[str, Depends(_owned)]
