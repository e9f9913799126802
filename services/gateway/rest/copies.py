"""REST, for the site of a job: experiments under an id of the site's choosing."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from ..experiment_copy import contents_of
from ..house import Gateway
from ..people import Administrator
from ..problems import not_found
from ..receiving import received_zip
from ..storage import About, Storage

router = APIRouter(tags=["copies"])

_ZIP = {"schema": {"type": "string", "format": "binary"}}
Text = Annotated[str, Query(max_length=200)]


class Copy(BaseModel):
    """What an experiment consists of here: the tag of each file, and a digest of all."""

    digest: str
    files: dict[str, str]


@router.get("/copies/{id}", response_model=Copy)
def get_copy(id: str, request: Request, person: Administrator) -> Any:
    """What is here of an experiment."""
    return contents_of(_storage(request), id).as_map()


@router.put(
    "/copies/{id}",
    response_model=Copy,
    openapi_extra={"requestBody": {"required": True, "content": {"application/zip": _ZIP}}},
)
async def put_copy(
    id: str,
    request: Request,
    person: Administrator,
    name: Annotated[str, Query(min_length=1, max_length=80)],
    owner: Text,
    template: Text = "",
    title: Text = "",
    created_at: Text = "",
) -> Any:
    """Make the files of this experiment those of the zip file; its recordings stay."""
    storage = _storage(request)
    about = About(name=name, owner=owner, template=template, title=title, created_at=created_at)
    async with received_zip(request, storage) as zipped:
        await run_in_threadpool(storage.put, id, zipped, about)
    return (await run_in_threadpool(contents_of, storage, id)).as_map()


def _storage(request: Request) -> Storage:
    gateway: Gateway = request.app.state.gateway
    if not gateway.people.of_job:
        raise not_found("place", "copies", ": experiments are sent to the gateways of jobs only")
    return gateway.storage
