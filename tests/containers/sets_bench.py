"""A project of compose to make sets of, without compose: containers that stand, and the launcher's own container.

Its images are the engine's with a toy in place of the launcher of a run (toy_launch.py), so a set stands within
seconds. All that belongs to it bears the name of the project, and goes with it.
"""

import contextlib
import io
import json
import os
import shutil
import socket
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import docker.errors

from reafference import __version__, stand
from reafference.stand_client import AtStand, Event, Request

SERVICES = ("engine", "brain", "body", "recorder")
VERSION = os.environ.get("REAF_VERSION") or __version__
MODULE = "services.engine.launch_bare"
_SOCKET = Path("/var/run/docker.sock")
_TOY = Path(__file__).with_name("toy_launch.py")
_LIMIT_S = 60.0
_INSIDE = "/opt/reafference/services/engine"


def why_not() -> str:
    """Why no set of containers can be tested here, or ""."""
    try:
        api = docker.from_env(timeout=10).api
        api.ping()
    except (docker.errors.DockerException, OSError) as error:
        return f"no container engine answers here: {str(error)[:200]}"
    for service in ("engine", "launcher"):
        with contextlib.suppress(docker.errors.ImageNotFound):
            api.inspect_image(f"reafference-{service}:{VERSION}")
            continue
        return f"there is no image reafference-{service}:{VERSION}: make images"
    return ""


def until(what: str, met: Callable[[], Any], limit_s: float = _LIMIT_S) -> Any:
    """What `met` returns as soon as that is something."""
    end = time.monotonic() + limit_s
    while not (found := met()):
        assert time.monotonic() < end, f"not within {limit_s:g} s: {what}"
        time.sleep(0.05)
    return found


@dataclass
class Run:
    """A run that the launcher has started, and what is told of it."""

    at: AtStand
    events: list[Event] = field(default_factory=list)

    def hear(self) -> list[Event]:
        self.events += self.at.events()
        return self.events

    def said(self) -> list[Mapping[str, Any]]:
        """The lines that the run itself has said."""
        return [json.loads(event["line"]) for event in self.hear() if event["event"] == "said"]

    def saying(self, event: str) -> Mapping[str, Any]:
        """What it says in the first line of this kind."""

        def met() -> Mapping[str, Any] | None:
            found = next((one for one in self.said() if one["event"] == event), None)
            assert found is not None or self.at.ended is None, f"no line {event!r}: {self.events}"
            return found

        return until(f"a line {event!r}", met)  # type: ignore[no-any-return]

    def end(self) -> Event:
        """The last event."""
        return until("its end", lambda: self.hear() and self.at.ended)  # type: ignore[no-any-return]


class Bench:
    """The project."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.api = docker.from_env(timeout=60).api
        self.images = f"{name}-"
        # Sockets have short names: a folder of pytest's would be too deep.
        self.folder = Path(tempfile.mkdtemp(prefix="reaf-sets-", dir="/tmp"))
        self.run, self.private = self.folder / "run", self.folder / "launcher"
        self.user = f"{os.getuid()}:{os.getgid()}" if os.getuid() else "1000:1000"
        for folder in (self.run, self.private):
            folder.mkdir(mode=0o700)
            if os.getuid() == 0:
                os.chown(folder, 1000, 1000)

    @property
    def socket(self) -> Path:
        return self.private / "launcher.stand"

    # --- what stands ---------------------------------------------------------------------------------

    def set_up(self) -> None:
        for tag in ("1.0", "2.0"):
            self.make_images(tag)
        self.api.create_network(f"{self.name}_inside", internal=True, labels={"reafference.project": self.name})
        for service in SERVICES:
            self.stand(service)

    def stand(self, service: str) -> None:
        """Make the container of a service that stands; for these tests it need not run."""
        self.api.create_container_from_config(self._standing(service), f"{self.name}-{service}-1")

    def make_images(self, tag: str, services: Sequence[str] = SERVICES, entry: str = "") -> None:
        """The engine's image with the toy in it, under the name of every service; with another entry, if need be."""
        lines = [
            f"FROM reafference-engine:{VERSION}",
            "USER root",
            f"RUN rm -f {_INSIDE}/__pycache__/launch_bare.*",
            f"COPY launch_bare.py {_INSIDE}/",
            f"ENV REAF_TOY={tag}",
            "USER reaf",
            *([f"ENTRYPOINT {entry}"] if entry else []),
        ]
        first = f"{self.images}{services[0]}:{tag}"
        list(self.api.build(fileobj=_context("\n".join(lines)), custom_context=True, tag=first, rm=True, decode=True))
        for service in services[1:]:
            self.api.tag(first, f"{self.images}{service}", tag)

    def _standing(self, service: str) -> dict[str, Any]:
        return {
            "Image": f"{self.images}{service}:1.0",
            "User": self.user,
            "Labels": {
                "com.docker.compose.project": self.name,
                "com.docker.compose.service": service,
                "com.docker.compose.oneoff": "False",
            },
            "HostConfig": {
                "Binds": [f"{self.run}:/run/reafference:rw"],
                "Tmpfs": {"/tmp": ""},
                "Memory": 192 << 20,
                "PidsLimit": 64,
                "NetworkMode": f"{self.name}_inside",
            },
        }

    def start_launcher(self, most: int = 2, leave_s: float = 45) -> str:
        """The launcher in a container of its own, as compose starts it; its container."""
        config = {
            "Image": f"reafference-launcher:{VERSION}",
            "User": self.user,
            "Labels": {"com.docker.compose.project": self.name, "com.docker.compose.service": "launcher"},
            "Env": [
                f"REAF_IMAGES={self.images}",
                "REAF_TAG=1.0",
                f"REAF_MOST_SETS={most}",
                f"REAF_SET_LEAVE_S={leave_s}",
            ],
            "HostConfig": {
                "Binds": [
                    f"{_SOCKET}:/var/run/docker.sock",
                    f"{self.run}:/run/reafference",
                    f"{self.private}:/run/launcher",
                ],
                "GroupAdd": [str(_SOCKET.stat().st_gid)],
                "Tmpfs": {"/tmp": ""},
                "ReadonlyRootfs": True,
                "CapDrop": ["ALL"],
                "SecurityOpt": ["no-new-privileges:true"],
                "NetworkMode": "none",
            },
        }
        made: str = self.api.create_container_from_config(config, f"{self.name}-launcher-1")["Id"]
        self.api.start(made)
        until("the launcher answers", self.answers)
        return made

    def answers(self) -> bool:
        try:
            return stand.ask(str(self.socket), 1.0)["service"] == "launcher"
        except (OSError, ValueError):
            return False

    # --- what is asked -------------------------------------------------------------------------------

    def launch(self, *arguments: str, image: str = "", keep: bool = False, **about: Any) -> Run:
        request = Request(
            module=MODULE, arguments=arguments, output="lines", keep=keep, about=about, image=image, environment={}
        )
        return Run(AtStand.start(self.socket, request))

    def attach(self, process_id: str) -> Run:
        return Run(AtStand.attach(self.socket, process_id))

    def ask(self, **request: Any) -> Mapping[str, Any]:
        """One request and its answer, whatever they are."""
        with socket.socket(socket.AF_UNIX) as there:
            there.settimeout(10)
            there.connect(str(self.socket))
            there.sendall(json.dumps(request).encode() + b"\n")
            with there.makefile("rb") as lines:
                return json.loads(lines.readline())  # type: ignore[no-any-return]

    # --- what there is -------------------------------------------------------------------------------

    def containers(self, set_id: str = "") -> dict[str, str]:
        """The containers of a set, or of all sets, by their names."""
        label = [f"reafference.project={self.name}", *([f"reafference.set={set_id}"] if set_id else [])]
        return {
            one["Names"][0].strip("/"): one["Id"] for one in self.api.containers(all=True, filters={"label": label})
        }

    def inspected(self, set_id: str, service: str) -> Mapping[str, Any]:
        return self.api.inspect_container(f"{self.name}-{set_id}-{service}")  # type: ignore[no-any-return]

    def folders(self) -> list[str]:
        return sorted(folder.name for folder in self.run.glob("set-*"))

    def await_nothing_left(self) -> None:
        until(
            f"no set is left: {self.containers()}, {self.folders()}",
            lambda: not self.containers() and not self.folders(),
        )

    # --- and goes ------------------------------------------------------------------------------------

    def stop_launcher(self) -> None:
        with contextlib.suppress(docker.errors.NotFound):
            self.api.remove_container(f"{self.name}-launcher-1", force=True)

    def remove_sets(self) -> None:
        for container in self.containers().values():
            self._remove(container)
        for folder in self.run.glob("set-*"):
            shutil.rmtree(folder, ignore_errors=True)

    def take_down(self) -> None:
        self.stop_launcher()
        self.remove_sets()
        for service in SERVICES:
            self._remove(f"{self.name}-{service}-1")
        with contextlib.suppress(docker.errors.APIError):
            self.api.remove_network(f"{self.name}_inside")
        for image in self.api.images(filters={"reference": f"{self.images}*"}):
            for tag in image["RepoTags"] or []:
                with contextlib.suppress(docker.errors.APIError):
                    self.api.remove_image(tag, force=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _remove(self, container: str) -> None:
        with contextlib.suppress(docker.errors.APIError):
            self.api.remove_container(container, force=True, v=True)


def _context(dockerfile: str) -> io.BytesIO:
    """What a build is given: the toy and this Dockerfile."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, data in (("Dockerfile", dockerfile.encode()), ("launch_bare.py", _TOY.read_bytes())):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            tar.addfile(entry, io.BytesIO(data))
    made.seek(0)
    return made


@contextlib.contextmanager
def bench() -> Iterator[Bench]:
    """A project that is there for a while."""
    made = Bench(f"reaftoy{os.getpid()}")
    try:
        made.set_up()
        yield made
    finally:
        made.take_down()
