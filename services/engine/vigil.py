"""Who has fallen silent: the pulses of all members, and what their silence means."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from reafference.clock import Deadline
from reafference.pulse import PulseHost

OTHERS_S = 0.75
"""How long the other ranks of a job may take to fall silent as well, once one of them has."""
JOB_S = 4.0
"""How long the launcher may take to say how a job of several processes ended, once all of them are silent.

A rank that dies is known first to what started the job (`mpiexec`, `srun`), which ends the other ranks at once and
itself only when they have left. The other ranks, then, are silent before anybody can say which one died of what.
"""
LAST_WORDS_S = 2.0
"""How long the last words of a member that has hung up may take: its own, or those of the launcher about its end. A job
of several processes has JOB_S."""


@dataclass(frozen=True, slots=True)
class Silence:
    """A member that is taken for lost; `how` says how one knows."""

    name: str
    how: str


class Vigil:
    """Expects the echoes of members, and of each rank that has one of its own."""

    def __init__(self, pulse: PulseHost) -> None:
        self._pulse = pulse
        self._whose: dict[str, str] = {}  # echo, member; of those that are still expected
        self._words: dict[str, str] = {}  # of each echo, how it begins to be told
        self._jobs: set[str] = set()
        self._doubted: dict[str, tuple[str, Deadline]] = {}

    def watch(self, name: str, ranks: Collection[int] = (), *, job: bool = False) -> None:
        """Expect echoes of `name`, and of its further `ranks`; `job`: it has processes that end each other."""
        echoes = {name: "rank 0 gave " if ranks else ""} | {f"{name}.{rank}": f"rank {rank} gave " for rank in ranks}
        self._words |= echoes
        if job:
            self._jobs.add(name)
        for echo in echoes:
            self._whose[echo] = name
            self._pulse.watch(echo)

    def told(self, name: str) -> None:
        """It is known how `name` ended: expect nothing more of it."""
        self._doubted.pop(name, None)
        for echo in [echo for echo, whose in self._whose.items() if whose == name]:
            self._forget(echo)

    def unreachable(self, name: str, how: str) -> None:
        """`name` takes no message any more: it is lost, unless somebody says a better reason soon."""
        wait_s = JOB_S if name in self._jobs else LAST_WORDS_S
        self._doubted.setdefault(name, (how, Deadline.after_s(wait_s)))

    def due_ms(self) -> int:
        """How long one may wait before `turn` has to be called again."""
        return min([self._pulse.due_ms(), *(until.left_ms() for _, until in self._doubted.values())])

    def turn(self) -> Iterator[Silence]:
        """Send a beat if it is time; those who have been silent or unreachable for too long, each once."""
        silent = [(echo, self._whose[echo]) for echo in self._pulse.turn()]
        for echo, _ in silent:
            self._forget(echo)
        for echo, name in silent:
            how = f"{self._words[echo]}no sign of life for 2 s"
            if name not in self._jobs:
                self._doubted.pop(name, None)
                yield Silence(name, how)
                continue
            first, _ = self._doubted.get(name, (how, None))
            all_silent = name not in self._whose.values()
            self._doubted[name] = first, Deadline.after_s(JOB_S if all_silent else OTHERS_S)
        for name, (how, until) in list(self._doubted.items()):
            if until.passed():
                self.told(name)
                yield Silence(name, how)

    def _forget(self, echo: str) -> None:
        self._pulse.forget(echo)
        self._whose.pop(echo, None)
