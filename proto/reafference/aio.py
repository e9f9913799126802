"""The asyncio face of the step wire, for the gateway: where many slow conversations meet."""

import os
from collections.abc import AsyncIterator

import zmq.asyncio

from . import codec
from .config import ServiceConfig
from .errors import ReafferenceError
from .frames import Bye, ErrorFrame, Frame, Hello, Order, OrderKind, Welcome
from .sockets import OPTIONS, Sender, check_address


class AioOperator:
    """An operator's conversation with the engine. It outlives engines: who comes later is greeted then."""

    def __init__(self, config: ServiceConfig) -> None:
        check_address(config.addresses.step, insecure=config.insecure)
        self._sender = Sender(config.name)
        socket_type, options = OPTIONS["step peer"]
        self._context = zmq.asyncio.Context()
        self._socket = self._context.socket(socket_type)
        for option, value in options.items():
            self._socket.setsockopt(option, value)
        self._socket.setsockopt(zmq.ROUTING_ID, config.name.encode("ascii"))
        self._socket.connect(config.addresses.step)

    async def frames(self) -> AsyncIterator[Frame]:
        """Say hello, then yield what the engine sends."""
        await self._send(Hello(name=self._sender.src, role="operator", pid=os.getpid()))
        while True:
            parts = await self._socket.recv_multipart()
            try:
                frame = codec.decode(parts).frame
            except ReafferenceError as error:
                await self._send(ErrorFrame(code=error.code, text=error.text))
                continue
            if isinstance(frame, Welcome):
                self._sender.run = frame.run
            yield frame

    async def order(self, what: OrderKind, reason: str = "") -> None:
        """Ask the engine for something; the answer comes as a `state` or `error` frame."""
        await self._send(Order(what=what, reason=reason))

    async def leave(self) -> None:
        await self._send(Bye())

    def close(self) -> None:
        self._context.destroy(linger=0)

    async def _send(self, frame: Frame) -> None:
        await self._socket.send_multipart(self._sender.sign(frame).parts())
