"""Files that grow while they are sent."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI, Response

from services.gateway import problems
from services.gateway.sending import FileSoFar

CHUNK = FileSoFar.chunk_size


def sent(path, grow, **headers):
    """Status, announced length, and bytes of the answer, `grow` being called after its head."""
    scope = {
        "type": "http",
        "method": "GET",
        "asgi": {"spec_version": "2.4"},
        "headers": [(key.encode(), value.encode()) for key, value in headers.items()],
    }
    messages = []

    async def send(message):
        messages.append(message)
        if message["type"] == "http.response.start":
            grow()

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    asyncio.run(FileSoFar(path)(scope, receive, send))
    head = dict(messages[0]["headers"])
    assert messages[-1].get("more_body") is False
    return messages[0]["status"], int(head[b"content-length"]), b"".join(one["body"] for one in messages[1:])


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
@pytest.mark.parametrize("more", [0, 1, CHUNK, 2 * CHUNK + 7])
def test_what_was_there_is_sent_and_no_more(tmp_path, size, more):
    path = tmp_path / "table.csv"
    path.write_bytes(b"a" * size)

    def grow():
        with path.open("ab") as file:
            file.write(b"b" * more)

    assert sent(path, grow) == (200, size, b"a" * size)


def test_a_range_is_sent_as_ever(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(b"0123456789")
    assert sent(path, lambda: None, range="bytes=2-4") == (206, 3, b"234")


def test_a_file_that_is_deleted_after_a_look_is_not_found(tmp_path):
    app = FastAPI()
    problems.install(app)

    @app.get("/file", response_class=Response)
    def file():
        return FileSoFar(tmp_path / "table.csv", filename="table.csv")

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return await client.get("/file")

    answer = asyncio.run(ask())
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert "'table.csv'" in answer.json()["detail"]
