"""An experiment on a job: sent there as it is here, and what is saved there taken back."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, BinaryIO
from urllib.parse import quote

from ..experiment_copy import Contents, contents_of
from ..problems import Problem
from ..storage import Storage
from .job_server import JobServer

_SEND_S = 600.0
_CHUNK = 256 * 1024


async def send(storage: Storage, server: JobServer, experiment: str) -> Contents:
    """See that the job has the experiment as it is here; what it consists of. Nothing is sent that is there already."""
    ours = await asyncio.to_thread(contents_of, storage, experiment)
    theirs = await _theirs(server, experiment)
    if theirs is None or theirs["digest"] != ours.digest:
        sent = await _put(storage, server, experiment, ours)
        if sent["files"] != ours.files:
            raise Problem(409, "conflict", f"{experiment} was changed while it was sent to {server.id}: try again")
    return ours


async def take_back(storage: Storage, server: JobServer, experiment: str, sent: Contents) -> None:
    """Write here what has been changed there since it was sent; raises Problem 412 where it was changed here too."""
    theirs = await _theirs(server, experiment) or {"files": {}}
    for path, tag in theirs["files"].items():
        if sent.files.get(path) != tag:
            data = await server.read(f"{_place(experiment)}/files/{quote(path)}")
            await asyncio.to_thread(storage.write, experiment, path, data, sent.files.get(path))


async def _theirs(server: JobServer, experiment: str) -> Mapping[str, Any] | None:
    """What is there of it; None if nothing is."""
    try:
        found: Mapping[str, Any] = await server.ask("GET", f"copies/{quote(experiment, safe='')}")
    except Problem as problem:
        if problem.status == 404:
            return None
        raise
    return found


async def _put(storage: Storage, server: JobServer, experiment: str, ours: Contents) -> Mapping[str, Any]:
    about = ours.about
    params = {"name": about.name, "owner": about.owner, "template": about.template, "title": about.title}
    params |= {"created_at": about.created_at}
    with await asyncio.to_thread(storage.download, experiment) as zipped:
        size = zipped.seek(0, 2)
        zipped.seek(0)
        sent: Mapping[str, Any] = await server.ask(
            "PUT",
            f"copies/{quote(experiment, safe='')}",
            params=params,
            headers={"Content-Length": str(size), "Content-Type": "application/zip"},
            content=_chunks(zipped),
            seconds=_SEND_S,
        )
    return sent


async def _chunks(file: BinaryIO) -> AsyncIterator[bytes]:
    while chunk := await asyncio.to_thread(file.read, _CHUNK):
        yield chunk


def _place(experiment: str) -> str:
    return f"experiments/{quote(experiment, safe='')}"
