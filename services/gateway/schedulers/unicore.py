"""Jobs through UNICORE, by its REST interface and the client `pyunicore`.

There is no shared folder: what the job needs is uploaded into its working directory, and what it says of itself is
fetched from there. The batch system starts UNICORE's own script, which starts ours.
"""

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from reafference.errors import BadExperiment, ReafferenceError

from ..jobs.settings import Unicore, secret
from .scheduler import Node, Offer, Partition, Phase, Refused, Seen, Silent
from .slurm_options import options

try:
    import requests
    from pyunicore import client, credentials
except ImportError:
    raise BadExperiment("UNICORE needs the Python package pyunicore: pip install 'reafference[cluster]'") from None

T = TypeVar("T")

LIMIT_S = 20.0
_HEAD, _START, _LOG = "job.request", "start.sh", "log"
_START_TEXT = """#!/bin/bash
cd "$(dirname "$0")" && exec /bin/bash {script} >>{log} 2>&1
"""
_MOST_FILE = 8 * 2**20
_TAG = re.compile(r"[^A-Za-z0-9]")
_PHASES: Mapping[str, Phase] = {
    "READY": "waiting",
    "STAGINGIN": "waiting",
    "QUEUED": "waiting",
    "RUNNING": "running",
    "STAGINGOUT": "running",
    "SUCCESSFUL": "ended",
    "FAILED": "ended",
}


class UnicoreSite:
    """One site of UNICORE, with a token from a file, which is read anew for each question."""

    shared = False

    def __init__(self, settings: Unicore, limit_s: float = LIMIT_S) -> None:
        self._settings, self._limit_s = settings, limit_s
        self._url = settings.url.rstrip("/")

    def submit(self, folder: Path, script: str) -> str:
        """Make the job, upload its folder, start it. One that cannot be filled is removed again."""
        text = (folder / script).read_text(encoding="utf-8")
        given = options(text)
        description = {
            "Name": given.get("job-name", "reafference"),
            "Tags": [_tag(folder)],
            # Our own lines for the batch system; UNICORE's script follows them.
            "Job type": "RAW",
            "BSS file": _HEAD,
            "Executable": f"/bin/bash {_START}",
            "haveClientStageIn": "true",
        }
        job = self._asked(lambda: self._client().new_job(description, autostart=False))
        try:
            self._fill(job, folder, script, given)
            self._asked(job.start)
        except Refused:
            self._asked(job.delete)
            raise
        return str(job.job_id)

    def find(self, folder: Path) -> str | None:
        """A job that was made but never started is none."""
        for job in self._asked(lambda: self._client().get_jobs(tags=[_tag(folder)])):
            if self._properties(job).get("status") != "READY":
                return str(job.job_id)
        return None

    def look(self, ids: Sequence[str]) -> Mapping[str, Seen]:
        found = {}
        for id in ids:
            try:
                found[id] = told(self._properties(self._job(id)))
            except Refused as error:
                if "404" not in error.text:
                    raise
        return found

    def cancel(self, id: str) -> None:
        job = self._job(id)
        if told(self._properties(job)).phase != "ended":
            self._asked(job.abort)

    def nodes(self) -> Sequence[Node]:
        """UNICORE does not tell of single nodes."""
        return ()

    def offer(self) -> Offer:
        def ask() -> Offer:
            site = self._client()
            projects = site.properties.get("client", {}).get("xlogin", {}).get("group") or ()
            queues = [entry for compute in site.get_compute() for entry in compute.get_queues().items()]
            projects = projects if isinstance(projects, list) else [projects]
            return Offer(partitions=tuple(queue(*entry) for entry in queues), accounts=tuple(map(str, projects)))

        return self._asked(ask)

    def fetch(self, id: str, folder: Path, names: Sequence[str]) -> None:
        """Files that are not there (yet) are left out; of a long one its end is taken."""
        files = self._files(self._job(id))
        for name in names:
            content = self._read(files, name)
            if content is not None:
                _replace(folder / name, content)

    def put(self, id: str, folder: Path, name: str, content: bytes) -> None:
        self._put(self._files(self._job(id)), name, content)

    def forget(self, id: str) -> None:
        self._asked(self._job(id).delete)

    def close(self) -> None:
        """Nothing is kept open."""

    # --- files -------------------------------------------------------------------------------------------

    def _fill(self, job: Any, folder: Path, script: str, given: Mapping[str, str]) -> None:
        """Upload the folder; with the lines for the batch system alone, and the start of the script."""
        files = self._files(job)
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self._put(files, path.relative_to(folder).as_posix(), path.read_bytes())
        start = _START_TEXT.format(script=script, log=_LOG)
        for name, text in ((_HEAD, _head(given)), (_START, start)):
            self._put(files, name, text.encode())

    def _put(self, files: Any, name: str, content: bytes) -> None:
        self._asked(lambda: files.put(content, name))

    def _files(self, job: Any) -> Any:
        """Its working directory. That of the client waits without a limit where a server says nothing of its state."""
        links = self._properties(job)["_links"]
        return client.Storage(job.transport, links["workingDirectory"]["href"])

    def _read(self, files: Any, name: str) -> bytes | None:
        try:
            size = int(self._asked(lambda: files.stat(name).properties["size"]))
            start = max(0, size - _MOST_FILE)
            return self._asked(lambda: _bytes(files.stat(name).raw(start)))
        except Refused as error:
            if "404" in error.text:
                return None
            raise

    # --- asking ------------------------------------------------------------------------------------------

    def _transport(self) -> Any:
        try:
            expected = "USER:PASSWORD" if self._settings.login == "password" else "a token"
            words = secret(self._settings.token_file, "unicore.token_file", expected)
        except ReafferenceError as error:
            raise Refused(error.text) from None
        if self._settings.login == "password":
            user, _, password = words.partition(":")
            login: Any = credentials.UsernamePassword(user, password)
        else:
            login = credentials.OIDCToken(words)
        # The client trusts everybody if it is not told otherwise.
        return client.Transport(login, verify=self._settings.ca_file or True, timeout=self._limit_s)

    def _client(self) -> Any:
        return client.Client(self._transport(), self._url, cache_time=0)

    def _job(self, id: str) -> Any:
        return client.Job(self._transport(), f"{self._url}/jobs/{id}", cache_time=0)

    def _properties(self, resource: Any) -> dict[str, Any]:
        found: Any = self._asked(lambda: resource.properties)
        if not isinstance(found, dict):
            raise Silent(f"{self._url} answers in another form than UNICORE's")
        return found

    def _asked(self, ask: Callable[[], T]) -> T:
        """What is answered. Raises Refused for what UNICORE refuses, Silent where it cannot be reached."""
        try:
            return ask()
        except credentials.AuthenticationFailedException:
            raise Refused(self._not_accepted()) from None
        except requests.HTTPError as error:
            status = error.response.status_code if error.response is not None else 0
            if status in (401, 403):
                raise Refused(self._not_accepted()) from None
            kind = Refused if status < 500 else Silent
            raise kind(f"UNICORE: {str(error)[:300]}") from None
        except requests.Timeout:
            raise Silent(f"UNICORE has not answered within {self._limit_s:g} s") from None
        except requests.RequestException as error:
            raise Silent(f"UNICORE at {self._url} cannot be reached ({type(error).__name__})") from None
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise Silent(f"{self._url} answers in another form than UNICORE's ({error})") from None
        except OSError as error:
            raise Silent(f"UNICORE: {error}") from None

    def _not_accepted(self) -> str:
        return f"UNICORE does not accept the login in {self._settings.token_file}: put a new one there"


def told(properties: Mapping[str, Any]) -> Seen:
    """A job from its properties."""
    word = str(properties.get("status") or "UNDEFINED")
    phase = _PHASES.get(word, "waiting")
    status = str(properties.get("exitCode") or "")
    ended = phase == "ended"
    return Seen(
        phase=phase,
        word=word,
        reason=str(properties.get("statusMessage") or "")[:200] if ended else "",
        submitted_at=_instant(properties.get("submissionTime")),
        exit_status=int(status) if ended and status.lstrip("-").isdigit() and int(status) >= 0 else None,
    )


def queue(name: str, resources: Mapping[str, Any]) -> Partition:
    """A queue from what a compute resource says of it: its limits are ranges such as "1-16:1"."""
    return Partition(name=name, nodes=_most(resources.get("Nodes")) or 0, time_limit_s=_most(resources.get("Runtime")))


def _most(text: Any) -> int | None:
    """The upper end of a range such as "60-86400:3600"; None where there is none."""
    found = re.match(r"\s*\d+\s*-\s*(\d+)", str(text or ""))
    return int(found[1]) if found else None


def _head(given: Mapping[str, str]) -> str:
    """The lines for the batch system: without the signal, which would reach UNICORE's script and end it."""
    lines = [f"#SBATCH --{name}={value}" if value else f"#SBATCH --{name}" for name, value in _kept(given)]
    return "\n".join(["#!/bin/bash", *lines, ""])


def _kept(given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    return ((name, value) for name, value in given.items() if name not in ("signal", "chdir", "output", "error"))


def _tag(folder: Path) -> str:
    """The mark by which a job is found again whose answer was lost."""
    return f"reafference{_TAG.sub('', folder.name)}"


def _bytes(raw: Any) -> bytes:
    """What a download holds, within a limit."""
    try:
        return bytes(raw.read(_MOST_FILE, decode_content=True))
    finally:
        raw.release_conn()


def _replace(path: Path, content: bytes) -> None:
    """A reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as file:
        file.write(content)
    Path(file.name).replace(path)


def _instant(text: Any) -> float | None:
    """A time such as 2026-11-22T01:22:42+0100, in seconds since 1970."""
    try:
        return datetime.strptime(str(text), "%Y-%m-%dT%H:%M:%S%z").timestamp()
    except ValueError:
        return None
