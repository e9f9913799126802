"""A launcher that runs at a stand: that of the engine, or of the launcher of containers. It can outlive this server."""

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reafference import stand_client
from reafference.errors import PeerLost
from reafference.stand_client import AtStand, Request

from .container_places import LAUNCHER
from .launching import MODULE, Launched, LocalLaunched, Starter

_START_S = 20.0
# A stand that has been told to kill something says within this time that it has.
_KILLED_S = 10.0
# Compose starts a container anew within seconds; the launcher in it then looks for its sets.
_BACK_S = 60.0
_AGAIN_S = 0.5


@dataclass(frozen=True, slots=True)
class Going:
    """A launcher that goes on at a stand, or has ended without anybody to hear of it."""

    stand: Path
    process: str
    about: Mapping[str, Any]


def going_on(stand: Path, home: Path) -> list[Going]:
    """The launchers of the server of this home at a stand, oldest first. Blocking. Raises PeerLost."""
    found = []
    for process in stand_client.running(stand):
        about = process.get("about")
        if isinstance(about, dict) and about.get("home") == str(home) and process.get("module") == MODULE:
            found.append((float(process.get("since", 0.0)), Going(stand, str(process.get("id")), about)))
    return [going for _, going in sorted(found, key=lambda one: one[0])]


async def launch(
    starter: Starter, arguments: Sequence[str], *, stand: Path | None, about: Mapping[str, Any], image: str = ""
) -> Launched:
    """Start a launcher: at the stand, or as a child of ours if there is none. Raises PeerLost."""
    if stand is None:
        return await LocalLaunched.launch(starter, arguments)
    request = Request(module=MODULE, arguments=tuple(arguments), output="lines", keep=True, about=about, image=image)
    return _seen(await asyncio.to_thread(AtStand.start, stand, request, (), _START_S), about)


async def rejoin(going: Going) -> Launched:
    """Listen to one that goes on, from its beginning. Raises PeerLost."""
    return _seen(await asyncio.to_thread(AtStand.attach, going.stand, going.process, _START_S), going.about)


def _seen(process: AtStand, about: Mapping[str, Any]) -> "StandLaunched":
    of_sets = process.path.stem == LAUNCHER
    return SetLaunched(process, about) if of_sets else StandLaunched(process)


class StandLaunched:
    """The launcher, seen through its stand."""

    kept = True

    def __init__(self, process: AtStand) -> None:
        self._news, self._ended = asyncio.Event(), asyncio.Event()
        self._status: int | None = None
        self._given_up: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._said = self._known = 0
        self._process = process
        self._listen()

    def _listen(self) -> None:
        self._loop.add_reader(self._process.fileno(), self._news.set)
        self._news.set()  # something may have come together with the answer to the start

    def _follow(self, process: AtStand) -> None:
        """Listen to it at a stand that has come back, and which tells everything from the beginning."""
        self._loop.remove_reader(self._process.fileno())
        self._process.close()
        self._process, self._known = process, self._said
        self._listen()

    async def _found_again(self) -> bool:
        """Whether it goes on although its stand has gone: what a stand has started ends with it."""
        return False

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """What the launcher says, line by line; that the stand has gone is told as if the launcher had been killed."""
        while not self._ended.is_set():
            await self._news.wait()
            self._news.clear()
            try:
                told = self._process.events()
            except PeerLost as error:
                if await self._found_again():
                    continue
                self._over(None)
                yield {"event": "engine", "how": error.text}
                return
            for event in told:
                match event:
                    case {"event": "said"} if self._known > 0:
                        self._known -= 1  # said before the stand was found again
                    case {"event": "said", "line": str(line)}:
                        self._said += 1
                        with contextlib.suppress(ValueError):
                            said = json.loads(line)
                            if isinstance(said, dict):
                                yield said
                    case {"event": "ended", "status": int(status)}:
                        self._over(status)
            if not told:
                # It is readable although nothing whole has come: the next piece may take a moment.
                await asyncio.sleep(0)

    async def wait(self, seconds: float | None = None) -> int | None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), seconds)
            return self._status
        return None

    def terminate(self) -> None:
        self._process.signal(signal.SIGTERM)

    def kill(self) -> None:
        """End everything at once: its services lose their launcher, and the other stands see that."""
        self._process.signal(signal.SIGKILL)
        if self._given_up is None:
            self._given_up = self._loop.call_later(_KILLED_S, self._over, None)

    def close(self) -> None:
        """Let go of it; what is kept goes on."""
        if self._given_up is not None:
            self._given_up.cancel()
        if self._process.fileno() >= 0:
            self._loop.remove_reader(self._process.fileno())
        self._process.close()

    def _over(self, status: int | None) -> None:
        self._status = status
        self._ended.set()
        self._news.set()
        if self._process.fileno() >= 0:
            self._loop.remove_reader(self._process.fileno())


class SetLaunched(StandLaunched):
    """The launcher of a run in a set of containers. Its set lives on when the launcher of sets crashes, and so does the
    run: it is found again when that launcher is back. `about` is what was told of the run when it was started."""

    def __init__(self, process: AtStand, about: Mapping[str, Any]) -> None:
        super().__init__(process)
        self._about = about

    async def _found_again(self) -> bool:
        end = self._loop.time() + _BACK_S
        while self._loop.time() < end and not self._ended.is_set():
            with contextlib.suppress(PeerLost):
                going = await asyncio.to_thread(self._going)
                if going is not None:
                    self._follow(await asyncio.to_thread(AtStand.attach, going.stand, going.process, _START_S))
                    return True
            await asyncio.sleep(_AGAIN_S)
        return False

    def _going(self) -> Going | None:
        for going in going_on(self._process.path, Path(str(self._about.get("home")))):
            if all(going.about.get(key) == self._about.get(key) for key in ("id", "created_at")):
                return going
        return None
