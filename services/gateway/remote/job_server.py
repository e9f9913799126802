"""The gateway of one job as this server sees it: what runs there, whether it answers, and how it is spoken to."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import structlog
from pydantic import ValidationError

from reafference import jsontext
from reafference.tls import trusting_alone

from ..answers import SimulationAnswer
from ..experiment_answers import Server
from ..jobs.serving_job import ServingJob
from ..people import SPEAKS_FOR, Person
from ..problems import MEDIA_TYPE, Problem
from ..status import ENDED

LIMIT_S = 2.0
"""Within this time it must answer to be ready."""
CUT_S = 8.0
"""After so much silence what is under way to it is given up: at the other end of a tunnel there may be nobody."""

_LOOK_EVERY_S = 1.0
_ASK_S = 60.0
_MOST_CONNECTIONS = 200
# Shorter than the time after which a server closes connections that nobody uses.
_KEPT_ALIVE_S = 3.0
_LONGEST_WORDS = 300


@dataclass(frozen=True, slots=True)
class Machine:
    """What the job has, as its gateway says."""

    places: int
    busy: int
    cores: int
    memory_gb: float


@dataclass(eq=False)
class JobServer:
    """A job that serves. `simulations` are those there by id, newest first, as they were told of last; `notes` what
    there is to say of each beside that."""

    job: ServingJob
    simulations: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    machine: Machine | None = None
    over: bool = False  # the job serves no more

    def __post_init__(self) -> None:
        self.tls = trusting_alone(self.job.certificate) if self.job.certificate else None
        self._client = httpx.AsyncClient(
            base_url=self.job.url.rstrip("/"),
            headers={"Authorization": f"Bearer {self.job.token}", "Accept-Encoding": "identity"},
            timeout=httpx.Timeout(None, connect=LIMIT_S, pool=LIMIT_S),
            limits=httpx.Limits(max_connections=_MOST_CONNECTIONS, keepalive_expiry=_KEPT_ALIVE_S),
            # A proxy that stands in the environment is for the outside world.
            trust_env=False,
            verify=self.tls or True,
        )
        self._loop = asyncio.get_running_loop()
        self._answered_at = self._loop.time()
        self._lost_since = datetime.now(UTC)
        self._trouble = "it has not answered yet"
        self._patiences: set[asyncio.Timeout] = set()
        self._looking: asyncio.Task[None] | None = None
        self._closed = False
        self._log = structlog.get_logger().bind(job=self.id)

    @property
    def id(self) -> str:
        return self.job.id

    @property
    def ready(self) -> bool:
        """Whether it answered when it was asked last."""
        return not self._trouble

    @property
    def text(self) -> str:
        """Why it is not ready; empty if it is."""
        if self.ready:
            return ""
        since = self._lost_since.isoformat(timespec="seconds").replace("+00:00", "Z")
        if self.machine is None:
            return f"the job {self.id} has not answered since {since} ({self._trouble}): it is tried again"
        words = f"the connection to job {self.id} is interrupted since {since}"
        return f"{words} ({self._trouble}): it is tried again, and what runs there goes on"

    def interrupted(self) -> Problem:
        """The answer to a request that cannot be passed on."""
        return Problem(503, "unavailable", self.text or f"the job {self.id} cannot be reached", headers=_SOON)

    def shown(self) -> Server:
        """As one of the servers of this site."""
        known = self.machine or Machine(self.job.places, 0, 0, 0.0)
        return Server(
            id=self.id,
            title=self.job.title,
            places=known.places,
            busy=known.busy,
            cores=known.cores,
            memory_gb=known.memory_gb,
            kind="job",
            ready=self.ready,
            text=self.text,
        )

    def told(self) -> list[dict[str, Any]]:
        """Its simulations, newest first, and what is to be said of them."""
        return [self.with_note(one) for one in self.simulations.values()]

    def with_note(self, simulation: dict[str, Any]) -> dict[str, Any]:
        notes = [self.notes[simulation["id"]]] if simulation["id"] in self.notes else []
        if not self.ready and not self.over and simulation["state"] not in ENDED:
            notes.append(self.text)
        return simulation | {"warnings": [*simulation["warnings"], *notes]} if notes else simulation

    def owner_of(self, sid: str) -> str | None:
        known = self.simulations.get(sid)
        return None if known is None else str(known["owner"])

    def remember(self, simulation: Mapping[str, Any]) -> None:
        """One that was launched just now, which the next look will find as well."""
        self.simulations = {str(simulation["id"]): dict(simulation)} | self.simulations

    def forget(self, sid: str) -> None:
        self.simulations.pop(sid, None)
        self.notes.pop(sid, None)

    # --- watching ----------------------------------------------------------------------------------------

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_LOOK_EVERY_S)

    async def look(self) -> None:
        """Ask what runs there; returns within LIMIT_S. Whoever asks while somebody else does gets the same answer."""
        if self._closed:
            return
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        looking = self._looking  # which another caller may replace meanwhile
        await asyncio.wait({looking})  # where it is given up, who waits goes on: to be cancelled is not their lot
        if not looking.cancelled():
            looking.result()

    async def _look(self) -> None:
        try:
            async with asyncio.timeout(LIMIT_S):
                self._learn(await self._get("servers"), await self._get("simulations"))
        except Problem as problem:
            self._lose(str(problem.detail))
        except (ValidationError, TypeError, KeyError, IndexError, AttributeError):
            self._lose("it speaks as another version does")
        except TimeoutError:
            self._lose(f"it has not answered within {LIMIT_S:g} s")
        except (httpx.HTTPError, OSError) as error:
            self._lose(_reason(error))

    async def _get(self, what: str) -> Any:
        return _answer(await self._client.get(f"/api/{what}"))

    def _learn(self, servers: list[Any], simulations: list[Any]) -> None:
        checked = [SimulationAnswer.model_validate(one) for one in simulations]
        own = servers[0]
        self.machine = Machine(own["places"], own["busy"], own["cores"], own["memory_gb"])
        self.simulations = {one.id: one.model_dump() for one in checked if one.id.startswith(f"{self.id}-")}
        if not self.ready:
            self._log.info("job answers")
        self._answered_at, self._trouble = self._loop.time(), ""

    def _lose(self, why: str) -> None:
        if self.ready:
            self._lost_since = datetime.now(UTC)
            self._log.warning("job does not answer", reason=why)
        self._trouble = why
        if self._loop.time() - self._answered_at > CUT_S:
            self.cut()

    def cut(self) -> None:
        """Give up all that is under way to it."""
        for patience in self._patiences:
            if not patience.expired():
                patience.reschedule(self._loop.time())

    @contextlib.asynccontextmanager
    async def while_there(self) -> AsyncIterator[None]:
        """For as long as it answers; raises Problem 503 when it does not any more, or cannot be reached at all."""
        if self._closed or (not self.ready and self._loop.time() - self._answered_at > CUT_S):
            raise self.interrupted()
        patience = asyncio.timeout(None)
        try:
            async with patience:
                self._patiences.add(patience)
                try:
                    yield
                finally:
                    self._patiences.discard(patience)
        except TimeoutError:
            if not patience.expired():
                raise
            raise self.interrupted() from None
        except (httpx.HTTPError, ConnectionError) as error:
            self._lose(_reason(error))
            raise self.interrupted() from None

    # --- speaking ----------------------------------------------------------------------------------------

    def request(
        self, method: str, path: str, headers: list[tuple[str, str]], person: Person, query: str = "", body: Any = None
    ) -> httpx.Request:
        """A request in the name of a person, to be sent with `send`."""
        url = httpx.URL(self.job.url.rstrip("/") + path, query=query.encode("ascii"))
        return self._client.build_request(method, url, headers=[*headers, (SPEAKS_FOR, person.as_header)], content=body)

    async def send(self, request: httpx.Request) -> httpx.Response:
        """The answer as soon as it begins; close it."""
        return await self._client.send(request, stream=True)

    async def ask(
        self,
        method: str,
        path: str,
        *,
        person: Person | None = None,
        seconds: float = _ASK_S,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        content: Any = None,
    ) -> Any:
        """What is answered, in JSON. Raises the Problem that was answered instead, or 503."""
        said = dict(headers or {}) | ({SPEAKS_FOR: person.as_header} if person else {})
        if json is not None:
            content, said["Content-Type"] = jsontext.dumps(json).encode(), "application/json"
        async with self.while_there():
            try:
                async with asyncio.timeout(seconds):
                    told = await self._client.request(
                        method, f"/api/{path}", params=params, headers=said, content=content
                    )
            except TimeoutError:
                raise Problem(504, "peer_late", f"the job {self.id} has not answered within {seconds:g} s") from None
        return _answer(told)

    async def read(self, path: str) -> bytes:
        """A file of the interface, as it is; raises as `ask`."""
        async with self.while_there(), asyncio.timeout(_ASK_S):
            told = await self._client.get(f"/api/{path}")
        if told.is_error:
            _answer(told)
        return told.content

    @contextlib.asynccontextmanager
    async def reading(self, path: str, begin: int) -> AsyncIterator[AsyncIterator[bytes]]:
        """The bytes of a file from `begin` on, piece by piece; raises as `ask`."""
        headers = {"Range": f"bytes={begin}-"} if begin else {}
        async with self.while_there(), self._client.stream("GET", f"/api/{path}", headers=headers) as told:
            if told.is_error:
                await told.aread()
                _answer(told)
            if begin and told.status_code != 206:
                raise Problem(502, "bad_frame", f"the job {self.id} does not send parts of files")
            yield told.aiter_raw()

    async def close(self) -> None:
        """Say no more to it: who still wants to is told that it cannot be reached."""
        self._closed = True
        self.cut()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        await self._client.aclose()


# What TLS makes of a line that broke: nobody else is there.
_CUT_OFF = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
_SOON = {"Retry-After": "2"}


def _answer(told: httpx.Response) -> Any:
    """What the job's gateway answers; raises the Problem that it is."""
    if told.is_success and told.status_code != 204:
        try:
            return jsontext.loads(told.text)
        except ValueError:
            raise Problem(502, "bad_frame", "what answers there is no gateway of a job") from None
    if told.is_success:
        return None
    if told.status_code == 401:
        raise Problem(502, "not_allowed", "it does not know the token of this site")
    said: Any = {}
    if told.headers.get("content-type", "").startswith(MEDIA_TYPE):
        with contextlib.suppress(ValueError):
            said = jsontext.loads(told.text)
    if not isinstance(said, dict) or not isinstance(said.get("detail"), str):
        said = {"detail": f"it answers with the status {told.status_code}"}
    extra = {key: value for key, value in said.items() if key not in ("type", "title", "status", "code", "detail")}
    return _raise(Problem(told.status_code, str(said.get("code", "unavailable")), said["detail"], **extra))


def _raise(problem: Problem) -> None:
    raise problem


def _reason(error: Exception) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError) and not isinstance(cause, _CUT_OFF):
            return "somebody else answers at its address, who does not have its certificate: nothing was said to it"
        cause = cause.__cause__ or cause.__context__
    words = str(error).strip() or type(error).__name__
    return f"it cannot be reached: {words[:_LONGEST_WORDS]}"
