"""Brings the files of a recording here, from the gateway of a job or from a folder; goes on where it was broken off."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from .. import paths
from ..problems import Problem
from ..recordings import files_of, ids_in
from .job_server import JobServer

_CHUNK = 1 << 20
_TRIES = 5
_SPARE_BYTES = 64 << 20
"""What a disk must have left beside what comes."""


class Source(Protocol):
    """Where recordings come from."""

    async def recordings(self, experiment: str) -> list[str]:
        """The ids of those that are there."""
        ...

    async def files(self, experiment: str, recording: str) -> dict[str, int]:
        """The size in bytes of each of its files, by path."""
        ...

    def reading(
        self, experiment: str, recording: str, path: str, begin: int
    ) -> contextlib.AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The bytes of a file from `begin` on."""
        ...


class FromJob:
    """Through the gateway of a job that serves."""

    def __init__(self, server: JobServer) -> None:
        self._server = server

    async def recordings(self, experiment: str) -> list[str]:
        return [str(one["id"]) for one in await self._server.ask("GET", _place(experiment))]

    async def files(self, experiment: str, recording: str) -> dict[str, int]:
        told = await self._server.ask("GET", _place(experiment, recording))
        return {str(one["path"]): int(one["bytes"]) for one in told["files"]}

    def reading(
        self, experiment: str, recording: str, path: str, begin: int
    ) -> contextlib.AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._server.reading(f"{_place(experiment, recording)}/files/{quote(path)}", begin)


class FromFolder:
    """From the experiments of a job that has ended, `root`, which can be read from here."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def recordings(self, experiment: str) -> list[str]:
        return await asyncio.to_thread(ids_in, self._root / experiment / "recordings")

    async def files(self, experiment: str, recording: str) -> dict[str, int]:
        return dict(await asyncio.to_thread(files_of, self._folder(experiment, recording)))

    @contextlib.asynccontextmanager
    async def reading(
        self, experiment: str, recording: str, path: str, begin: int
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        with (self._folder(experiment, recording) / path).open("rb") as file:
            file.seek(begin)

            async def chunks() -> AsyncIterator[bytes]:
                while chunk := await asyncio.to_thread(file.read, _CHUNK):
                    yield chunk

            yield chunks()

    def _folder(self, experiment: str, recording: str) -> Path:
        return self._root / experiment / "recordings" / recording


async def bring(source: Source, experiment: str, recording: str, into: Path, told: Callable[[int, int], None]) -> None:
    """Make `into` a copy of the recording; what lies there from a try before is used. `told(have, all)`, in bytes, is
    called on the way.

    Raises Problem 503 where the source cannot be reached any more, 507 where there is no room, 409 while somebody
    writes to it, 422 for files that cannot lie here.
    """
    for _ in range(_TRIES):
        files = await _files(source, experiment, recording)
        await asyncio.to_thread(_prepare, into, files)
        total, before = sum(files.values()), 0
        for path, size in files.items():
            async for have in _bring_file(source, experiment, recording, path, size, into):
                told(before + have, total)
            before += size
        if await _files(source, experiment, recording) == files:
            return
    raise Problem(409, "busy", "it is still being written")


async def _files(source: Source, experiment: str, recording: str) -> dict[str, int]:
    """Those that count: a recorder that was lost leaves hidden ones behind."""
    found = await source.files(experiment, recording)
    return {path: size for path, size in found.items() if not any(map(_hidden, path.split("/")))}


def _hidden(part: str) -> bool:
    return part.startswith(".") and part not in (".", "..")


def _prepare(into: Path, files: dict[str, int]) -> None:
    """Folders for all that comes, and nothing else in them; raises Problem where it cannot lie here."""
    into.mkdir(exist_ok=True)
    for path in files:
        paths.inside(into, paths.checked(path)).parent.mkdir(parents=True, exist_ok=True)
    for path, size in files_of(into):
        if size > files.get(path, -1):
            (into / path).unlink()
    missing = sum(files.values()) - sum(size for _, size in files_of(into))
    if shutil.disk_usage(into).free < missing + _SPARE_BYTES:
        raise Problem(507, "disk_full", f"there is no room for it here: it has {sum(files.values()) / 1e6:,.0f} MB")


async def _bring_file(
    source: Source, experiment: str, recording: str, path: str, size: int, into: Path
) -> AsyncIterator[int]:
    """Says how much of it is here, again and again, until all is."""
    target = into / path
    have = target.stat().st_size if target.exists() else 0
    with target.open("ab") as file:
        if have < size:
            async with source.reading(experiment, recording, path, have) as chunks:
                async for chunk in chunks:
                    # A file that grows meanwhile is asked for once more.
                    await asyncio.to_thread(file.write, chunk[: size - have])
                    have = min(have + len(chunk), size)
                    yield have
                    if have == size:
                        break
    if have < size:
        raise Problem(503, "unavailable", f"{path} broke off after {have:,} of {size:,} bytes")


def _place(experiment: str, *recording: str) -> str:
    names = ["experiments", experiment, "recordings", *recording]
    return "/".join(quote(name, safe="") for name in names)
