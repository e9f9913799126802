"""Slurm through its REST service, slurmrestd v0.0.38 to v0.0.42; which of them it speaks, it says itself."""

import base64
import json
import re
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from reafference.errors import BadExperiment, ReafferenceError

from ..jobs.settings import Rest, secret
from .scheduler import Node, Offer, Refused, Seen, Silent
from .slurm_options import submission
from .slurm_replies import accounts, errors_in, node, partition, past_job, present_job

OLDEST, NEWEST = 38, 42
LIMIT_S = 20.0
_CONNECT_S = 5.0
_MOST = 64 * 2**20
_SUBMIT = re.compile(r"/slurm/v0\.0\.(\d+)/job/submit/?")
_AUTH = ("uthentication", "uthorization", "Invalid user", "Access/permission denied")
_NO_JOB = "nvalid job id"
_LOST = ("Zero Bytes", "Unable to contact", "timed out", "Connection refused", "ommunication")
_ENDED = (_NO_JOB, "already complet")
# A job that comes this way has no environment of a login; what else it wants, `setup` says.
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin", "LANG": "C.UTF-8"}


class SlurmRest:
    """slurmrestd at one address, in the name of one user whose token (JWT) stands in a file."""

    shared = True

    def __init__(self, settings: Rest, limit_s: float = LIMIT_S) -> None:
        self._settings, self._limit_s = settings, limit_s
        self._version = 0
        self._http = httpx.Client(
            base_url=settings.url.rstrip("/"),
            timeout=httpx.Timeout(limit_s, connect=_CONNECT_S),
            verify=settings.ca_file or True,
            # A proxy that stands in the environment is for the outside world.
            trust_env=False,
        )

    def submit(self, folder: Path, script: str) -> str:
        try:
            environment = _ENVIRONMENT | {"USER": self._settings.user, "LOGNAME": self._settings.user}
            text = (folder / script).read_text(encoding="utf-8")
            body = submission(text, environment, self._spoken())
        except OSError as error:
            raise Refused(f"the script in {folder} cannot be read: {error.strerror}") from None
        except BadExperiment as error:
            raise Refused(error.text) from None
        told = self._ask("POST", "slurm", "job/submit", body)
        number = told.get("job_id")
        # It may complain and take the job all the same, which then waits; the complaint is the reason it waits.
        if isinstance(number, int) and number > 0:
            return str(number)
        raise Refused(f"slurmrestd: {errors_in(told) or 'it did not say which number the job has'}")

    def find(self, folder: Path) -> str | None:
        for job in self._list("slurm", "jobs", "jobs"):
            if job.get("current_working_directory") == str(folder):
                return str(job.get("job_id"))
        return None

    def look(self, ids: Sequence[str]) -> Mapping[str, Seen]:
        found = {}
        for id in ids:
            for family, reader in (("slurm", present_job), ("slurmdb", past_job)):
                rows = self._of_one(family, id)
                if rows:
                    found[id] = reader(rows[-1])
                    break
        return found

    def cancel(self, id: str) -> None:
        try:
            told = self._ask("DELETE", "slurm", f"job/{id}")
        except Refused as error:
            if any(words in error.text for words in _ENDED):
                return
            raise
        words = errors_in(told)
        if words and not any(known in words for known in _ENDED):
            raise Refused(f"slurmrestd: {words}")

    def nodes(self) -> Sequence[Node]:
        return tuple(node(row) for row in self._list("slurm", "nodes", "nodes"))

    def offer(self) -> Offer:
        partitions = tuple(partition(row) for row in self._list("slurm", "partitions", "partitions"))
        return Offer(partitions=tuple(filter(None, partitions)), accounts=self._accounts())

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
        self._http.close()

    def _accounts(self) -> tuple[str, ...]:
        try:
            told = self._ask("GET", "slurmdb", "associations", query={"user": self._settings.user})
        except (Refused, Silent):
            return ()  # a site without accounting has no accounts to choose from
        return accounts(told, self._settings.user)

    def _of_one(self, family: str, id: str) -> list[dict[str, Any]]:
        """What it knows of one job; nothing of one that it does not know, and where there is no accounting."""
        try:
            told = self._ask("GET", family, f"job/{id}")
        except Refused as error:
            if _NO_JOB in error.text or family == "slurmdb":
                return []
            raise
        return [row for row in told.get("jobs") or () if isinstance(row, dict)]

    def _list(self, family: str, path: str, key: str) -> list[dict[str, Any]]:
        told = self._ask("GET", family, path)
        words = errors_in(told)
        if words:
            raise Silent(f"slurmrestd: {words}")
        return [row for row in told.get(key) or () if isinstance(row, dict)]

    # --- asking ------------------------------------------------------------------------------------------

    def _spoken(self) -> int:
        """The newest version that it and we speak."""
        if not self._version:
            paths = self._send("GET", "/openapi").get("paths") or {}
            found = [int(match[1]) for path in paths if (match := _SUBMIT.fullmatch(path))]
            usable = [version for version in found if OLDEST <= version <= NEWEST]
            if not usable:
                spoken = ", ".join(f"v0.0.{version}" for version in sorted(found)) or "none that is known"
                raise Refused(f"slurmrestd speaks {spoken}, but must speak one of v0.0.{OLDEST} to v0.0.{NEWEST}")
            self._version = max(usable)
        return self._version

    def _ask(
        self, method: str, family: str, path: str, body: Any = None, query: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        return self._send(method, f"/{family}/v0.0.{self._spoken()}/{path}", body, query)

    def _send(self, method: str, path: str, body: Any = None, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        """What is answered. Raises Refused where our token, or the request, is not taken; Silent for the rest."""
        headers = {
            "Accept": "application/json",
            "X-SLURM-USER-NAME": self._settings.user,
            "X-SLURM-USER-TOKEN": self._token(),
        }
        try:
            told = self._http.request(method, path, headers=headers, json=body, params=query)
        except httpx.TimeoutException:
            raise Silent(f"slurmrestd has not answered within {self._limit_s:g} s") from None
        except httpx.HTTPError as error:
            raise Silent(f"slurmrestd at {self._settings.url} cannot be reached ({error})") from None
        return self._understood(told)

    def _understood(self, told: httpx.Response) -> dict[str, Any]:
        try:
            found = json.loads(told.content[:_MOST])
        except (ValueError, RecursionError):
            found = None
        words = errors_in(found) if isinstance(found, dict) else ""
        if told.status_code in (401, 403) or any(sign in words for sign in _AUTH):
            file = self._settings.token_file
            raise Refused(f"slurmrestd does not accept the token in {file}: put a new one there (scontrol token)")
        if told.is_success and isinstance(found, dict):
            return found
        if any(sign in words for sign in _LOST):
            raise Silent(f"slurmrestd cannot ask Slurm ({words}): is it there, and is our token still good?")
        # What Slurm itself refuses comes with the status 500 as well.
        kind = Refused if words or told.status_code < 500 else Silent
        raise kind(f"slurmrestd: {words or f'it answers with the status {told.status_code}'}")

    def _token(self) -> str:
        """Read anew each time: tokens are renewed while the server runs."""
        try:
            token = secret(self._settings.token_file, "rest.token_file", "a token of scontrol token")
        except ReafferenceError as error:
            raise Refused(error.text) from None
        over = expiry(token)
        if over is not None and over < time.time():
            at = datetime.fromtimestamp(over, UTC).isoformat(timespec="seconds")
            text = f"the token in {self._settings.token_file} ran out at {at}: put a new one there (scontrol token)"
            raise Refused(text)
        return token


def expiry(token: str) -> float | None:
    """When a token (JWT) runs out, in seconds since 1970; None where it does not say."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        said = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return float(said["exp"])
    except (ValueError, KeyError, TypeError):
        return None
