"""A peer that reads nothing and does not leave is let go, with what it has not taken."""

import asyncio
import socket
import time

import uvicorn

from services.gateway import socket_protocol
from services.gateway.socket_protocol import PromptProtocol

PATIENCE_S = 30
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


async def flood(scope, receive, send):
    """Send as much as goes within a second, then leave."""
    await receive()
    await send({"type": "websocket.accept"})
    for _ in range(100):
        try:
            await asyncio.wait_for(send({"type": "websocket.send", "bytes": bytes(1_000_000)}), 1.0)
        except TimeoutError:
            return


async def scenario(seconds):
    """How many connections the server has when a peer comes that reads nothing, and how many so long after, unless
    there are none before."""
    door = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(flood, ws=PromptProtocol, lifespan="off", log_level="error", ws_per_message_deflate=False)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[door]))
    while not server.started:
        await asyncio.sleep(0.01)
    connections = server.server_state.connections
    peer = socket.create_connection(door.getsockname())
    peer.sendall(HANDSHAKE)
    async with asyncio.timeout(PATIENCE_S):
        while not connections:
            await asyncio.sleep(0.01)
    during = len(connections)
    end = time.monotonic() + seconds
    while connections and time.monotonic() < end:
        await asyncio.sleep(0.05)
    after = len(connections)
    peer.close()
    server.should_exit = True
    await serving
    return during, after


def test_a_stuck_peer_is_let_go(monkeypatch):
    monkeypatch.setattr(socket_protocol, "_LAST_BYTES_S", 0.3)
    assert asyncio.run(scenario(PATIENCE_S)) == (1, 0)


def test_without_it_the_peer_would_stay(monkeypatch):
    monkeypatch.setattr(socket_protocol, "_abort", lambda transport: None)
    assert asyncio.run(scenario(3.0)) == (1, 1)
