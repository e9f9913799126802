"""What somebody asks of a cluster: one job, as a value that a script can be written from.

Everything in it ends up in a shell script that runs under somebody's account, so it is checked when it is made:
a Request that exists can be rendered.
"""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from reafference.errors import BadExperiment

from .container_runtime import RUNTIMES

Reach = Literal["tunnel", "direct"]
Mpi = Literal["auto", "pmix", "mpiexec"]

_ID = re.compile(r"[a-z][a-z0-9]{0,30}")
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+:@,-]{0,127}")
_OPTION = re.compile(r"--[a-z][a-z-]*(=[A-Za-z0-9_.,:+*/@=\[\]&|-]+)?")
_ADDRESS = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.-]*@)?[A-Za-z0-9][A-Za-z0-9_.-]*")
_IMAGE = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./:@+~=-]{0,999}")
# What we write ourselves; a second one would contradict it.
_OURS = ("nodes", "ntasks", "time", "job-name", "output", "error", "chdir", "signal", "requeue", "no-requeue", "array")
_MOST_TIME_S = 400 * 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Tunnel:
    """A reverse tunnel from the job to the machine of the site's gateway.

    `to`: USER@HOST of that machine as the cluster's nodes see it; `port` of its ssh server; `listen` is the port on
    its loopback that leads to the job's gateway. `key` and `known_hosts` are files here; the job gets copies.
    `patience_s`: how long the first connection may take until the job gives up.
    """

    to: str
    listen: int
    key: str
    known_hosts: str
    port: int = 22
    patience_s: int = 120

    def __post_init__(self) -> None:
        _must(_ADDRESS.fullmatch(self.to), f"tunnel.to is {self.to!r}, but must be USER@HOST")
        for name, port in (("listen", self.listen), ("port", self.port)):
            _must(0 < port < 65536, f"tunnel.{name} is {port}, but must be from 1 to 65535")
        _must(self.patience_s > 0, f"tunnel.patience_s is {self.patience_s}, but must be above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One job: what the person asked for, and what the site adds.

    `id`: ours, such as "j4". `folder`: the job's folder on the shared file system; "" where it is known only when the
    job starts (UNICORE: the working directory). `nodes`: N, those of the brain; the job has one more. `time_s`: its
    limit. `memory_gb_per_node`: None for what the site gives.

    `runtime`: how programs are started there. With "none" `python` is the one of an environment that has Reafference in
    it; otherwise `image` holds everything, and `brain_image` ("" for the same) only what the ranks need.
    `python_in_image` is the interpreter in both. `host_python` is any Python 3.6 or later on the nodes, outside of
    containers. `binds`: further folders that containers see.

    `setup`: lines of shell that the site wants first ("module load ..."). `options`: further options for sbatch.
    `exclusive`: whole nodes. `pin`: each rank keeps to cores of its own, and where there are as many ranks as sockets
    (`sockets_per_node`, 0 where it is not known) to a socket of its own. `interface`: the network interface of node 1
    over which the brain's nodes reach it; "" to find it. `mpi`: how ranks are started. `stop_s`: how long before its
    time limit the job ends what runs, so that recordings are complete.

    Raises BadExperiment, in a sentence, for what cannot stand in a script.
    """

    id: str
    folder: str
    nodes: int
    ranks_per_node: int
    threads_per_rank: int
    time_s: int
    title: str = ""
    memory_gb_per_node: float | None = None
    partition: str = ""
    account: str = ""
    runtime: str = "none"
    image: str = ""
    brain_image: str = ""
    python: str = ""
    python_in_image: str = "python"
    host_python: str = "python3"
    binds: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    exclusive: bool = False
    sockets_per_node: int = 0
    pin: bool = True
    interface: str = ""
    mpi: Mpi = "auto"
    stop_s: int = 120
    reach: Reach = "direct"
    tunnel: Tunnel | None = None

    def __post_init__(self) -> None:
        _must(_ID.fullmatch(self.id), f"the job's id is {self.id!r}, but must be like 'j4'")
        _must(len(self.title) <= 200 and self.title.isprintable(), "the title must be one line of 200 characters")
        for name, most in (("nodes", 100_000), ("ranks_per_node", 4096), ("threads_per_rank", 1024)):
            number = getattr(self, name)
            _must(0 < number <= most, f"{name} is {number}, but must be from 1 to {most}")
        _must(60 <= self.time_s <= _MOST_TIME_S, f"time_s is {self.time_s}, but must be from 60 to 400 days")
        _must(0 < self.stop_s <= self.time_s, f"stop_s is {self.stop_s}, but must be above 0 and within time_s")
        memory = self.memory_gb_per_node
        _must(memory is None or 0 < memory <= 1e6, f"memory_gb_per_node is {memory}, but must be above 0")
        _must(_WORD.fullmatch(self.host_python) or _is_path(self.host_python), "host_python must be a name or a path")
        _must(_is_path(self.python_in_image) or _WORD.fullmatch(self.python_in_image), "python_in_image must be a name")
        self._check_words()
        self._check_paths()
        self._check_runtime()
        _must(self.reach == "direct" or self.tunnel, "reach is 'tunnel', but nothing says where it leads: set tunnel")

    def _check_words(self) -> None:
        for name in ("partition", "account", "interface"):
            value = getattr(self, name)
            _must(not value or _WORD.fullmatch(value), f"{name} is {value!r}, which is no such name")
        for option in self.options:
            _must(_OPTION.fullmatch(option), f"options: {option!r} must be like --constraint=mc, one word")
            name = option[2:].split("=")[0]
            _must(name not in _OURS, f"options: --{name} is set by the request itself")
        for line in self.setup:
            _must(line.isprintable() and len(line) <= 1000, f"setup: {line[:60]!r} must be one line of shell")

    def _check_paths(self) -> None:
        _must(not self.folder or _is_path(self.folder), f"folder is {self.folder!r}, but must be an absolute path")
        for path in self.binds:
            _must(_is_path(path), f"binds: {path!r} must be an absolute path, without colons or commas")

    def _check_runtime(self) -> None:
        _must(self.runtime in RUNTIMES, f"runtime is {self.runtime!r}, but must be {' or '.join(RUNTIMES)}")
        if self.runtime == "none":
            _must(_is_path(self.python), f"python is {self.python!r}, but must be the path of an interpreter")
            return
        _must(self.image, f"runtime {self.runtime!r} needs an image")
        for image in (self.image, self.brain_image):
            _must(not image or _IMAGE.fullmatch(image), f"{image!r} is no image: a path, or NAME:TAG")

    @property
    def ranks(self) -> int:
        """Processes of the brain."""
        return self.nodes * self.ranks_per_node


def _is_path(text: str) -> bool:
    """Whether it is an absolute path that can stand in a list of binds and behind `#SBATCH`."""
    return PurePosixPath(text).is_absolute() and text.isprintable() and not set(text) & set(":,\\'\" %$`")


def _must(holds: object, text: str) -> None:
    if not holds:
        raise BadExperiment(text)
