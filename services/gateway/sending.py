"""What we send to people: files, also those that somebody is still writing."""

import os
from pathlib import Path

import anyio
from fastapi.responses import FileResponse
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from .problems import not_found


class FileSoFar(FileResponse):
    """A file, or a range of it, as far as it had been written when it was asked for.

    What is added while it goes out would be more than was announced, and break the connection.
    Raises Problem 404, which is answered, if it was deleted after somebody had looked.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self.stat_result = await anyio.to_thread.run_sync(os.stat, self.path)
        except FileNotFoundError:
            raise not_found("file", Path(self.path).name) from None
        self.set_stat_headers(self.stat_result)
        left = 0

        async def announced(message: Message) -> None:
            nonlocal left
            if message["type"] == "http.response.start":
                left = int(Headers(raw=message["headers"]).get("content-length", "0"))
            elif message["type"] == "http.response.body":
                body = message.get("body", b"")[:left]
                left -= len(body)
                message = {**message, "body": body}
            await send(message)

        await super().__call__(scope, receive, announced)
