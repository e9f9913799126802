"""The experiment that a job was asked to run: launched there as soon as its server answers."""

import asyncio

from ..house import Gateway
from ..launch_wish import LaunchWish
from ..people import Person
from ..problems import Problem
from ..remote import launch as remote_launch

_PATIENCE_S = 60.0
_AGAIN_S = 1.0


async def launch(gateway: Gateway, job: str, experiment: str, owner: str) -> None:
    """Launch and start it in the name of the job's owner. Raises Problem where it cannot be launched, or not in time.

    That the owner may run it was looked after when the job was submitted.
    """
    # Nobody waits at a paused run in a queue: it starts, and nodes do not idle.
    wish = LaunchWish.model_validate({"experiment": experiment, "server": job, "start": True})
    loop = asyncio.get_running_loop()
    end = loop.time() + _PATIENCE_S
    while True:
        gateway.job_servers.reconcile()
        try:
            await remote_launch.launch(gateway, wish, Person(owner, "admin"))
        except Problem as problem:
            if problem.status not in (404, 503) or loop.time() > end or _is_gone(gateway, job, experiment):
                raise
            await asyncio.sleep(_AGAIN_S)
        else:
            return


def _is_gone(gateway: Gateway, job: str, experiment: str) -> bool:
    """Whether waiting cannot help: the job serves no more, or the experiment was deleted."""
    return gateway.cluster.job(job).state != "serving" or experiment not in gateway.storage.ids()
