"""The container engine, as far as the launcher of containers needs it: the one file that speaks to it.

Every call has a limit. What goes wrong is a PeerLost with the engine's own words.
"""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import docker
import docker.errors

from reafference.errors import BadExperiment, PeerLost

from .container_template import PROJECT, SERVICE, SET
from .container_wish import SERVICES

_CALL_S = 30
_COMPOSE_PROJECT = "com.docker.compose.project"
_COMPOSE_SERVICE = "com.docker.compose.service"
_LAST_LINES = 5
_MOST_WORDS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A container of a set, as the engine lists it. `alive`: it runs, or is held for a while."""

    container: str
    set_id: str
    service: str
    alive: bool
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a container ended; `status` is None while it runs."""

    status: int | None = None
    out_of_memory: bool = False

    def __str__(self) -> str:
        if self.out_of_memory:
            return "it needed more memory than its limit and was ended"
        if self.status is not None and self.status > 128:
            return f"it was killed by signal {self.status - 128}"
        return f"it ended with status {self.status}"


class DockerEngine:
    """The container engine that DOCKER_HOST names, or that of this machine.

    `images` is what stands before the service in the names of images; no call takes longer than `call_s` seconds.
    """

    def __init__(self, images: str, call_s: int = _CALL_S) -> None:
        self._images, self._call_s = images, call_s
        self._own = threading.local()  # a connection belongs to one thread

    # --- what there is -------------------------------------------------------------------------------

    def tags(self) -> list[str]:
        """The tags that there are of the images of all services."""
        with _told():
            of_each = [self._tags_of(f"{self._images}{service}") for service in SERVICES]
        return sorted(set.intersection(*of_each))

    def _tags_of(self, repository: str) -> set[str]:
        listed = self._api.images(filters={"reference": f"{repository}:*"})
        names = [name for image in listed for name in image.get("RepoTags") or []]
        return {name.rpartition(":")[2] for name in names if name.rpartition(":")[0] == repository}

    def image(self, service: str, tag: str) -> Mapping[str, Any]:
        """What the engine knows of an image that is here; nothing is ever fetched."""
        with _told():
            return dict(self._api.inspect_image(f"{self._images}{service}:{tag}"))

    def project_of(self, container: str) -> str:
        """The project of compose that this container belongs to. Raises BadExperiment if it belongs to none."""
        with _told():
            labels = self._api.inspect_container(container)["Config"].get("Labels") or {}
        if _COMPOSE_PROJECT not in labels:
            raise BadExperiment(f"the container {container} is of no project of compose: say --project NAME")
        return str(labels[_COMPOSE_PROJECT])

    def standing(self, project: str, service: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """The container of a service that compose has made, and its image. Raises BadExperiment if there is none."""
        wanted = [f"{_COMPOSE_PROJECT}={project}", f"{_COMPOSE_SERVICE}={service}", "com.docker.compose.oneoff=False"]
        with _told():
            listed = self._api.containers(all=True, filters={"label": wanted})
            if not listed:
                raise BadExperiment(
                    f"the project {project} has no container of the {service}, of which further ones could be made: "
                    "docker compose up -d"
                )
            found = self._api.inspect_container(listed[0]["Id"])
            return found, self._api.inspect_image(found["Image"])

    def of_sets(self, project: str) -> list[Found]:
        """All containers of the sets of a project, alive or not."""
        with _told():
            listed = self._api.containers(all=True, filters={"label": [SET, f"{PROJECT}={project}"]})
        return [_found(entry) for entry in listed]

    def end_of(self, container: str) -> End:
        """How it ended, if it has."""
        with _told():
            try:
                state = self._api.inspect_container(container)["State"]
            except docker.errors.NotFound:
                return End(status=-1)
        if state["Running"] or state["Status"] == "created":
            return End()
        return End(status=state["ExitCode"], out_of_memory=bool(state.get("OOMKilled")))

    def last_words(self, container: str) -> str:
        """The last line of what it has said, or ""."""
        with contextlib.suppress(PeerLost), _told():
            said = self._api.logs(container, tail=_LAST_LINES).decode("utf-8", errors="replace").strip()
            return said.splitlines()[-1][:_MOST_WORDS] if said else ""
        return ""

    # --- what is done --------------------------------------------------------------------------------

    def start(self, name: str, config: Mapping[str, Any]) -> str:
        """Create a container and start it; its id."""
        with _told():
            made: str = self._api.create_container_from_config(dict(config), name)["Id"]
            self._api.start(made)
        return made

    def remove(self, container: str) -> None:
        """End it at once if it runs, and leave nothing of it."""
        with _told():
            try:
                self._api.remove_container(container, force=True, v=True)
            except docker.errors.APIError as error:
                # 404: gone already. 409: somebody else is removing it.
                if error.status_code not in (404, 409):
                    raise

    @property
    def _api(self) -> Any:
        if not hasattr(self._own, "api"):
            self._own.api = docker.from_env(timeout=self._call_s).api
        return self._own.api


def _found(entry: Mapping[str, Any]) -> Found:
    labels = entry.get("Labels") or {}
    return Found(
        container=entry["Id"],
        set_id=labels.get(SET, ""),
        service=labels.get(SERVICE, ""),
        alive=entry.get("State") in ("running", "paused", "created", "restarting"),
        labels=labels,
    )


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except docker.errors.APIError as error:
        raise PeerLost(f"the container engine says: {str(error.explanation or error)[:_MOST_WORDS]}") from error
    except (docker.errors.DockerException, OSError) as error:
        # The library under Docker's own lets its errors of transport through; all of them are OSErrors.
        raise PeerLost(_silent(str(error))) from error


def _silent(words: str) -> str:
    if "Permission denied" in words:
        return (
            "the container engine's socket may not be used: set REAF_DOCKER_GROUP to its group "
            "(stat -c %g /var/run/docker.sock)"
        )
    return f"the container engine does not answer: {words[:_MOST_WORDS]}"
