"""What the published functions of one run share: time, log, global variables, files, device groups."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.engine.stage import Need, Stage
from services.engine.voice import Log

from .csv_files import CsvFiles


@dataclass(frozen=True, slots=True)
class Group:
    """A group of devices of the brain: in `sources` or `sinks`, with its table."""

    place: str
    table: Mapping[str, Any]


@dataclass(slots=True)
class Groups:
    """The groups of devices that functions have asked for, by name.

    NEST cannot take devices away: a function that comes back with the same devices finds those that were silenced.
    """

    known: dict[str, Group] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    built: bool = False
    _needs: list[Need] = field(default_factory=list)

    def name(self, function: str, argument: str, group: Group) -> str:
        """The name of this group, which is asked for if there is none like it."""
        name, number = f"{function}__{argument}", 1
        while name in self.known and self.known[name] != group:
            number += 1
            name = f"{function}__{argument}__{number}"
        if name not in self.known:
            self.known[name] = group
            if self.built:
                role = group.place.removesuffix("s")
                arguments = {"group": name, "role": role, "table": group.table}
                self._needs.append(Need(function, "brain", "add_device", arguments))
        return name

    def before_building(self) -> dict[str, dict[str, Any]]:
        """All groups there are, which the brain is built with; those that follow are added to it."""
        self.built = True
        placed: dict[str, dict[str, Any]] = {"sources": {}, "sinks": {}}
        for name, group in self.known.items():
            placed[group.place][name] = group.table
        return {place: groups for place, groups in placed.items() if groups}

    def needs(self) -> list[Need]:
        """What is to be added to the brain, each told once."""
        needs, self._needs = self._needs, []
        return needs

    def forget(self, name: str) -> None:
        """The brain could not be given this group."""
        self.known.pop(name, None)


class House:
    """Everything that lives as long as a run. `log` is that of the function that is being called, if one is."""

    def __init__(self, folder: Path, unit: float, topics: Mapping[str, Any]) -> None:
        self.folder, self.unit, self.topics = folder, unit, topics
        self.log: Log | None = None
        self.t_s = 0.0
        self.stage: Stage | None = None
        self.variables: dict[str, Any] = {}
        self.subscribers: dict[str, list[Any]] = {}
        """The subscribed topics of each function."""
        self.groups = Groups()
        self.csv = CsvFiles()
        self.mail: dict[str, Any] = {}
        """Messages on topics that functions send to each other."""

    def empty_topics(self) -> list[str]:
        """Topics to which some function subscribes, and on which nothing has come yet."""
        subscribed = (one for every in self.subscribers.values() for one in every)
        return sorted({one.topic for one in subscribed if one.empty})

    def say(self, severity: str, *words: Any) -> None:
        """Tell people, if a function is being called."""
        if self.log is not None:
            getattr(self.log, severity)(" ".join(map(str, words)))
