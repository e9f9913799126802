"""REST: templates, experiments, their files, checks and recordings; servers."""

import contextlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from reafference.process import usable_cores
from reafference.published import remarks_in

from .. import paths, picture, recordings, toml_lines
from ..cards import Card, card_of
from ..experiment_answers import (
    Checked,
    CloneWish,
    Experiment,
    Facts,
    FileShown,
    FileWritten,
    Found,
    LastRun,
    Limit,
    Name,
    NameWish,
    RecordingFile,
    RecordingsHeld,
    RecordingShown,
    Server,
    Uploaded,
)
from ..house import Gateway
from ..people import Editor, Person, Reader
from ..problems import Problem, not_found
from ..receiving import received_file, received_zip
from ..sending import FileSoFar
from ..storage import FILE, changed_ns, files_in, is_text, most_bytes, read_in
from ..tools import Tools
from .images import container_server

router = APIRouter(tags=["experiments"])

_BYTES = {"schema": {"type": "string", "format": "binary"}}
_RAW: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The bytes of the file",
        "content": {"text/plain": _BYTES, "application/octet-stream": _BYTES, "image/png": _BYTES},
    }
}
_PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"description": "A picture", "content": {"image/png": _BYTES, "image/svg+xml": _BYTES}}
}
_ZIP: dict[int | str, dict[str, Any]] = {
    200: {"description": "The files, without recordings", "content": {"application/zip": _BYTES}}
}
_OWN_PICTURE = "picture.png"
_CHECKS = ("engine", "brain")
_CHECK_S = 60.0
_EXPORT_S = 1800.0
_CHUNK = 256 * 1024


@router.get("/templates")
def list_templates(request: Request, person: Reader) -> list[Experiment]:
    """The experiments that are shipped."""
    return [_template(request, id) for id in _gateway(request).templates.ids()]


@router.get("/templates/{id}")
def get_template(id: str, request: Request, person: Reader) -> Experiment:
    """One of them."""
    return _template(request, id)


@router.get("/templates/{id}/picture", response_class=Response, responses=_PICTURE)
def get_template_picture(id: str, request: Request, person: Reader) -> Response:
    """What it looks like."""
    folder = _gateway(request).templates.folder(id)
    return _picture([folder / _OWN_PICTURE], lambda: card_of(folder))


@router.get("/templates/{id}/files")
def list_template_files(id: str, request: Request, person: Reader) -> list[FileShown]:
    """Its files."""
    return _files(_gateway(request).templates.folder(id))


@router.get("/templates/{id}/files/{path:path}", response_class=Response, responses=_RAW)
def get_template_file(id: str, path: str, request: Request, person: Reader) -> Response:
    """A file of it."""
    content = read_in(_gateway(request).templates.folder(id), path)
    return _raw(path, content.data, content.etag)


@router.get("/experiments")
def list_experiments(request: Request, person: Reader) -> list[Experiment]:
    """All experiments in the storage, the one changed last first."""
    found = []
    for id in _gateway(request).storage.ids():
        with contextlib.suppress(Problem):  # somebody deletes it in this very moment
            found.append(_experiment(request, id))
    return found


@router.post("/experiments", status_code=201)
def clone_experiment(wish: CloneWish, request: Request, person: Editor) -> Experiment:
    """Clone a template or an experiment."""
    gateway = _gateway(request)
    if wish.source in gateway.templates.ids():
        source, template = gateway.templates.folder(wish.source), wish.source
    else:
        source = gateway.storage.folder(wish.source)
        template = gateway.storage.about(wish.source).template
    return _experiment(request, gateway.storage.clone(source, template, person, wish.name))


@router.post(
    "/experiments/upload",
    status_code=201,
    openapi_extra={"requestBody": {"required": True, "content": {"application/zip": _BYTES}}},
)
async def upload_experiment(request: Request, person: Editor, name: Annotated[Name | None, Query()] = None) -> Uploaded:
    """Make an experiment of a zip file with an experiment.toml, or with one in the published form (an .exc file)."""
    storage = _gateway(request).storage
    async with received_zip(request, storage) as zipped:
        id = await run_in_threadpool(storage.receive, zipped, person, name)
    made = await run_in_threadpool(_experiment, request, id)
    text = (storage.folder(id) / FILE).read_text(encoding="utf-8")
    return Uploaded(**made.model_dump(), remarks=remarks_in(text))


@router.get("/experiments/{id}")
def get_experiment(id: str, request: Request, person: Reader) -> Experiment:
    """One experiment."""
    return _experiment(request, id)


@router.patch("/experiments/{id}")
def rename_experiment(id: str, wish: NameWish, request: Request, person: Editor) -> Experiment:
    """Give it another name or title; its id stays."""
    _own(request, person, id)
    if wish.name is None and wish.title is None:
        raise Problem(422, "invalid", "say which name or title it shall have")
    _gateway(request).storage.describe(id, name=wish.name, title=wish.title)
    return _experiment(request, id)


@router.delete("/experiments/{id}", status_code=204)
async def delete_experiment(id: str, request: Request, person: Editor) -> Response:
    """Delete it with its recordings."""
    await run_in_threadpool(_own, request, person, id)
    await _gateway(request).job_servers.look()
    _must_rest(request, id)
    await run_in_threadpool(_gateway(request).storage.delete, id)
    return Response(status_code=204)


@router.get("/experiments/{id}/download", response_class=Response, responses=_ZIP)
def download_experiment(id: str, request: Request, person: Reader) -> Response:
    """All its files as a zip file, without recordings."""
    zipped = _gateway(request).storage.download(id)

    def chunks() -> Any:
        with zipped:
            while chunk := zipped.read(_CHUNK):
                yield chunk

    headers = {"Content-Disposition": f'attachment; filename="{id}.zip"'}
    return StreamingResponse(chunks(), media_type="application/zip", headers=headers)


@router.get("/experiments/{id}/picture", response_class=Response, responses=_PICTURE)
def get_picture(id: str, request: Request, person: Reader) -> Response:
    """What its last run looked like; else the picture of its own or of its template, else a drawing of its parts."""
    gateway = _gateway(request)
    folder = gateway.storage.folder(id)
    held = gateway.storage.held(id)
    drawn = [held / rec / recordings.OVERVIEW for rec in recordings.ids_in(held)]
    template = _template_of(request, id)
    known = [folder / _OWN_PICTURE, *([template / _OWN_PICTURE] if template else [])]
    return _picture([*drawn, *known], lambda: card_of(folder, template))


@router.get("/experiments/{id}/files")
def list_files(id: str, request: Request, person: Reader) -> list[FileShown]:
    """Its files."""
    return _files(_gateway(request).storage.folder(id))


@router.get("/experiments/{id}/files/{path:path}", response_class=Response, responses=_RAW)
def get_file(id: str, path: str, request: Request, person: Reader) -> Response:
    """A file, as it is."""
    content = _gateway(request).storage.read(id, path)
    return _raw(path, content.data, content.etag)


@router.put(
    "/experiments/{id}/files/{path:path}",
    openapi_extra={"requestBody": {"required": True, "content": {"application/octet-stream": _BYTES}}},
    responses={201: {"model": FileWritten, "description": "The file is new"}},
)
async def put_file(
    id: str,
    path: str,
    request: Request,
    response: Response,
    person: Editor,
    if_match: Annotated[str | None, Header()] = None,
) -> FileWritten:
    """Write a file, whole. `If-Match` with the tag that was read keeps another person's change."""
    await run_in_threadpool(_own, request, person, id)
    paths.checked(path)
    data = await received_file(request, path, most_bytes(path))
    etag, new = await run_in_threadpool(_gateway(request).storage.write, id, path, data, if_match)
    response.status_code = 201 if new else 200
    response.headers["ETag"] = etag
    return FileWritten(path=path, bytes=len(data), etag=etag)


@router.delete("/experiments/{id}/files/{path:path}", status_code=204)
def delete_file(
    id: str, path: str, request: Request, person: Editor, if_match: Annotated[str | None, Header()] = None
) -> Response:
    """Delete a file."""
    _own(request, person, id)
    _gateway(request).storage.remove(id, path, if_match)
    return Response(status_code=204)


@router.post("/experiments/{id}/check")
def check_experiment(id: str, request: Request, person: Editor) -> Checked:
    """Look for mistakes in the experiment file and its scripts, without running them."""
    gateway = _gateway(request)
    folder = gateway.storage.folder(id)
    found = [problem for room in _CHECKS for problem in _ask(gateway.tools, room, folder)]
    return Checked(problems=[Found(**toml_lines.placed(problem, folder)) for problem in found])


@router.get("/experiments/{id}/recordings")
def list_recordings(id: str, request: Request, person: Reader) -> list[RecordingShown]:
    """Its recordings, newest first."""
    held = _gateway(request).storage.held(id)
    return [_recording(held / rec) for rec in recordings.ids_in(held)]


@router.get("/experiments/{id}/recordings/{rec}")
async def get_recording(id: str, rec: str, request: Request, person: Reader) -> RecordingShown:
    """One of them, with its files."""
    gateway = _gateway(request)
    await gateway.simulations.written(id, rec)
    return await run_in_threadpool(lambda: _recording(gateway.storage.recording(id, rec)))


@router.delete("/experiments/{id}/recordings/{rec}", status_code=204)
async def delete_recording(id: str, rec: str, request: Request, person: Editor) -> Response:
    """Delete a recording."""
    await run_in_threadpool(_own, request, person, id)
    await _gateway(request).simulations.written(id, rec)
    _must_rest(request, id, rec)
    await run_in_threadpool(_gateway(request).storage.delete_recording, id, rec)
    return Response(status_code=204)


@router.post("/experiments/{id}/recordings/{rec}/export")
async def export_recording(id: str, rec: str, request: Request, person: Editor) -> RecordingShown:
    """Make CSV, HDF5 and the figures of a recording; answers when that is done."""
    await run_in_threadpool(_own, request, person, id)
    await _gateway(request).simulations.written(id, rec)
    _must_rest(request, id, rec)
    return await run_in_threadpool(_export, _gateway(request), id, rec)


def _export(gateway: Gateway, id: str, rec: str) -> RecordingShown:
    folder = gateway.storage.recording(id, rec)
    told = gateway.tools.run("services.recorder", ["export", str(folder)], _EXPORT_S)
    if told.status:
        raise Problem(422, "bad_experiment", told.last_words)
    # A picture that cannot be drawn is no reason to keep the numbers back.
    gateway.tools.run("services.recorder", ["figures", str(folder)], _EXPORT_S)
    return _recording(folder)


@router.get("/experiments/{id}/recordings/{rec}/files/{path:path}", response_class=Response, responses=_RAW)
async def get_recording_file(id: str, rec: str, path: str, request: Request, person: Reader) -> Response:
    """A file of a recording, or a range of its bytes."""
    gateway = _gateway(request)
    await gateway.simulations.written(id, rec)
    return await run_in_threadpool(_recording_file, gateway, id, rec, path)


def _recording_file(gateway: Gateway, id: str, rec: str, path: str) -> Response:
    folder = gateway.storage.recording(id, rec)
    file = paths.inside(folder, paths.checked(path))
    if not file.is_file():
        raise not_found("file", path)
    return FileSoFar(file, media_type=_media_type(path), filename=file.name)


@router.get("/servers")
async def list_servers(request: Request, person: Reader) -> list[Server]:
    """Where a simulation can run."""
    gateway = _gateway(request)
    simulations = gateway.simulations
    cores, memory_gb = usable_cores(), round(_memory_bytes() / 1e9, 1)
    silent = await run_in_threadpool(simulations.stands.silent)
    return [
        Server(
            id=simulations.server,
            title="This machine",
            places=simulations.places,
            busy=simulations.busy,
            cores=cores,
            memory_gb=memory_gb,
            ready=not silent,
            text="; ".join(silent),
        ),
        *await container_server(simulations, cores, memory_gb),
        *await gateway.job_servers.servers(),
    ]


def _ask(tools: Tools, room: str, folder: Path) -> list[dict[str, Any]]:
    """What one room of the house finds wrong with an experiment."""
    told = tools.run(f"services.{room}.check", [str(folder)], _CHECK_S)
    try:
        found: list[dict[str, Any]] = json.loads(told.output)
    except ValueError:
        raise Problem(502, "peer_lost", f"the check of the {room} failed: {told.last_words}") from None
    return found


def _gateway(request: Request) -> Gateway:
    gateway: Gateway = request.app.state.gateway
    return gateway


def _own(request: Request, person: Person, id: str) -> None:
    about = _gateway(request).storage.about(id)
    person.must_own(about.owner, f"the experiment {id!r}")


def _must_rest(request: Request, id: str, rec: str | None = None) -> None:
    """Raises Problem 409 while a simulation of this experiment, or into this recording, is there."""
    for simulation in _gateway(request).simulations.running(id):
        if rec is None or (simulation.recording and simulation.recording.name == rec):
            raise Problem(409, "conflict", f"the simulation {simulation.id} uses it: stop that first")
    if rec is None and (running := _gateway(request).job_servers.running(id)):
        raise Problem(409, "conflict", f"the simulation {running[0]} uses it: stop that first")


def _experiment(request: Request, id: str) -> Experiment:
    storage = _gateway(request).storage
    folder, about = storage.folder(id), storage.about(id)
    card = card_of(folder, _template_of(request, id))
    held = [recordings.recording_in(storage.held(id) / rec) for rec in recordings.ids_in(storage.held(id))]
    return Experiment(
        id=id,
        name=about.name,
        title=about.title or card.title or about.name,
        template=about.template,
        owner=about.owner,
        recordings=RecordingsHeld(count=len(held), bytes=sum(one.bytes for one in held)),
        last_run=_last_run(held[0]) if held else None,
        **_common(folder, card),
    )


def _template(request: Request, id: str) -> Experiment:
    folder = _gateway(request).templates.folder(id)
    card = card_of(folder)
    return Experiment(
        id=id,
        name=id,
        title=card.title or id,
        template=id,
        owner="",
        recordings=RecordingsHeld(count=0, bytes=0),
        last_run=None,
        **_common(folder, card),
    )


def _common(folder: Path, card: Card) -> dict[str, Any]:
    return {
        "description": card.description,
        "tags": list(card.tags),
        "facts": Facts(
            cells=card.cells,
            synapses=card.synapses,
            populations=card.populations,
            muscles=card.muscles,
            functions=card.functions,
            camera=card.camera,
        ),
        "limit": None if card.limit is None else Limit(kind=card.limit[0], s=card.limit[1]),
        "changed_at": datetime.fromtimestamp(changed_ns(folder) / 1e9, UTC).isoformat(timespec="milliseconds"),
        "bytes": sum(file.bytes for file in files_in(folder)),
    }


def _template_of(request: Request, id: str) -> Path | None:
    gateway = _gateway(request)
    template = gateway.storage.about(id).template
    return gateway.templates.folder(template) if template in gateway.templates.ids() else None


def _last_run(recording: recordings.Recording) -> LastRun:
    return LastRun(
        recording=recording.id,
        started_at=recording.started_at,
        outcome=recording.outcome,
        steps=recording.steps,
        simulated_s=recording.simulated_s,
        text=recording.text,
    )


def _recording(folder: Path) -> RecordingShown:
    found = recordings.recording_in(folder)
    files = [RecordingFile(path=path, bytes=size) for path, size in recordings.files_of(folder)]
    fields = {name: getattr(found, name) for name in found.__slots__}
    return RecordingShown(**fields, files=files)


def _files(folder: Path) -> list[FileShown]:
    return [
        FileShown(path=file.path, bytes=file.bytes, changed_at=file.changed_at, text=file.text)
        for file in files_in(folder)
    ]


def _raw(path: str, data: bytes, etag: str) -> Response:
    return Response(data, media_type=_media_type(path), headers={"ETag": etag})


def _media_type(path: str) -> str:
    if is_text(path):
        return "text/plain; charset=utf-8"
    return "image/png" if path.lower().endswith(".png") else "application/octet-stream"


def _picture(drawn: list[Path], card: Any) -> Response:
    """The first picture that is there, else a drawing of the card."""
    for file in drawn:
        if file.is_file() and not file.is_symlink():
            with contextlib.suppress(FileNotFoundError):  # somebody deletes it in this very moment
                return Response(file.read_bytes(), media_type="image/png")
    return Response(picture.draw(card()), media_type="image/svg+xml")


def _memory_bytes() -> int:
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return 0
