"""How a container of a further set is made from the one that stands: the same limits, volumes and network.

Values in, values out: what the container engine tells of a container goes in, what it takes to create another one
comes out. What must never be missing is written here and not copied.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from reafference.errors import BadExperiment

from .container_wish import label

SET = "reafference.set"
PROJECT = "reafference.project"
SERVICE = "reafference.service"
KEEP = "reafference.keep"
SIMULATION = "reafference.simulation"
OWNER = "reafference.owner"
ABOUT = "reafference.about"

# Of what an operator has said about a container: what it may use, and what it sees.
_COPIED = (
    *("Memory", "MemorySwap", "MemoryReservation", "NanoCpus", "CpuShares", "CpuPeriod", "CpuQuota", "CpusetCpus"),
    *("PidsLimit", "Ulimits", "ShmSize", "OomScoreAdj", "LogConfig", "NetworkMode", "Binds", "Mounts", "Tmpfs"),
)
_HARDENED: Mapping[str, Any] = {
    "Privileged": False,
    "ReadonlyRootfs": True,
    "CapAdd": [],
    "CapDrop": ["ALL"],
    "Devices": [],
    "PortBindings": {},
    "PublishAllPorts": False,
    "IpcMode": "private",
    "PidMode": "",
    "UTSMode": "",
    "UsernsMode": "",
    "AutoRemove": False,  # how it ended must be readable afterwards
    "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},  # a service that died has lost its run
}
_NO_NEW_PRIVILEGES = "no-new-privileges:true"
_ENGINE_SOCKETS = ("docker.sock", "containerd.sock", "podman.sock", "crio.sock")
_TOO_MUCH = ("/", "/run", "/var/run", "/var", "/etc", "/proc", "/sys", "/dev", "/var/lib/docker")
_OWN_VARIABLE = "REAF_STANDS"
_STOP_S = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in a set a container stands. `folder` is that of the set's stands, the same path in every container."""

    set_id: str
    service: str
    folder: str
    project: str

    @property
    def name(self) -> str:
        """Of the container: nobody outside has a say in it."""
        return f"{self.project}-{self.set_id}-{self.service}"

    @property
    def stand(self) -> str:
        """The socket of its stand."""
        return f"{self.folder}/{self.service}.stand"


def container(
    standing: Mapping[str, Any], image: Mapping[str, Any], image_id: str, place: Place, labels: Mapping[str, str]
) -> dict[str, Any]:
    """What to create: `standing` is the container of this service that stands, `image` the one it was made from,
    `image_id` the image of the new one.

    Raises BadExperiment if the one that stands sees the container engine: that is for the launcher alone.
    """
    config, host = standing.get("Config") or {}, standing.get("HostConfig") or {}
    _must_not_see_the_engine(place.service, standing)
    copied = {key: host[key] for key in _COPIED if host.get(key) is not None}
    return {
        "Image": image_id,
        "Hostname": place.service,
        "Cmd": ["python", "-m", "reafference.stand", place.stand, "--service", place.service],
        "Env": [*_said_by_operator(config, image), f"{_OWN_VARIABLE}={place.folder}"],
        **_user(config, image),
        "Labels": {SET: place.set_id, PROJECT: place.project, SERVICE: place.service, **labels},
        # Its stand is asked by the launcher; another process every few seconds would only take time.
        "Healthcheck": {"Test": ["NONE"]},
        "StopTimeout": _STOP_S,
        "HostConfig": {**copied, **_HARDENED, "SecurityOpt": _security(host)},
    }


def labels_of(about: Mapping[str, Any], *, keep: bool) -> dict[str, str]:
    """What a set is for, as people read it in the lists of the container engine."""
    return {
        SIMULATION: label(about.get("id")),
        OWNER: label(about.get("owner")),
        KEEP: "1" if keep else "0",
        # For a launcher that takes the set up: nothing in the set can change it, unlike what is in the set's folder.
        ABOUT: json.dumps(dict(about)),
    }


def _must_not_see_the_engine(service: str, standing: Mapping[str, Any]) -> None:
    for source in _sources(standing):
        path = PurePosixPath(source)
        if path.name in _ENGINE_SOCKETS or str(path) in _TOO_MUCH:
            raise BadExperiment(
                f"the container of the {service} mounts {source}, with which it could rule the container engine: "
                "take that out of the compose file before further sets are made of it"
            )


def _sources(standing: Mapping[str, Any]) -> Sequence[str]:
    host = standing.get("HostConfig") or {}
    return [
        *(str(mount.get("Source", "")) for mount in standing.get("Mounts") or []),
        *(str(mount.get("Source", "")) for mount in host.get("Mounts") or []),
        *(str(bind).split(":")[0] for bind in host.get("Binds") or []),
    ]


def _said_by_operator(config: Mapping[str, Any], image: Mapping[str, Any]) -> list[str]:
    """The variables of the compose file: those of the image come with the image that is chosen."""
    from_image = set((image.get("Config") or {}).get("Env") or [])
    given = config.get("Env") or []
    return [pair for pair in given if pair not in from_image and pair.split("=")[0] != _OWN_VARIABLE]


def _user(config: Mapping[str, Any], image: Mapping[str, Any]) -> dict[str, str]:
    user, of_image = config.get("User") or "", (image.get("Config") or {}).get("User") or ""
    return {"User": user} if user and user != of_image else {}


def _security(host: Mapping[str, Any]) -> list[str]:
    kept = [option for option in host.get("SecurityOpt") or [] if not option.startswith("no-new-privileges")]
    return [_NO_NEW_PRIVILEGES, *kept]
