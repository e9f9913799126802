"""A launch on a job: the experiment goes there, and runs there in the name of whoever launches it."""

import asyncio
from typing import Any

from ..house import Gateway
from ..launch_wish import LaunchWish
from ..people import Person
from ..problems import Problem
from .experiment import send


async def launch(gateway: Gateway, wish: LaunchWish, person: Person) -> dict[str, Any]:
    """Begin a simulation on the job `wish.server`; what it is. It builds itself from now on.

    Raises Problem 404 for an unknown job or experiment, 403 for somebody else's, 503 where the job cannot be reached,
    and what its gateway refuses (409 where it has no free place).
    """
    server = gateway.job_servers.get(wish.server)
    about = await asyncio.to_thread(gateway.storage.about, wish.experiment)
    person.must_own(about.owner, f"the experiment {wish.experiment!r}")
    if wish.image:
        raise Problem(422, "invalid", f"no image can be chosen on the job {server.id}: it has one already")
    body = wish.model_dump(mode="json", exclude_defaults=True)
    async with gateway.job_servers.sending(server.id, wish.experiment):
        await send(gateway.storage, server, wish.experiment)
        made: dict[str, Any] = await server.ask("POST", "simulations", person=person, json=body)
    server.remember(made)
    return made
