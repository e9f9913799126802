"""The server's end of a WebSocket, which lets go of peers that take nothing any more.

A transport that is closed waits until its buffer is empty. For a peer that has stopped reading without going away that
is never: the buffer would stay for as long as the server lives.
"""

import asyncio
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

_LAST_BYTES_S = 10.0


class PromptProtocol(WebSocketsSansIOProtocol):
    """For uvicorn's setting `ws`."""

    async def run_asgi(self) -> None:
        """Serve one connection, and see that it is really gone some seconds later."""
        try:
            await super().run_asgi()
        finally:
            asyncio.get_running_loop().call_later(_LAST_BYTES_S, _abort, self.transport)

    def keepalive_timeout(self) -> None:
        """No answer to a ping."""
        super().keepalive_timeout()
        asyncio.get_running_loop().call_later(_LAST_BYTES_S, _abort, self.transport)


def _abort(transport: Any) -> None:
    if not transport.is_closing() or transport.get_write_buffer_size():
        transport.abort()
