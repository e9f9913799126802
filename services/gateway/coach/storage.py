"""Virtual Coach: the storage. Experiments are cloned, imported, deleted; their files read, written; scripts saved."""

import mimetypes
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from reafference.published import remarks_in

from ..archive import top_of
from ..house import Gateway
from ..people import Editor, Reader
from ..problems import Problem
from ..receiving import received_file, received_zip
from ..sending import FileSoFar
from ..simulation import Simulation
from ..storage import FILE, is_text, most_bytes
from . import recordings as coach_recordings
from .access import House
from .files import RunFile, is_uuid, run_file, uuid_of
from .owned import Id, Owned
from .scripts import text_of

router = APIRouter()

_GONE_S = 15.0

ByName = Annotated[bool, Query()]


class CloneWish(BaseModel):
    """Which template: its id, or the path of its configuration, which begins with it."""

    expPath: str = Field(min_length=1, max_length=400)


class TitleWish(BaseModel):
    newSimulationName: str = Field(min_length=1, max_length=200)


# --- experiments ----------------------------------------------------------------------------------------


@router.post("/storage/clone")
def clone_template(wish: CloneWish, gateway: House, person: Editor) -> Response:
    """Clone a template; the id of the clone as plain text."""
    template = wish.expPath.strip("/").split("/")[0]
    id = gateway.storage.clone(gateway.templates.folder(template), template, person, published=True)
    return Response(id, media_type="text/plain")


@router.post("/storage/clone/{id}")
def clone_experiment(id: Id, gateway: House, person: Editor) -> dict[str, str]:
    """Clone an experiment."""
    storage = gateway.storage
    template = storage.about(id).template
    return {"clonedExp": storage.clone(storage.folder(id), template, person, published=True), "originalExp": id}


@router.post("/storage/importExperiment")
async def import_experiment(request: Request, gateway: House, person: Editor) -> dict[str, Any]:
    """Make an experiment of a zip file, with a folder at its top or none."""
    storage = gateway.storage
    async with received_zip(request, storage) as zipped:
        id = await run_in_threadpool(storage.receive, zipped, person, published=True)
        top = await run_in_threadpool(top_of, zipped)
    remarks = remarks_in((await run_in_threadpool(storage.read, id, FILE)).data.decode("utf-8"))
    # The published runner reads this as Python: texts and numbers only.
    return {
        "message": "\n".join(["the experiment has been imported", *remarks]),
        "zipBaseFolderName": top,
        "destFolderName": id,
        "newName": id,
    }


@router.put("/storage/experiments/{id}/rename")
def rename(id: Owned, wish: TitleWish, gateway: House) -> dict[str, str]:
    """Give an experiment another title; its id stays."""
    return {"name": gateway.storage.describe(id, title=wish.newSimulationName).title}


@router.delete("/storage/{id}")
async def delete_experiment(id: Owned, gateway: House) -> Response:
    """Delete an experiment with its recordings; a simulation of it that has ended may still be on its way out."""
    for simulation in gateway.simulations.running(id):
        if not await _gone(simulation):
            raise Problem(409, "conflict", f"the simulation {simulation.id} uses it: stop that first")
    await run_in_threadpool(gateway.storage.delete, id)
    return Response()


async def _gone(simulation: Simulation) -> bool:
    """Whether nothing of it runs any more, or in a moment."""
    return simulation.status.ended and await simulation.until(lambda: not simulation.occupies, _GONE_S)


# --- files ----------------------------------------------------------------------------------------------


@router.get("/storage/{id}")
def list_files(id: Id, gateway: House, person: Reader) -> list[dict[str, Any]]:
    """The files of an experiment, and what was kept of its recordings."""
    storage = gateway.storage
    found = [(file.path, file.bytes, file.changed_at) for file in storage.files(id)]
    for path in coach_recordings.kept_in(storage.held(id)):
        try:
            state = path.stat()
        except FileNotFoundError:
            continue  # deleted meanwhile
        changed = datetime.fromtimestamp(state.st_mtime, UTC).isoformat(timespec="milliseconds")
        found.append((f"recordings/{path.name}", state.st_size, changed))
    return [
        {"uuid": uuid_of(id, path), "name": path, "size": size, "type": "file", "modifiedOn": changed}
        for path, size, changed in found
    ]


@router.get("/storage/{id}/{name:path}")
def get_file(id: Id, name: str, gateway: House, person: Reader, byname: ByName = False) -> Response:
    """The bytes of a file, by its key or by its path."""
    held = gateway.storage.held(id)
    file = None if byname else run_file(held, id, name)
    if file is not None:
        return _of_run(file)
    path = name if byname else _path_of(gateway, id, name)
    headers = {"uuid": uuid_of(id, path)}
    kept = coach_recordings.kept(held, path)
    if kept is not None:
        return FileSoFar(kept, media_type=_media_type(path), headers=headers)
    return Response(gateway.storage.read(id, path).data, media_type=_media_type(path), headers=headers)


def _of_run(file: RunFile) -> Response:
    if file.path is not None:
        return FileSoFar(file.path, media_type=_media_type(file.name))
    return Response(file.data(), media_type=_media_type(file.name))


def _path_of(gateway: Gateway, id: str, key: str) -> str:
    """The path of the file with this key; what is no key is a path."""
    if not is_uuid(key):
        return key
    own = [file.path for file in gateway.storage.files(id)]
    kept = coach_recordings.paths_in(gateway.storage.held(id))
    return next((path for path in (*own, *kept) if uuid_of(id, path) == key), key)


@router.post("/storage/{id}/{name:path}")
async def put_file(
    id: Owned, name: str, request: Request, gateway: House, kind: Annotated[str, Query(alias="type")] = "file"
) -> dict[str, str]:
    """Write a file, whole."""
    storage = gateway.storage
    if kind != "file":
        raise Problem(422, "invalid", "send single files: folders come into being with them")
    data = await received_file(request, name, most_bytes(name))
    if is_text(name):
        data = text_of(data).encode("utf-8")
    if coach_recordings.is_note(name):
        await run_in_threadpool(coach_recordings.keep_note, storage.held(id), name, data)
    else:
        await run_in_threadpool(storage.write, id, name, data)
    return {"uuid": uuid_of(id, name), "name": name}


@router.delete("/storage/{id}/{name:path}")
def delete_file(id: Owned, name: str, gateway: House, byname: ByName = False) -> Response:
    """Delete a file."""
    held = gateway.storage.held(id)
    if not byname and run_file(held, id, name) is not None:
        raise Problem(409, "conflict", "files of runs go with their runs")
    path = name if byname else _path_of(gateway, id, name)
    kept = coach_recordings.kept(held, path)
    if kept is not None:
        kept.unlink(missing_ok=True)
    else:
        gateway.storage.remove(id, path)
    return Response()


def _media_type(path: str) -> str:
    if is_text(path) and PurePosixPath(path).suffix.lower() not in (".json", ".csv"):
        return "text/plain; charset=utf-8"
    return mimetypes.guess_type(path)[0] or "application/octet-stream"
