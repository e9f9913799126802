"""What is to go to which MQTT broker, and which orders may come back: read once, from `mqtt.toml` in the home and from
the command line. MQTT.md has every key.
"""

import math
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from aiomqtt import Topic, Wildcard

from reafference import plain
from reafference.errors import BadExperiment

FILE = "mqtt.toml"
PASSWORD_FILE = "mqtt-password"
ORDERS = ("start", "resume", "pause", "stop", "step", "cancel", "reset")
"""Orders by name; any other one is an edit, `brain.silence` for instance."""
MOST_HZ = 20.0
MOST_BYTES = 64 * 1024 * 1024

_EDITED = ("brain", "body", "engine")
_PORTS = {"mqtt": 1883, "mqtts": 8883}
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttSettings:
    """The table [mqtt]. Rates are in messages a second of wall time for each topic, 0 for all that there are."""

    url: str = ""
    password_file: str = ""
    ca_file: str = ""
    version: Literal["", "5", "3.1.1"] = ""
    prefix: str = "reafference"
    format: Literal["json", "frame"] = "json"
    topics: tuple[str, ...] = ("#",)
    without: tuple[str, ...] = ()
    hz: float = 10.0
    rates: Mapping[str, float] = field(default_factory=dict)
    most_values: int = 2000
    most_bytes: int = 4 * 1024 * 1024
    orders: tuple[str, ...] = ("pause", "resume", "start")

    def wants(self, name: str) -> bool:
        """Whether this topic of the bus goes to the broker."""
        return _any_matches(self.topics, name) and not _any_matches(self.without, name)

    def rate_hz(self, name: str) -> float:
        """The most messages a second on this topic: that of the first filter under `rates` that fits."""
        for filter_, hz in self.rates.items():
            if Topic(name).matches(filter_):
                return hz
        return self.hz


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Where the broker is and who we are there. `ca_file`: whom to trust, empty for those whom this machine trusts."""

    host: str
    port: int
    tls: bool = False
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: str = ""

    @property
    def near(self) -> bool:
        """Whether nothing that we say there leaves this machine."""
        return self.host in _LOOPBACK


def load(home: Path, url: str = "", password_file: str = "") -> tuple[MqttSettings, Broker] | None:
    """From `mqtt.toml` in the home, where there is one, and the command line, which has the last word.

    None if neither names a broker. Raises BadExperiment for what cannot be read, with its file and key.
    """
    settings = _of_file(home / FILE)
    if password_file:
        settings = replace(settings, password_file=str(Path(password_file).absolute()))
    if url:
        settings = replace(settings, url=url)
    if not settings.url:
        return None
    return settings, _broker(settings, home)


def _of_file(path: Path) -> MqttSettings:
    try:
        table: Any = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return MqttSettings()
    except (OSError, ValueError) as error:
        raise BadExperiment(f"{path} cannot be read: {error}") from None
    if set(table) - {"mqtt"}:
        raise BadExperiment(f"{path}: everything in it belongs into the table [mqtt], not {sorted(table)[0]!r}")
    try:
        settings = plain.load(MqttSettings, table.get("mqtt", {}))
        _check(settings)
    except plain.Misfit as misfit:
        raise BadExperiment(f"{path}: {misfit.within('mqtt')}") from None
    return settings


def _check(settings: MqttSettings) -> None:
    """Raises Misfit for a value that cannot be meant."""
    for key in ("topics", "without"):
        _check_filters(key, getattr(settings, key))
    _check_filters("rates", tuple(settings.rates))
    for key, hz in (("hz", settings.hz), *((f"rates.{name}", hz) for name, hz in settings.rates.items())):
        if not (math.isfinite(hz) and 0 <= hz <= MOST_HZ):
            raise plain.Misfit(key, f"a rate from 0 (all) to {MOST_HZ:g} a second", repr(hz))
    if not 1 <= settings.most_values <= 10_000_000:
        raise plain.Misfit("most_values", "a number from 1 to 10000000", repr(settings.most_values))
    if not 1000 <= settings.most_bytes <= MOST_BYTES:
        raise plain.Misfit("most_bytes", f"a number from 1000 to {MOST_BYTES}", repr(settings.most_bytes))
    levels = settings.prefix.split("/")
    if not all(levels) or settings.prefix.startswith("$") or any(sign in settings.prefix for sign in "+#\0"):
        raise plain.Misfit("prefix", "levels between slashes, without + # and $", repr(settings.prefix))
    for order in settings.orders:
        to, dot, what = order.partition(".")
        if order not in ORDERS and not (dot and to in _EDITED and what):
            expected = f"orders ({', '.join(ORDERS)}) or edits such as brain.silence"
            raise plain.Misfit("orders", expected, repr(order), plain.nearest(order, ORDERS))


def _check_filters(key: str, filters: Sequence[str]) -> None:
    for one in filters:
        try:
            Wildcard(one)
        except ValueError:
            raise plain.Misfit(key, "filters of MQTT such as brain/#", repr(one)) from None


def _broker(settings: MqttSettings, home: Path) -> Broker:
    try:
        url = urlsplit(settings.url)
        host, port = url.hostname, url.port
    except ValueError:
        url, host, port = urlsplit(""), None, None
    if url.scheme not in _PORTS or not host or url.path not in ("", "/") or url.query or url.fragment:
        raise BadExperiment("the broker must be mqtt://USER@HOST:PORT, or mqtts:// with encryption")
    if url.password is not None:
        raise BadExperiment("the password of the broker must not stand in its address: put it into a file of its own")
    if settings.ca_file and url.scheme != "mqtts":
        raise BadExperiment("ca_file is for encrypted connections: let the url of the broker begin with mqtts://")
    ca_file = str(home / settings.ca_file) if settings.ca_file else ""
    if ca_file and not os.access(ca_file, os.R_OK):
        raise BadExperiment(f"ca_file {ca_file} cannot be read")
    user = unquote(url.username) if url.username else None
    password = _password(settings, home) if user else None
    return Broker(
        host=host,
        port=port or _PORTS[url.scheme],
        tls=url.scheme == "mqtts",
        user=user,
        password=password,
        ca_file=ca_file,
    )


def _password(settings: MqttSettings, home: Path) -> str | None:
    """What the password file says; None if none is named and none is in the home."""
    path = home / (settings.password_file or PASSWORD_FILE)
    if not settings.password_file and not path.exists():
        return None
    try:
        if path.stat().st_mode & 0o077:
            raise BadExperiment(f"the password file {path} can be read by others: chmod 600 {path}")
        password = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError) as error:
        raise BadExperiment(f"the password file {path} cannot be read: {error}") from None
    if not password:
        raise BadExperiment(f"the password file {path} is empty")
    return password


def _any_matches(filters: Sequence[str], name: str) -> bool:
    return any(Topic(name).matches(one) for one in filters)
