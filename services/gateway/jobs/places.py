"""Where the gateways of jobs are reached from here: through their tunnels, or at their nodes."""

import re
import socket
from collections.abc import Iterable
from pathlib import Path

from ..problems import Problem
from .cluster_job import Job
from .folder import read_certificate, read_token
from .serving_job import ServingJob
from .settings import ClusterSettings

# What a job says of itself is a text from another machine.
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}")


class Places:
    """The serving jobs as servers; token and certificate of each are read once."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, str]] = {}

    def of(self, job: Job, shared: bool) -> ServingJob | None:
        """Where a job that serves is; None while that cannot be known. `shared`: its folder can be read from here."""
        url, known = _url(job), self._secrets(job)
        if not url or known is None:
            return None
        token, certificate = known
        return ServingJob(
            id=job.id,
            title=job.order.title or job.order.experiment or f"Job {job.id}",
            url=url,
            token=token,
            certificate=certificate,
            folder=Path(job.folder) if shared else None,
            shown=job.place,
        )

    def drop(self, id: str) -> None:
        """Forget one that has ended."""
        self._known.pop(id, None)

    def _secrets(self, job: Job) -> tuple[str, str] | None:
        """Token and certificate."""
        if job.id not in self._known:
            folder = Path(job.folder)
            try:
                self._known[job.id] = read_token(folder), read_certificate(folder)
            except (OSError, ValueError):
                return None
        return self._known[job.id]


def _url(job: Job) -> str:
    if job.listen:
        return f"https://127.0.0.1:{job.listen}"
    if not _HOST.fullmatch(job.address) or not 0 < job.port < 65536:
        return ""
    return f"https://{job.address}:{job.port}"


def free_port(settings: ClusterSettings, living: Iterable[Job]) -> int:
    """A port for a tunnel that no job has, and nobody else listens on. Raises Problem 409 where there is none."""
    assert settings.tunnel is not None
    taken = {job.listen for job in living}
    for port in settings.tunnel.port_range:
        if port not in taken and _is_free(port):
            return port
    raise Problem(409, "busy", f"all ports of tunnels ({settings.tunnel.ports}) are taken: abort a job, or add ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
