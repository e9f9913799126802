"""What the gateway makes of the launcher of containers: that it stands, is full, is silent, says nonsense."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from reafference.stand_client import Stands
from services.gateway.container_places import container_places, must_have_place
from services.gateway.problems import Problem

SAID = {"event": "images", "images": ["0.9", "1.0", "0.8"], "own": "1.0", "most": 2, "running": 1}


@contextlib.asynccontextmanager
async def saying(folder: Path, answer: bytes | None) -> AsyncIterator[Stands]:
    """Somebody at the launcher's place who answers this, or (None) nothing."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert json.loads(await reader.readline()) == {"do": "images"}
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(talk, folder / "launcher.stand")
    try:
        yield Stands(folder)
    finally:
        server.close()


def told(folder: Path, answer: bytes | None, act: Callable[[Stands], Coroutine[Any, Any, Any]]) -> Any:
    async def both() -> Any:
        async with saying(folder, answer) as stands:
            return await act(stands)

    return asyncio.run(both())


def line(**fields: Any) -> bytes:
    return json.dumps({**SAID, **fields}).encode() + b"\n"


def test_where_no_launcher_has_ever_stood_there_is_none(tmp_path: Path) -> None:
    assert asyncio.run(container_places(Stands(tmp_path))) is None
    assert asyncio.run(container_places(Stands())) is None


def test_the_usual_version_comes_first(tmp_path: Path) -> None:
    there = told(tmp_path, line(), container_places)
    assert there.images == ("1.0", "0.8", "0.9")
    assert (there.ready, there.places, there.busy) == (True, 2, 1)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (None, "does not answer: not within 2 s"),
        (b"", "does not answer"),
        (b"nonsense\n", "does not answer"),
        (b"[]\n", "it says something else"),
        (b'{"event":"refused","text":"the container engine does not answer: no"}\n', "the container engine does not"),
        (line(images=[]), "make images"),
    ],
)
def test_a_launcher_that_is_of_no_use_says_why(tmp_path: Path, answer: bytes | None, sentence: str) -> None:
    there = told(tmp_path, answer, container_places)
    assert not there.ready
    assert sentence in there.text


def test_a_launcher_that_has_gone_leaves_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "launcher.stand").symlink_to(tmp_path / "nowhere" / "launcher.stand")
    there = asyncio.run(container_places(Stands(tmp_path)))
    assert there is not None
    assert there.text == "the launcher of containers does not answer: No such file or directory"


@pytest.mark.parametrize(
    ("answer", "image", "status", "sentence"),
    [
        (line(), "7.0", 422, "there are no images of version '7.0': there are 1.0, 0.8, 0.9"),
        (line(running=2), "", 409, "all 2 sets of containers are taken"),
        (b"", "", 503, "does not answer"),
    ],
)
def test_a_launch_that_cannot_be_is_refused_before_it_begins(
    tmp_path: Path, answer: bytes, image: str, status: int, sentence: str
) -> None:
    with pytest.raises(Problem) as refused:
        told(tmp_path, answer, lambda stands: must_have_place(stands, image))
    assert refused.value.status == status
    assert sentence in refused.value.detail


def test_a_launch_that_can_be_passes(tmp_path: Path) -> None:
    told(tmp_path, line(), lambda stands: must_have_place(stands, "0.9"))
