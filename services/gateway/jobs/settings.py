"""`cluster.toml`: which cluster this server sends jobs to, by which way, and what jobs find there."""

import os
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from urllib.parse import urlsplit

from reafference import plain
from reafference.errors import BadExperiment

FILE = "cluster.toml"

SchedulerKind = Literal["slurm", "slurmrestd", "unicore"]
RuntimeName = Literal["none", "apptainer", "charliecloud", "sarus"]
Mpi = Literal["auto", "pmix", "mpiexec"]

_PORTS = re.compile(r"(\d{1,5})-(\d{1,5})")
_OTHERS = 0o077
_PLACED = ("slurm", "slurmrestd")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that one job may ask for; 0 where the server need not look after it. `jobs`: so many at a time."""

    nodes: int = 16
    time_s: int = 86_400
    ranks_per_node: int = 0
    cores_per_node: int = 0
    sockets_per_node: int = 0
    memory_gb_per_node: float = 0.0
    jobs: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What a form begins with. `memory_gb_per_node`: 0 for what the site gives."""

    nodes: int = 1
    ranks_per_node: int = 1
    threads_per_rank: int = 1
    memory_gb_per_node: float = 0.0
    time_s: int = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """Where slurmrestd is, in whose name, and the file with that user's token (JWT). `ca_file`: whom to trust."""

    url: str
    user: str
    token_file: str
    ca_file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unicore:
    """A site of UNICORE, `https://HOST:PORT/SITE/rest/core`, and how to log in.

    The token file holds a token of the site's login, or USER:PASSWORD where `login` is "password". `ca_file`: whom to
    trust, empty for those whom this machine trusts.
    """

    url: str
    token_file: str
    login: Literal["bearer", "password"] = "bearer"
    ca_file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TunnelSettings:
    """Where jobs open their tunnel to: USER@HOST is this machine as the nodes see it, `port` its ssh server.

    `key` is the private key with which jobs come, `known_hosts` the file with this machine's host key. `ports` are
    those on our loopback that tunnels may listen on.
    """

    to: str
    key: str
    known_hosts: str
    port: int = 22
    ports: str = "23300-23399"
    patience_s: int = 120

    @property
    def port_range(self) -> range:
        first, last = self.ports.split("-")
        return range(int(first), int(last) + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettings:
    """The table [cluster]. CLUSTER.md says what each key is for.

    `folder`: below it every job has a folder, on a file system that the nodes see too (for UNICORE: none). `poll_s`:
    how often the scheduler is asked while there are jobs.
    """

    scheduler: SchedulerKind
    title: str = "Cluster"
    folder: str = ""
    runtime: RuntimeName = "none"
    runtimes: tuple[RuntimeName, ...] = ()
    image: str = ""
    brain_image: str = ""
    python: str = ""
    python_in_image: str = "python"
    host_python: str = "python3"
    partition: str = ""
    account: str = ""
    accounts: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    binds: tuple[str, ...] = ()
    exclusive: bool = False
    pin: bool = True
    interface: str = ""
    mpi: Mpi = "auto"
    stop_s: int = 120
    reach: Literal["tunnel", "direct"] = "direct"
    poll_s: float = 3.0
    limits: Limits = field(default_factory=Limits)
    defaults: Defaults = field(default_factory=Defaults)
    rest: Rest | None = None
    unicore: Unicore | None = None
    tunnel: TunnelSettings | None = None

    @property
    def offered_runtimes(self) -> tuple[RuntimeName, ...]:
        """What jobs may use, the usual one first."""
        return tuple(dict.fromkeys((self.runtime, *self.runtimes)))


def load(home: Path, given: Path | None = None) -> ClusterSettings | None:
    """From the file given, else from cluster.toml in the home, where there is one; None without.

    Raises BadExperiment for what cannot be read or meant, with file and key.
    """
    path = given or home / FILE
    try:
        table: Any = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if given is None:
            return None
        raise BadExperiment(f"--cluster {given}: there is no such file") from None
    except (OSError, ValueError) as error:
        raise BadExperiment(f"{path} cannot be read: {error}") from None
    strangers = sorted(set(table) - {"cluster"})
    if strangers:
        raise BadExperiment(f"{path}: everything in it belongs into the table [cluster], not {strangers[0]!r}")
    try:
        settings = plain.load(ClusterSettings, table.get("cluster", {}))
        _check(settings)
    except plain.Misfit as misfit:
        raise BadExperiment(f"{path}: {misfit.within('cluster')}") from None
    return settings


def secret(path: str, key: str, expected: str = "a token") -> str:
    """What a file with a secret says, read anew at each call. Raises BadExperiment where it is none, or no secret."""
    try:
        if Path(path).stat().st_mode & _OTHERS:
            raise BadExperiment(f"cluster.{key}: {path} can be read by others: chmod 600 {path}")
        text = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise BadExperiment(f"cluster.{key}: {path} cannot be read ({error}): put {expected} there") from None
    # `scontrol token` prints SLURM_JWT=..., and people keep that line as it is.
    text = text.removeprefix("SLURM_JWT=").strip()
    if not text or any(sign.isspace() for sign in text) or not text.isascii():
        raise BadExperiment(f"cluster.{key}: {path} does not hold {expected} in one line")
    return text


def _check(settings: ClusterSettings) -> None:
    """Raises Misfit for values that cannot be meant."""
    if settings.scheduler in _PLACED and not PurePosixPath(settings.folder).is_absolute():
        raise plain.Misfit("folder", "an absolute path on a file system that the nodes see too", repr(settings.folder))
    for name, kind in (("rest", "slurmrestd"), ("unicore", "unicore")):
        if settings.scheduler == kind and getattr(settings, name) is None:
            raise plain.Misfit(name, f"a table, because scheduler is {kind!r}", "nothing: the key is missing")
    if settings.reach == "tunnel" and settings.tunnel is None:
        raise plain.Misfit("tunnel", "a table, because reach is 'tunnel'", "nothing: the key is missing")
    _check_programs(settings)
    _check_numbers(settings)
    if settings.rest:
        _check_url("rest.url", settings.rest.url)
    if settings.unicore:
        _check_url("unicore.url", settings.unicore.url)
        if not settings.unicore.url.rstrip("/").endswith("/rest/core"):
            raise plain.Misfit("unicore.url", "an address that ends in /rest/core", repr(settings.unicore.url))
    if settings.tunnel:
        _check_tunnel(settings.tunnel)


def _check_programs(settings: ClusterSettings) -> None:
    """Each runtime has what it starts."""
    if "none" in settings.offered_runtimes and not PurePosixPath(settings.python).is_absolute():
        expected = "the path of the Python of an environment that has Reafference in it, for the runtime 'none'"
        raise plain.Misfit("python", expected, repr(settings.python))
    if any(runtime != "none" for runtime in settings.offered_runtimes) and not settings.image:
        raise plain.Misfit("image", "the image that jobs run, for runtimes other than 'none'", repr(settings.image))


def _check_numbers(settings: ClusterSettings) -> None:
    if not 0.2 <= settings.poll_s <= 600:
        raise plain.Misfit("poll_s", "seconds from 0.2 to 600", repr(settings.poll_s))
    if not 1 <= settings.stop_s <= 3600:
        raise plain.Misfit("stop_s", "seconds from 1 to 3600", repr(settings.stop_s))
    limits, defaults = settings.limits, settings.defaults
    for key, number, least in (
        ("limits.nodes", limits.nodes, 1),
        ("limits.time_s", limits.time_s, 60),
        ("limits.jobs", limits.jobs, 1),
        ("limits.ranks_per_node", limits.ranks_per_node, 0),
        ("limits.cores_per_node", limits.cores_per_node, 0),
        ("limits.sockets_per_node", limits.sockets_per_node, 0),
        ("limits.memory_gb_per_node", limits.memory_gb_per_node, 0),
        ("defaults.nodes", defaults.nodes, 1),
        ("defaults.ranks_per_node", defaults.ranks_per_node, 1),
        ("defaults.threads_per_rank", defaults.threads_per_rank, 1),
        ("defaults.memory_gb_per_node", defaults.memory_gb_per_node, 0),
        ("defaults.time_s", defaults.time_s, 60),
    ):
        if not least <= number <= 1e9:
            raise plain.Misfit(key, f"a number of {least} or more", repr(number))


def _check_url(key: str, url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
        raise plain.Misfit(key, "an address such as https://HOST:PORT, without a password", repr(url))


def _check_tunnel(tunnel: TunnelSettings) -> None:
    found = _PORTS.fullmatch(tunnel.ports)
    first, last = map(int, found.groups()) if found else (0, 0)
    if not 1024 <= first <= last < 65536 or last - first > 10_000:
        raise plain.Misfit("tunnel.ports", "a range such as '23300-23399'", repr(tunnel.ports))
    if not 0 < tunnel.port < 65536:
        raise plain.Misfit("tunnel.port", "a port from 1 to 65535", repr(tunnel.port))
    for name in ("key", "known_hosts"):
        path = getattr(tunnel, name)
        if not PurePosixPath(path).is_absolute() or not os.access(path, os.R_OK):
            raise plain.Misfit(f"tunnel.{name}", "the absolute path of a file that can be read", repr(path))
