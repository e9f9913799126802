"""The launcher of containers as one more server of this one: whether it answers, its places, and its images."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reafference.errors import PeerLost
from reafference.stand_client import Stands

from .problems import Problem

LAUNCHER = "launcher"
_ANSWER_S = 2.0
_LONGEST = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerPlaces:
    """What the launcher says of itself. `images` are the versions one can choose, that which is taken otherwise first;
    `text` is why there are none."""

    ready: bool = True
    text: str = ""
    images: tuple[str, ...] = ()
    places: int = 0
    busy: int = 0


async def container_places(stands: Stands) -> ContainerPlaces | None:
    """Ask the launcher of containers, for at most two seconds; None where none has ever stood."""
    path = launcher_in(stands)
    if path is None:
        return None
    try:
        said = await asyncio.wait_for(_asked(path), _ANSWER_S)
    except (OSError, ValueError, TimeoutError) as error:
        reason = getattr(error, "strerror", None) or str(error) or f"not within {_ANSWER_S:g} s"
        return ContainerPlaces(ready=False, text=f"the launcher of containers does not answer: {reason}")
    except PeerLost as error:
        return ContainerPlaces(ready=False, text=error.text)
    own = str(said.get("own", ""))
    images = sorted((str(tag) for tag in said.get("images", ())), key=lambda tag: (tag != own, tag))
    places, busy = int(said.get("most", 0)), int(said.get("running", 0))
    text = "" if images else "there are no images to make containers of: make images"
    return ContainerPlaces(ready=bool(images), text=text, images=tuple(images), places=places, busy=busy)


async def must_have_place(stands: Stands, image: str) -> None:
    """Raises Problem if no set of containers can be had of this image version ("" for the usual one): 503 where the
    launcher does not answer, 422 for an unknown version, 409 where all places are taken."""
    there = await container_places(stands)
    if there is None or not there.ready:
        raise Problem(503, "unavailable", there.text if there else "there is no launcher of containers here")
    if image and image not in there.images:
        text = f"there are no images of version {image!r}: there are {', '.join(there.images)}"
        raise Problem(422, "invalid", text)
    if there.busy >= there.places:
        raise Problem(409, "busy", f"all {there.places} sets of containers are taken: stop a simulation, or wait")


def launcher_in(stands: Stands) -> Path | None:
    """The door of the launcher. It is a link, which is there, too, when the launcher is not."""
    if stands.folder is None:
        return None
    path = stands.folder / f"{LAUNCHER}.stand"
    return path if path.is_symlink() or path.exists() else None


async def _asked(path: Path) -> dict[str, Any]:
    reader, writer = await asyncio.open_unix_connection(path, limit=_LONGEST)
    try:
        writer.write(b'{"do":"images"}\n')
        await writer.drain()
        said = json.loads(await reader.readline())
    finally:
        writer.close()
    if isinstance(said, dict) and said.get("event") == "images":
        return said
    raise PeerLost(str(said.get("text")) if isinstance(said, dict) and "text" in said else "it says something else")
