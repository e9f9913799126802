"""Virtual Coach: models of robots, brains and environments."""

from collections.abc import Iterator
from typing import Annotated, Any, BinaryIO, get_args

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from .. import archive
from ..house import Gateway
from ..people import Editor, Reader
from ..problems import Problem
from ..receiving import received_zip
from ..storage import files_in
from .access import House
from .model_store import Kind, Model, Models

router = APIRouter()

_KINDS: tuple[Kind, ...] = get_args(Kind)
_CHUNK = 256 * 1024

Word = Annotated[str, Path(max_length=200)]


@router.get("/storage/models/{kind}")
def list_models(kind: Word, gateway: House, person: Reader) -> Any:
    """Those of users, and those that are shipped."""
    return [_told(model) for model in Models(gateway.storage.home).all(_kind(kind))]


@router.get("/storage/models/{first}/{second}", response_model=None)
def look_at_models(first: Word, second: Word, gateway: House, person: Reader) -> Any:
    """KIND/NAME: the files of a user's model, zipped. USER/KIND: the models of a person; `user` is whoever asks.

    USER may also be `all`, which means those that are shipped as well, or `shared`, all of users.
    """
    if first in _KINDS:
        return _zipped(gateway, _kind(first), second)
    models = Models(gateway.storage.home).all(_kind(second))
    return [_told(model) for model in models if _is_of(model, person.name if first == "user" else first)]


@router.post("/storage/models/{kind}/{name}")
async def import_model(
    kind: Word,
    name: Word,
    request: Request,
    gateway: House,
    person: Editor,
    override: Annotated[bool, Query()] = False,
) -> Any:
    """Keep the model in a zip file, under this name without its `.zip`."""
    chosen, models = _kind(kind), Models(gateway.storage.home)
    async with received_zip(request, gateway.storage) as zipped:
        model = await run_in_threadpool(models.receive, zipped, chosen, name, person, instead=override)
    return {"message": "the model has been imported", "name": model.name, "path": model.name, "type": chosen}


@router.delete("/storage/models/{kind}/{name}")
def delete_model(kind: Word, name: Word, gateway: House, person: Editor) -> Response:
    """Delete a model of one's own."""
    Models(gateway.storage.home).remove(_kind(kind), name, person)
    return Response()


def _kind(word: str) -> Kind:
    for kind in _KINDS:
        if word == kind:
            return kind
    raise Problem(404, "not_found", f"there are no models of the kind {word!r}: there are {', '.join(_KINDS)}")


def _is_of(model: Model, user: str) -> bool:
    return user == "all" or (bool(model.owner) and user in ("shared", model.owner))


def _told(model: Model) -> dict[str, Any]:
    return {
        "name": model.name,
        "displayName": model.title,
        "description": model.description,
        "ownerName": model.owner,
        "isShared": False,
        "isCustom": bool(model.owner),
        "path": model.name,
    }


def _zipped(gateway: Gateway, kind: Kind, name: str) -> Response:
    folder = Models(gateway.storage.home).folder(kind, name)
    zipped = gateway.storage.incoming()
    archive.pack(folder, [file.path for file in files_in(folder)], zipped, name)
    zipped.seek(0)
    return StreamingResponse(_chunks(zipped), media_type="application/zip")


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while chunk := file.read(_CHUNK):
            yield chunk
