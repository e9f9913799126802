"""`python -m services.engine.container_run start|adopt|sweep …`: a run in a set of containers, from first to last.

The launcher of containers starts one such process for each set. It makes the set, has the set's own stand start the
run, says what the run says, and takes the set away when the run has ended or SIGTERM asks for that. It runs no code
of a user. Killed, it leaves a set behind: `sweep` removes such a set, `adopt` takes up one whose run goes on.
"""

import contextlib
import json
import select
import signal
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from reafference.clock import Deadline
from reafference.errors import Interrupted, PeerLost, ReafferenceError
from reafference.process import Leave
from reafference.stand_client import AtStand, Event

from . import container_template
from .container_set import ContainerSet
from .container_wish import StartWish
from .docker_engine import DockerEngine

LEFT_BEHIND = 76  # the run ended, and the container engine did not take its set away

_TURN_S = 0.5
_LOOK_EVERY_S = 2.0
_ANSWER_S = 10.0
# Of the time that a run and its set have for their end, what the run may use to complete its recording.
_OF_RUN = 0.75
# How long a run may go on that has lost a container: it ends by itself as soon as its engine has seen that.
_WITHOUT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SetJob:
    """What the launcher wants such a process to do, as one argument of its command line.

    `ready_s`: how long the stands of the set may take to answer; `leave_s`: how long run and set may take to end.
    """

    set_id: str
    project: str
    images: str
    stands: str
    ready_s: float
    leave_s: float
    tag: str = ""
    process: str = ""  # to adopt: the number of the run at its stand
    wish: Mapping[str, Any] | None = None

    def argument(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, argument: str) -> "SetJob":
        return cls(**json.loads(argument))


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status of the run; that of the error if there was none."""
    what, argument, *left = sys.argv[1:] if arguments is None else arguments
    job, leave = SetJob.read(argument), Leave()
    docker = DockerEngine(job.images)
    if what == "sweep":
        return sweep(docker, job, left)
    run = ContainerRun(ContainerSet(docker, job.set_id, job.project, Path(job.stands)), leave, job.leave_s * _OF_RUN)
    try:
        status = run.start(job) if what == "start" else run.adopt(job)
    except ReafferenceError as error:
        say("failed", code=error.code, text=error.text)
        status = error.exit_status
    except Exception as error:
        # Whatever it was, the set must not stay.
        traceback.print_exc()
        say("failed", code=ReafferenceError.code, text=f"the launcher of containers failed: {error!r}")
        status = ReafferenceError.exit_status
    return status if run.cleared_away() else LEFT_BEHIND


def say(event: str, **fields: Any) -> None:
    """One line, as the launcher of a run says it."""
    print(json.dumps({"event": event, **fields}), flush=True)


class ContainerRun:
    """A run and the set it has for itself."""

    def __init__(self, containers: ContainerSet, leave: Leave, orderly_s: float) -> None:
        self._set, self._leave, self._orderly_s = containers, leave, orderly_s
        self._blamed: set[str] = set()
        self._look_at = 0.0
        self._end: Deadline | None = None
        self._end_text = ""

    def start(self, job: SetJob) -> int:
        """Make the set, then the run in it; the exit status of the run's launcher."""
        wish = StartWish(**(job.wish or {}))
        self._set.build(job.tag, container_template.labels_of(wish.about, keep=wish.keep))
        self._set.await_stands(job.ready_s, lambda: self._leave.asked)
        return self._follow(AtStand.start(self._set.engine_stand, wish.request(str(self._set.folder))))

    def adopt(self, job: SetJob) -> int:
        """Follow a run that goes on; what it has said so far is said again."""
        self._set.find()
        return self._follow(AtStand.attach(self._set.engine_stand, job.process))

    def cleared_away(self) -> bool:
        """Take the set away; whether that was done."""
        try:
            self._set.clear_away()
        except ReafferenceError as error:
            say("warning", text=f"the containers of {self._set.id} could not be removed: {error.text}")
            return False
        return True

    def _follow(self, run: AtStand) -> int:
        with contextlib.closing(run):
            while True:
                select.select([run], [], [], _TURN_S)
                for event in self._events(run):
                    match event:
                        case {"event": "said", "line": str(said)}:
                            print(said, flush=True)
                        case {"event": "ended", "status": int(status)}:
                            return self._ended(status, event)
                self._look(run)

    def _events(self, run: AtStand) -> list[Event]:
        try:
            return run.events()
        except PeerLost:
            raise self._engine_lost() from None

    def _ended(self, status: int, event: Event) -> int:
        if status:
            with contextlib.suppress(PeerLost):
                self._look_at_containers()  # the run may have been quicker to see why
        if status >= 0:
            return status
        raise PeerLost(f"the run broke off: the launcher of its services: {event.get('how', 'it was killed')}")

    def _look(self, run: AtStand) -> None:
        """Whether somebody wants it to end, and whether all containers still live."""
        if self._leave.asked and "leave" not in self._blamed:
            self._blamed.add("leave")
            run.signal(signal.SIGTERM)
            self._end, self._end_text = Deadline.after_s(self._orderly_s), "it did not end when it was asked to"
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + _LOOK_EVERY_S
            # A container engine that is restarted, say, is no reason to end a run.
            with contextlib.suppress(PeerLost):
                self._look_at_containers()
        if self._end is not None and self._end.passed():
            raise Interrupted(f"the set of containers was removed: {self._end_text}")

    def _look_at_containers(self) -> None:
        for service, end in self._set.ends().items():
            if service not in self._blamed:
                self._blamed.add(service)
                say("warning", text=f"the container of the {service} is gone: {end}{self._set.last_words(service)}")
                if self._end is None:
                    self._end = Deadline.after_s(_WITHOUT_S)
                    self._end_text = f"its run went on without the container of the {service}"

    def _engine_lost(self) -> ReafferenceError:
        if self._leave.asked:
            return Interrupted("the run was ended together with its set of containers")
        how = "its stand is gone, and its container runs on"
        until = Deadline.after_s(_ANSWER_S)
        with contextlib.suppress(PeerLost):
            while "engine" not in (ends := self._set.ends()) and not until.passed():
                time.sleep(_TURN_S / 5)
            if "engine" in ends:
                how = f"{ends['engine']}{self._set.last_words('engine')}"
        return PeerLost(f"the container of the engine is gone: {how}")


def sweep(docker: DockerEngine, job: SetJob, left: Sequence[str]) -> int:
    """Remove sets that nobody looks after any more."""
    status = 0
    for set_id in left:
        try:
            ContainerSet(docker, set_id, job.project, Path(job.stands)).clear_away()
        except ReafferenceError as error:
            print(f"reaf: the set of containers {set_id} is left behind: {error.text}", file=sys.stderr)
            status = LEFT_BEHIND
    return status


if __name__ == "__main__":
    sys.exit(main())
