"""The gRPC service: each request is handed to the run, and its answer put into the client's words."""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from nrp_protobuf import nrp_server_pb2 as messages
from nrp_protobuf.nrp_server_pb2_grpc import add_NrpCoreServicer_to_server

from reafference.errors import BadExperiment

from . import packs
from .exchange import Refused, Unusable
from .peers import is_ours
from .run import Answer, NrpCoreRun

_MOST_BYTES = 256 * 2**20


class Service:
    """The six requests. `over` is called when the program has no reason to stay."""

    def __init__(self, run: NrpCoreRun, over: Callable[[], None], *, remote: bool) -> None:
        self._run, self._over, self._remote = run, over, remote
        self._known: set[str] = set()

    async def initialize(self, request: Any, context: Any) -> Any:
        answer = await self._done(context, self._run.initialize)
        trajectory = packs.trajectory(answer.trajectory)
        return messages.InitializeResponse(simState=_state(answer), trajectory=trajectory)

    async def runLoop(self, request: Any, context: Any) -> Any:  # noqa: N802
        given = await self._given(request, context)
        return _ran(await self._done(context, lambda: self._run.run_loop(request.numIterations, given)))

    async def runUntilTimeout(self, request: Any, context: Any) -> Any:  # noqa: N802
        return _ran(await self._done(context, self._run.run_until_timeout))

    async def stopLoop(self, request: Any, context: Any) -> Any:  # noqa: N802
        return messages.Response(simState=_state(await self._done(context, self._run.stop)))

    async def reset(self, request: Any, context: Any) -> Any:
        given = await self._given(request, context)
        answer = await self._done(context, lambda: self._run.reset(given))
        return messages.ResetResponse(simState=_state(answer), trajectory=packs.trajectory(answer.trajectory))

    async def shutdown(self, request: Any, context: Any) -> Any:
        await self._check(context)
        try:
            return messages.Response(simState=_state(await self._done(context, self._run.shutdown)))
        finally:
            self._over()

    async def _given(self, request: Any, context: Any) -> list[packs.Pack]:
        await self._check(context)
        try:
            given = packs.given(request.dataPacks)
            if not self._run.published:
                for pack in given:
                    pack.as_inputs()
        except ValueError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        return given

    async def _done(self, context: Any, request: Callable[[], Awaitable[Answer]]) -> Answer:
        """Carry it out; a request that is not possible now ends as the published server ends it."""
        await self._check(context)
        try:
            return await request()
        except Refused as refused:
            code = grpc.StatusCode.INVALID_ARGUMENT if isinstance(refused, Unusable) else grpc.StatusCode.CANCELLED
            await context.abort(code, str(refused))
            raise AssertionError from refused  # never reached: abort raises

    async def _check(self, context: Any) -> None:
        """Let nobody else's processes in."""
        peer = context.peer()
        if self._remote or peer in self._known:
            return
        if not is_ours(peer):
            text = "this simulation serves its own user's processes on this machine only"
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, text)
        self._known.add(peer)


async def open_server(service: Service, address: str) -> grpc.aio.Server:
    """Serve from now on. Raises BadExperiment where the address is taken."""
    # Without this option two programs may listen on one port, and clients meet either of them.
    options = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", _MOST_BYTES)]
    server = grpc.aio.server(options=[*options, ("grpc.max_send_message_length", _MOST_BYTES)])
    add_NrpCoreServicer_to_server(service, server)
    try:
        bound = server.add_insecure_port(address)
    except RuntimeError:
        bound = 0
    if not bound:
        raise BadExperiment(f"--server_address {address}: another program listens there: choose another port")
    await server.start()
    return server


def _ran(answer: Answer) -> Any:
    return messages.RunLoopResponse(
        simState=_state(answer),
        doneFlag=answer.done,
        timeoutFlag=answer.timed_out,
        trajectory=packs.trajectory(answer.trajectory),
    )


def _state(answer: Answer) -> Any:
    return messages.SimStateMessage(currentState=answer.state, errorMsg=answer.error)
