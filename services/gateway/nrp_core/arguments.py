"""The command line of NRPCoreSim, as published clients and scripts write it."""

import argparse
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

from reafference.errors import BadExperiment

_CONFIG = "simulation_config.json"
_OURS = "experiment.toml"
_ADDRESS = "localhost:50051"
_ANY = ("0.0.0.0", "::")
_LEVELS = {"trace": "debug", "debug": "debug", "info": "info", "warn": "warning", "warning": "warning"}
_QUIET = ("err", "error", "critical", "off")

Mode = Literal["server", "standalone"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the program was asked for. `folder` is that of the experiment, `overrides` are (key, value) as texts."""

    config: Path
    folder: Path
    mode: Mode
    address: str
    remote: bool
    slave: bool
    log_file: Path | None
    log_level: str
    overrides: tuple[tuple[str, str], ...]


def read(arguments: Sequence[str]) -> Wish:
    """Take the command line. Raises BadExperiment, in a sentence."""
    given = _parser().parse_args(arguments)
    folder = Path(given.dir).absolute()
    if not folder.is_dir():
        raise BadExperiment(f"-d {given.dir}: there is no such folder")
    config = _config(folder, given.config)
    address = given.server_address
    if given.mode == "server":
        address = usable_address(address, remote=given.allow_remote)
    to_file = given.logoutput == "all" and given.logfilename
    return Wish(
        config=config,
        folder=folder,
        mode=given.mode,
        address=address,
        remote=given.allow_remote,
        slave=given.slave,
        log_file=folder / given.logdir / given.logfilename if to_file else None,
        log_level=_level(given.cloglevel),
        overrides=tuple(_override(text) for text in given.param),
    )


def usable_address(address: str, *, remote: bool) -> str:
    """Where to listen: on loopback for "any address", unless other machines shall be served.

    Raises BadExperiment for what is no HOST:PORT, or can be reached from other machines.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or not 0 < int(port) < 65536:
        raise BadExperiment(f"--server_address {address!r}: write it as HOST:PORT, for instance {_ADDRESS}")
    if not remote and host.strip("[]") in _ANY:
        return f"localhost:{port}"
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)}
    except OSError as error:
        raise BadExperiment(f"--server_address {address!r}: {host} is no host ({error.strerror})") from None
    if not remote and not all(ipaddress.ip_address(str(one).partition("%")[0]).is_loopback for one in found):
        raise BadExperiment(
            f"--server_address {address!r} can be reached from other machines, and this protocol has no token: use "
            "localhost and an SSH tunnel, or add --allow-remote on a network where everybody may run programs as you"
        )
    return address


def _config(folder: Path, name: str) -> Path:
    """The file of that name, or the experiment file of that folder; ours where there is none of the usual name."""
    config = folder / name
    if config.is_dir():
        config = config / _OURS
    if not config.is_file() and name == _CONFIG and (folder / _OURS).is_file():
        config = folder / _OURS
    if not config.is_file():
        raise BadExperiment(f"-c {name}: there is no such file in {folder}")
    return config


def _level(text: str) -> str:
    known = text.lower()
    if known in _QUIET:
        return "error"
    if known not in _LEVELS:
        raise BadExperiment(f"--cloglevel {text!r}: expected {', '.join((*_LEVELS, *_QUIET))}")
    return _LEVELS[known]


def _override(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise BadExperiment(f"-o {text!r}: write it as Key=Value, for instance -o SimulationTimeout=10")
    return key.strip(), value.strip()


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadExperiment(f"{message} (NRPCoreSim --help tells what there is)")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="NRPCoreSim", allow_abbrev=False, description="Run an experiment for NRP-core's clients.")
    add = parser.add_argument
    add("-c", "--config", default=_CONFIG, help="simulation_config.json, or an experiment.toml (or its folder)")
    add("-d", "--dir", default=".", help="the folder of the experiment")
    add(
        "-m", "--mode", choices=("server", "standalone"), default="standalone", help="serve a client, or run to the end"
    )
    add("--server_address", default=_ADDRESS, metavar="HOST:PORT", help="where to serve")
    add("--allow-remote", action="store_true", help="serve other machines and other users too; there is no token")
    add("--slave", action="store_true", help="end with the process that started this one")
    add("-o", "--param", action="append", default=[], metavar="KEY=VALUE", help="put a value over the configuration")
    add("--logoutput", choices=("engines", "all", "silent"), default="engines", help="all: everything into one file")
    add("--logfilename", default=".console_output.log", help="the name of that file")
    add("--logdir", default=".", help="its folder, within that of the experiment")
    add("--cloglevel", default="info", help="least severity of what is logged")
    add("--floglevel", default="", help="taken and not used: there is one log")
    add("-p", "--plugins", default="", help="taken and not used: kinds of engines need no plugins here")
    return parser
