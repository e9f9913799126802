"""Orders that come over MQTT: whether they are allowed, and carrying them out. Knows no broker.

An order needs a place on the allow-list of the settings and a token of this server with the right to steer that
simulation. Whatever else comes is refused with a sentence, written into the log, and has changed nothing.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from weakref import WeakKeyDictionary

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reafference.errors import ReafferenceError

from .. import problems
from ..as_json import listed, numbers
from ..people import People, Person
from ..problems import Problem
from ..simulation import Simulation
from ..simulations import Simulations

MOST_BYTES = 64 * 1024
MOST_AT_ONCE = 16

_MOST_REMEMBERED = 1000
_MOST_STEPS = 2**40


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """What came for the simulation `sid`. `authorization` is a token from beside the message, `retained` that the
    broker had kept it."""

    sid: str
    payload: bytes
    authorization: str = ""
    retained: bool = False


class OrderWish(BaseModel):
    """The message: `steps` belongs to the order step, `what` to reset, `arguments` to edits."""

    model_config = ConfigDict(extra="forbid", strict=True)

    order: str = Field(min_length=1, max_length=100)
    token: str = Field(default="", max_length=500)
    id: Annotated[str, Field(max_length=200)] | Annotated[int, Field(ge=-(2**63), lt=2**63)] = ""
    steps: int = Field(default=1, ge=1, le=_MOST_STEPS)
    what: Literal["full", "brain", "body", "world"] = "full"
    arguments: dict[str, Any] = Field(default_factory=dict)


class Orders:
    """Takes orders for the simulations of one server; `allowed` are the names of those that it takes."""

    def __init__(self, simulations: Simulations, people: People, allowed: Sequence[str]) -> None:
        self._simulations, self._people = simulations, people
        self._allowed = frozenset(allowed)
        self._known: dict[tuple[str, str, str], None] = {}
        self._turns: WeakKeyDictionary[Simulation, asyncio.Lock] = WeakKeyDictionary()
        self._busy = 0
        self.refused = 0
        self._log = structlog.get_logger()

    async def take(self, arrived: Arrived) -> dict[str, Any] | None:
        """Carry out an order; the answer to it, or None where it is one that has been taken before."""
        wish: OrderWish | None = None
        try:
            wish = _read(arrived)
            person, simulation = self._check(wish, arrived)
            if self._is_repeated(wish, simulation, person):
                self._log.info("order repeated", order=wish.order, id=wish.id, simulation=simulation.id)
                return None
            result = await self._obey(wish, simulation, person)
        except Problem as problem:
            return self._refuse(arrived, wish, problem)
        except ReafferenceError as error:
            return self._refuse(arrived, wish, problems.of(error))
        except Exception as error:
            self._log.error("order failed", simulation=arrived.sid, exc_info=error)
            return self._refuse(arrived, wish, Problem(500, "internal", "the server failed; its log says more"))
        self._log.info("order done", order=wish.order, simulation=simulation.id, by=person.name)
        done = {"done": True, "by": person.name, "state": simulation.status.state, "result": result}
        return _head(arrived, wish) | done

    def _check(self, wish: OrderWish, arrived: Arrived) -> tuple[Person, Simulation]:
        """Who orders what; raises Problem for what is not allowed. Strangers do not hear what there is."""
        if arrived.retained:
            words = "retained orders would come again with every connection: send it without the retain flag"
            raise Problem(422, "invalid", words)
        if not self._people.asked_for:
            raise Problem(403, "forbidden", "this server works without tokens, and takes orders only on its own door")
        secret = wish.token or arrived.authorization.removeprefix("Bearer ").strip()
        person = self._people.find(secret) if secret else None
        if person is None:
            words = "this token is not known here" if secret else "no token: add one under the key token"
            raise Problem(401, "unauthorized", words)
        if wish.order not in self._allowed:
            listed_ = ", ".join(sorted(self._allowed)) or "none"
            words = f"the order {wish.order!r} is not on the list of those that may come over MQTT ({listed_})"
            raise Problem(403, "forbidden", words)
        simulation = self._simulations.get(arrived.sid)
        if not person.may_change(simulation.owner):
            words = f"{person.name} may not steer the simulation {simulation.id}, which belongs to {simulation.owner}"
            raise Problem(403, "forbidden", words)
        if self._busy >= MOST_AT_ONCE:
            raise Problem(503, "busy", f"{MOST_AT_ONCE} orders are being carried out: send it again in a moment")
        return person, simulation

    def _is_repeated(self, wish: OrderWish, simulation: Simulation, person: Person) -> bool:
        """Whether this very order has been taken; from now on it has. Brokers may deliver a message twice."""
        if wish.id == "":
            return False
        key = (simulation.id, person.name, str(wish.id))
        if key in self._known:
            return True
        self._known[key] = None
        while len(self._known) > _MOST_REMEMBERED:
            del self._known[next(iter(self._known))]
        return False

    async def _obey(self, wish: OrderWish, simulation: Simulation, person: Person) -> dict[str, Any]:
        self._busy += 1
        try:
            to, dot, what = wish.order.partition(".")
            if dot:
                told = await simulation.edit(to, what, numbers(wish.arguments), by=person.name)
                return dict(listed(told))
            # One after the other, as they came: the last of two must win.
            async with self._turns.setdefault(simulation, asyncio.Lock()):
                await _steer(wish, simulation, person)
            return {}
        finally:
            self._busy -= 1

    def _refuse(self, arrived: Arrived, wish: OrderWish | None, problem: Problem) -> dict[str, Any]:
        self.refused += 1
        order = wish.order if wish else ""
        self._log.warning("order refused", order=order, simulation=arrived.sid, code=problem.code, text=problem.detail)
        return _head(arrived, wish) | {"done": False, "code": problem.code, "text": problem.detail}


async def _steer(wish: OrderWish, simulation: Simulation, person: Person) -> None:
    """An order of the run. Raises as Simulation's methods."""
    state, reason = simulation.status.state, f"asked for by {person.name} over MQTT"
    if simulation.status.ended and wish.order != "stop":
        raise Problem(409, "out_of_order", f"the simulation {simulation.id} is {state}: launch another one")
    match wish.order:
        case "start" | "resume" if state != "started":
            await simulation.order("start", "started", reason)
        case "pause" if state != "paused":
            await simulation.order("pause", "paused", reason)
        case "step":
            await simulation.step(reason, wish.steps)
        case "reset":
            await simulation.reset(wish.what, person.name)
        case "cancel":
            await simulation.cancel(reason)
        case "stop":
            await simulation.stop(reason)


def _read(arrived: Arrived) -> OrderWish:
    """Raises Problem for a message that is no order."""
    if len(arrived.payload) > MOST_BYTES:
        words = f"an order has at most {MOST_BYTES} bytes, this one has {len(arrived.payload)}"
        raise Problem(413, "too_large", words)
    try:
        return OrderWish.model_validate(json.loads(arrived.payload))
    except ValidationError as error:
        first = error.errors()[0]
        words = f"{'.'.join(map(str, first['loc']))}: {first['msg']}".removeprefix(": ")
    except (ValueError, RecursionError):
        words = 'it is no JSON; an order is for instance {"order": "pause", "token": "…", "id": "1"}'
    raise Problem(422, "invalid", f"this order cannot be understood: {words}")


def _head(arrived: Arrived, wish: OrderWish | None) -> dict[str, Any]:
    return {"simulation": arrived.sid, "order": wish.order if wish else None, "id": wish.id if wish else None}
