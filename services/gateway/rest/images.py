"""REST: the versions of the images that a simulation in containers of its own can be launched from."""

from fastapi import APIRouter, Request

from ..container_places import container_places
from ..experiment_answers import Server
from ..house import Gateway
from ..people import Reader
from ..simulations import CONTAINERS, Simulations

router = APIRouter(tags=["simulations"])


@router.get("/images")
async def list_images(request: Request, person: Reader) -> list[str]:
    """The versions there are, that which is taken if none is named first; none where there is no launcher."""
    gateway: Gateway = request.app.state.gateway
    there = await container_places(gateway.simulations.stands)
    return list(there.images) if there else []


async def container_server(simulations: Simulations, cores: int, memory_gb: float) -> list[Server]:
    """The launcher of containers as a server; none where none has ever stood."""
    there = await container_places(simulations.stands)
    if there is None:
        return []
    return [
        Server(
            id=CONTAINERS,
            title="Containers of its own",
            places=there.places,
            busy=there.busy,
            cores=cores,
            memory_gb=memory_gb,
            kind="containers",
            ready=there.ready,
            text=there.text,
            images=list(there.images),
        )
    ]
