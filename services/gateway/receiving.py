"""What people send us: files and zip files, never more of them than is allowed."""

import contextlib
from collections.abc import AsyncIterator
from typing import BinaryIO

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from . import paths
from .archive import MOST_ZIP_BYTES
from .problems import Problem
from .storage import MIB, Storage


async def received_file(request: Request, path: str, most: int) -> bytes:
    """The body of the request; raises Problem 413 as soon as it is too much."""
    length = request.headers.get("content-length", "")
    too_large = Problem(413, "too_large", f"{paths.shown(path)} may have {most // MIB} MiB at most")
    if length.isdecimal() and int(length) > most:
        raise too_large
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > most:
            raise too_large
    return bytes(data)


@contextlib.asynccontextmanager
async def received_zip(request: Request, storage: Storage) -> AsyncIterator[BinaryIO]:
    """The body of the request as a file to be read from its beginning; raises Problem 413 as soon as it is too much."""
    with storage.incoming() as zipped:
        received = 0
        async for chunk in request.stream():
            received += len(chunk)
            if received > MOST_ZIP_BYTES:
                raise Problem(413, "too_large", f"a zip file may have {MOST_ZIP_BYTES // MIB} MiB")
            await run_in_threadpool(zipped.write, chunk)
        zipped.seek(0)
        yield zipped
