"""One set of containers: made, waited for, looked after and removed. What runs in it is not its business."""

import shutil
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from reafference import stand
from reafference.clock import Deadline
from reafference.errors import Interrupted, PeerLost

from . import container_template
from .container_template import Place
from .container_wish import SERVICES
from .docker_engine import DockerEngine, End

_ASK_S = 1.0
_TURN_S = 0.05
_LOOK_EVERY_S = 0.5
_TRIES = 3


class ContainerSet:
    """The containers of engine, brain, body and recorder for one simulation.

    `stands` is the folder that every container of the project shares; the set has a folder of its own in it.
    """

    def __init__(self, docker: DockerEngine, set_id: str, project: str, stands: Path) -> None:
        self._docker, self.id, self._project = docker, set_id, project
        self.folder = stands / set_id
        self._containers: dict[str, str] = {}

    @property
    def engine_stand(self) -> Path:
        """The socket of the stand that starts the run."""
        return Path(self._place("engine").stand)

    def build(self, tag: str, labels: Mapping[str, str]) -> None:
        """Make and start the containers, of the images with this tag.

        Raises BadExperiment where there is nothing to make them of, PeerLost if the container engine fails.
        """
        configs = {service: self._config(service, tag, labels) for service in SERVICES}
        try:
            self.folder.mkdir(mode=0o700)
        except OSError as error:
            raise PeerLost(f"the folder {self.folder} of a set cannot be made: {error.strerror}") from None
        with ThreadPoolExecutor(len(SERVICES)) as pool:
            started = {
                service: pool.submit(self._docker.start, self._place(service).name, config)
                for service, config in configs.items()
            }
            self._containers = {service: future.result() for service, future in started.items()}

    def find(self) -> None:
        """Take up containers that another process has made."""
        found = [one for one in self._docker.of_sets(self._project) if one.set_id == self.id]
        self._containers = {one.service: one.container for one in found}

    def await_stands(self, limit_s: float, given_up: Callable[[], bool]) -> None:
        """Until every stand answers. Raises PeerLost that names the container that ended or is silent."""
        end, look_at = Deadline.after_s(limit_s), 0.0
        missing = list(SERVICES)
        while missing := [service for service in missing if not self._answers(service)]:
            if given_up():
                raise Interrupted("the set of containers was given up before it stood")
            if time.monotonic() >= look_at:
                self._must_live()
                look_at = time.monotonic() + _LOOK_EVERY_S
            if end.passed():
                raise PeerLost(f"the container of the {missing[0]} does not answer after {limit_s:g} s")
            time.sleep(_TURN_S)

    def ends(self) -> dict[str, End]:
        """Those of its containers that have ended, by service, and how."""
        ends = {service: self._docker.end_of(container) for service, container in self._containers.items()}
        return {service: end for service, end in ends.items() if end.status is not None}

    def last_words(self, service: str) -> str:
        """The last line that a container has said, in brackets, or ""."""
        words = self._docker.last_words(self._containers[service]) if service in self._containers else ""
        return f" ({words})" if words else ""

    def clear_away(self) -> None:
        """Leave nothing of it. Raises PeerLost if the container engine does not do it, asked three times."""
        for attempt in range(_TRIES):
            try:
                self.find()
                with ThreadPoolExecutor(len(SERVICES)) as pool:
                    list(pool.map(self._docker.remove, self._containers.values()))
                break
            except PeerLost:
                if attempt == _TRIES - 1:
                    raise
                time.sleep(1.0)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _config(self, service: str, tag: str, labels: Mapping[str, str]) -> Mapping[str, object]:
        standing, its_image = self._docker.standing(self._project, service)
        image_id = self._docker.image(service, tag)["Id"]
        return container_template.container(standing, its_image, image_id, self._place(service), labels)

    def _place(self, service: str) -> Place:
        return Place(set_id=self.id, service=service, folder=str(self.folder), project=self._project)

    def _answers(self, service: str) -> bool:
        try:
            stand.ask(self._place(service).stand, _ASK_S)
        except (OSError, ValueError):
            return False
        return True

    def _must_live(self) -> None:
        for service, end in self.ends().items():
            raise PeerLost(f"the container of the {service} cannot start: {end}{self.last_words(service)}")
