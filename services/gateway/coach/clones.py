"""Which experiment a published client means when it launches one: its own, or a template as it is."""

from pathlib import Path

from ..house import Gateway
from ..people import Person
from ..problems import Problem
from ..storage import files_in


def launchable(gateway: Gateway, name: str, person: Person, *, stored: bool) -> str:
    """The id of the experiment to launch. Blocking. Raises Problem 404 if there is none.

    Templates run as clones only: an unchanged one of this person's is taken, or else one is made.
    """
    if stored or name not in gateway.templates.ids():
        gateway.storage.folder(name)
        return name
    template = gateway.templates.folder(name)
    for id in gateway.storage.ids():
        about = gateway.storage.about(id)
        mine = about.template == name and about.owner == person.name
        if mine and not gateway.simulations.running(id) and _same(template, gateway.storage.folder(id)):
            return id
    return gateway.storage.clone(template, name, person, published=True)


def _same(template: Path, clone: Path) -> bool:
    """Whether both have the same files; one that vanishes meanwhile is none."""
    try:
        found = [
            {file.path: (folder / file.path).read_bytes() for file in files_in(folder)} for folder in (template, clone)
        ]
    except (OSError, Problem):
        return False
    return found[0] == found[1]
