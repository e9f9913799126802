"""`python -m services.gateway`: the bus, and the front door. With --serve as its first word: the server for people
(serve.py). With --nest-server: a kernel for callers of NEST Server (nest_api/).

REAF_HTTP says where the door is: HOST:PORT (127.0.0.1:8080 by default). With --private it is a socket in the
folder of the wires, and the gateway ends with its engine.
"""

import argparse
import asyncio
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn

from reafference import logs
from reafference.aio import AioOperator
from reafference.config import ServiceConfig
from reafference.errors import BadExperiment, ReafferenceError
from reafference.process import Leave, die_with
from reafference.sockets import BusProxy

from .private import Health, make_app

_CHECK_S = 0.5


def main() -> int:
    """Run the gateway; returns the exit status."""
    if sys.argv[1:2] == ["--serve"]:
        from . import serve  # only here: a local run shall not wait for all that this needs

        return serve.main(sys.argv[2:])
    if sys.argv[1:2] == ["--nest-server"]:
        from .nest_api import server as nest_server

        return nest_server.main(sys.argv[2:])
    parser = argparse.ArgumentParser(prog="python -m services.gateway", description=__doc__)
    parser.add_argument("--private", action="store_true", help="serve one local run, on a private socket")
    given = parser.parse_args()
    Leave()  # the web server ends at SIGTERM, then raises it again: that shall not cut the way out short
    log = logs.configure("gateway")
    try:
        config = ServiceConfig.load("gateway", os.environ)
        die_with(config.parent_pid)
        log = logs.configure("gateway", config.log_level)
        where, doors = config.addresses, config.doors
        proxy = BusProxy(
            where.bus_in,
            where.bus_out,
            insecure=config.insecure,
            keys=config.ring(),
            doors=(doors.bus_in, doors.bus_out) if doors else ("", ""),
        )
        try:
            asyncio.run(_serve(config, proxy, private=given.private))
        finally:
            proxy.close()
    except ReafferenceError as error:
        log.error("gateway left", code=error.code, text=error.text)
        return error.exit_status
    return 0


async def _serve(config: ServiceConfig, proxy: BusProxy, *, private: bool) -> None:
    operator = AioOperator(config)
    health = Health(proxy.alive)
    server = uvicorn.Server(_settings(make_app(health, operator), config, private))
    serving = asyncio.create_task(server.serve())
    try:
        while not serving.done():
            if private and health.ended.is_set():
                server.should_exit = True
            await asyncio.wait({serving}, timeout=_CHECK_S)
        serving.result()
    finally:
        operator.close()


def _settings(app: object, config: ServiceConfig, private: bool) -> uvicorn.Config:
    common = {"log_level": "warning", "lifespan": "on", "access_log": False}
    if private:
        folder = Path(config.addresses.step.removeprefix("ipc://")).parent
        return uvicorn.Config(app, uds=str(folder / "http"), **common)  # type: ignore[arg-type]
    where = os.environ.get("REAF_HTTP", "127.0.0.1:8080")
    try:
        address = urlsplit(f"//{where}")
        host, port = address.hostname or "127.0.0.1", address.port or 8080
    except ValueError:
        raise BadExperiment(f"REAF_HTTP is {where!r}, but must be HOST:PORT") from None
    return uvicorn.Config(app, host=host, port=port, **common)  # type: ignore[arg-type]


if __name__ == "__main__":
    sys.exit(main())
