"""Slurm through its commands, on a machine that has them. 22.05 and newer; each command has a limit of time.

Texts between bars are asked for rather than JSON: their form has been the same for many versions, and `--json` needs
plug-ins that sites leave out.
"""

import contextlib
import os
import pwd
import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from .hostlist import expanded
from .scheduler import Node, Offer, Partition, Refused, SchedulerError, Seen, Silent
from .slurm_words import exit_status, node_state, seconds, seen

LIMIT_S = 30.0
_MOST = 16 * 2**20
_QUEUE = "%i|%T|%r|%V|%S|%e|%N|%Z"
_PARTS = "%P|%D|%l|%a"
_NODES = "%N|%T|%C|%X|%m"
_PAST = "JobIDRaw,State,ExitCode,Submit,Start,End,NodeList,Reason"
_EXIT_CODE = re.compile(r"\bExitCode=(\d+:\d+)")
_UNKNOWN = ("Invalid job id", "Unspecified error")
_LOST = (
    "Unable to contact",
    "Socket timed out",
    "Connection refused",
    "Zero Bytes",
    "Communication connection failure",
)
_PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LD_LIBRARY_PATH", "SLURM_CONF", "SLURM_CLUSTERS")
# Long enough for jobs that ended while the server was down.
_BACK_S = 7 * 86_400


class SlurmCommands:
    """sbatch, squeue, scancel, sinfo, sacct and sacctmgr. Nothing passes through a shell."""

    shared = True

    def __init__(self, limit_s: float = LIMIT_S) -> None:
        self._limit_s = limit_s
        self._accounting: bool | None = None

    def submit(self, folder: Path, script: str) -> str:
        told = self._ask("sbatch", "--parsable", f"--chdir={folder}", str(folder / script))
        number = told.strip().splitlines()[-1].partition(";")[0] if told.strip() else ""
        if not number.isdigit():
            raise Silent(f"sbatch answered {told.strip()[:80]!r} instead of the number of a job")
        return number

    def find(self, folder: Path) -> str | None:
        rows = _rows(self._ask("squeue", "-h", "-a", "-t", "all", "-o", "%i|%Z"))
        return next((row[0] for row in rows if len(row) == 2 and row[1] == str(folder)), None)

    def look(self, ids: Sequence[str]) -> Mapping[str, Seen]:
        try:
            found = queued(self._ask("squeue", "-h", "-a", "-t", "all", "-o", _QUEUE, f"--jobs={','.join(ids)}"))
        except Refused as error:
            if not any(word in error.text for word in _UNKNOWN):
                raise
            found = {}  # of a single job that it has forgotten
        missing = [id for id in ids if id not in found]
        known = {**self._past(missing), **found} if missing else found
        return {id: self._completed(id, one) for id, one in known.items()}

    def cancel(self, id: str) -> None:
        self._ask("scancel", "--quiet", id)

    def nodes(self) -> Sequence[Node]:
        return listed_nodes(self._ask("sinfo", "-h", "-a", "-N", "-o", _NODES))

    def offer(self) -> Offer:
        partitions = listed_partitions(self._ask("sinfo", "-h", "-a", "-o", _PARTS))
        return Offer(partitions=partitions, accounts=self._accounts())

    def fetch(self, id: str, folder: Path, names: Sequence[str]) -> None:
        """The folder is shared."""

    def put(self, id: str, folder: Path, name: str, content: bytes) -> None:
        try:
            (folder / name).write_bytes(content)
        except OSError as error:
            raise Silent(f"{folder / name} cannot be written: {error.strerror}") from None

    def forget(self, id: str) -> None:
        """Slurm forgets by itself."""

    def close(self) -> None:
        """There is nothing to close."""

    def _completed(self, id: str, job: Seen) -> Seen:
        """With the exit status of one that has ended, which squeue does not tell; each job ends once."""
        if job.phase != "ended" or job.exit_status is not None:
            return job
        with contextlib.suppress(SchedulerError):  # forgotten just now: then it stays unknown
            return with_exit_status(job, self._ask("scontrol", "show", "job", "--oneliner", id))
        return job

    def _past(self, ids: Sequence[str]) -> dict[str, Seen]:
        """What the accounting knows of jobs; nothing where there is none."""
        if self._accounting is False:
            return {}
        since = datetime.fromtimestamp(time.time() - _BACK_S, UTC).strftime("%Y-%m-%d")
        try:
            told = self._ask("sacct", "-n", "-P", "-X", f"--jobs={','.join(ids)}", f"-S{since}", f"--format={_PAST}")
        except (Refused, Silent) as error:
            if "accounting storage is disabled" not in error.text:
                raise
            self._accounting = False
            return {}
        return accounted(told)

    def _accounts(self) -> tuple[str, ...]:
        if self._accounting is False:
            return ()
        try:
            user = pwd.getpwuid(os.getuid()).pw_name
            told = self._ask("sacctmgr", "-n", "-P", "show", "associations", f"user={user}", "format=account")
        except (KeyError, Refused, Silent):
            return ()  # a site without accounting has no accounts to choose from
        return tuple(dict.fromkeys(line for line in map(str.strip, told.splitlines()) if line))

    def _ask(self, command: str, *arguments: str) -> str:
        """What a command says. Raises Refused with its last words, Silent after the limit or without the command."""
        environment = _environment()
        if command != "sbatch":  # a job inherits what sbatch has
            environment |= {"TZ": "UTC", "SLURM_TIME_FORMAT": "standard", "LC_ALL": "C"}
        try:
            told = subprocess.run(
                [command, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=self._limit_s,
                env=environment,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Silent(f"{command} has not answered within {self._limit_s:g} s") from None
        except OSError as error:
            raise Silent(f"{command} cannot be run here ({error.strerror}): install the commands of Slurm") from None
        if told.returncode:
            words = _last_words(told.stderr) or _last_words(told.stdout) or f"exit status {told.returncode}"
            kind = Silent if any(word in words for word in _LOST) else Refused
            raise kind(f"{command}: {words}")
        return told.stdout[:_MOST].decode("utf-8", errors="replace")


def _environment() -> dict[str, str]:
    """What the commands need of ours. A job gets that of sbatch, and no secret of the server shall go there."""
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ}


def queued(text: str) -> dict[str, Seen]:
    """Jobs by their number from `squeue -o %i|%T|%r|%V|%S|%e|%N|%Z`, whose times are in UTC."""
    return {
        row[0]: seen(
            row[1],
            reason=row[2],
            nodes=row[6],
            submitted_at=_instant(row[3]),
            started_at=_instant(row[4]),
            ended_at=_instant(row[5]),
        )
        for row in _rows(text)
        if len(row) >= 7
    }


def with_exit_status(job: Seen, text: str) -> Seen:
    """The job with what `scontrol show job` says behind ExitCode=, unless it was ended from outside."""
    found = _EXIT_CODE.search(text)
    if found is None or job.word not in ("COMPLETED", "FAILED"):
        return job
    return replace(job, exit_status=exit_status(found[1]))


def accounted(text: str) -> dict[str, Seen]:
    """Jobs by their number from `sacct -P` with JobIDRaw,State,ExitCode,Submit,Start,End,NodeList,Reason."""
    return {
        row[0]: seen(
            row[1],
            reason=row[7],
            nodes=row[6],
            submitted_at=_instant(row[3]),
            started_at=_instant(row[4]),
            ended_at=_instant(row[5]),
            exit_status=exit_status(row[2]),
        )
        for row in _rows(text)
        if len(row) >= 8
    }


def listed_nodes(text: str) -> tuple[Node, ...]:
    """From `sinfo -N -o %N|%T|%C|%X|%m`; a node of several partitions appears once. %C is used/idle/other/all."""
    found: dict[str, Node] = {}
    for row in _rows(text):
        counts = row[2].split("/") if len(row) >= 5 else []
        if len(counts) != 4 or not (counts[0].isdigit() and counts[3].isdigit()):
            continue
        used, cores = int(counts[0]), int(counts[3])
        for name in expanded(row[0]):
            found[name] = Node(
                name=name,
                state=node_state(row[1], used, cores),
                cores=cores,
                cores_used=used,
                sockets=int(row[3]) if row[3].isdigit() else 0,
                memory_gb=round(int(row[4]) * 2**20 / 1e9, 1) if row[4].isdigit() else None,
            )
    return tuple(found.values())


def listed_partitions(text: str) -> tuple[Partition, ...]:
    """From `sinfo -o %P|%D|%l|%a`, which has a line for each kind of node; closed ones are left out."""
    found: dict[str, Partition] = {}
    for row in _rows(text):
        if len(row) < 4 or row[3] != "up":
            continue
        name = row[0].rstrip("*")
        before = found[name].nodes if name in found else 0
        count = int(row[1]) if row[1].isdigit() else 0
        found[name] = Partition(
            name=name, nodes=before + count, time_limit_s=seconds(row[2]), default=row[0].endswith("*")
        )
    return tuple(found.values())


def _rows(text: str) -> Iterator[list[str]]:
    return (line.split("|") for line in text.splitlines() if line.strip())


def _instant(text: str) -> float | None:
    """A time such as 2026-11-22T01:22:42, in UTC, in seconds since 1970; None for N/A and Unknown."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _last_words(raw: bytes) -> str:
    lines = raw[-4000:].decode("utf-8", errors="replace").strip().splitlines()
    return lines[-1].split("error: ", 1)[-1].strip()[:300] if lines else ""
