"""What is believed of the gateway of a job, and what is said of one that cannot be."""

import asyncio
import contextlib
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from services.gateway.jobs.serving_job import ServingJob
from services.gateway.people import SPEAKS_FOR, People, Person
from services.gateway.problems import Problem
from services.gateway.remote import job_servers
from services.gateway.remote.arrivals import Expected
from services.gateway.remote.job_server import LIMIT_S, JobServer
from services.gateway.storage import Storage
from tests.ports import free_port

from .job_gateway import in_time

SERVERS = [{"id": "j4", "title": "", "places": 2, "busy": 0, "cores": 8, "memory_gb": 16.0}]


class Answering(BaseHTTPRequestHandler):
    """Gives the answer that the test wants, whatever is asked."""

    def do_GET(self):
        body = self.server.answers.get(self.path.removeprefix("/api/"), self.server.answers["*"])
        status, kind, text = body if isinstance(body, tuple) else (200, "application/json", body)
        raw = text.encode() if isinstance(text, str) else json.dumps(text).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        with contextlib.suppress(OSError):  # who has heard enough goes
            self.wfile.write(raw)

    def log_message(self, *words):
        pass


@contextlib.contextmanager
def answering(answers):
    """The address of somebody who answers so; `*` is for all else."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    server.answers = answers
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def looked(url, then=None):
    """A JobServer after one look, and what `then` has made of it."""

    async def look():
        server = JobServer(ServingJob(id="j4", title="A job", url=url, token="t"))
        await server.look()
        try:
            return server, (await then(server) if then else None)
        finally:
            await server.close()

    return asyncio.run(look())


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"*": (200, "text/html", "<html>")}, "no gateway of a job"),
        ({"*": "nothing at all"}, "no gateway of a job"),
        ({"*": []}, "another version"),
        ({"*": {"places": 1}}, "another version"),
        ({"servers": SERVERS, "*": [{"id": "j4-s1"}]}, "another version"),
        ({"*": (401, "application/problem+json", {"detail": "who are you?"})}, "does not know the token"),
        ({"*": (302, "text/plain", "elsewhere")}, "status 302"),
        ({"*": (500, "application/problem+json", {"detail": 5})}, "status 500"),
        ({"*": (500, "application/problem+json", {"detail": "it is broken"})}, "it is broken"),
    ],
)
def test_whoever_answers_otherwise_is_not_ready_and_it_is_said_why(answers, words):
    with answering(answers) as url:
        server, _ = looked(url)
    assert not server.ready
    assert words in server.text
    assert (server.shown().ready, server.shown().kind, server.shown().places) == (False, "job", 1)


def test_nobody_there_is_told_of_with_the_time_since_when():
    server, _ = looked(f"http://127.0.0.1:{free_port()}")
    assert server.text.startswith("the job j4 has not answered since 2")
    assert "tried again" in server.text


def test_a_look_ends_within_its_limit():
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connections are made, and nobody speaks

        def look():
            server, _ = looked(f"http://127.0.0.1:{silent.getsockname()[1]}")
            assert "not answered within 2 s" in server.text

        assert in_time(look, LIMIT_S + 1.5)


def test_who_waits_for_a_job_that_is_closed_is_not_cancelled_with_it():
    async def run():
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}"
            server = JobServer(ServingJob(id="j4", title="A job", url=url, token="t"))
            waiting = asyncio.gather(server.look(), server.look())
            await asyncio.sleep(0.05)
            await server.close()
            assert await waiting == [None, None]
            await server.look()
            with pytest.raises(Problem) as problem:
                await server.ask("GET", "simulations")
            return problem.value

    assert asyncio.run(run()).status == 503


def test_simulations_of_others_are_not_taken_for_those_of_the_job():

    told = _simulation("j4-s1"), _simulation("s1"), _simulation("j5-s1")
    with answering({"servers": SERVERS, "*": list(told)}) as url:
        server, _ = looked(url)
    assert server.ready
    assert list(server.simulations) == ["j4-s1"]
    assert server.owner_of("j4-s1") == "otto"
    assert server.owner_of("s1") is None


def test_a_refusal_is_raised_as_it_came():
    refusal = (
        409,
        "application/problem+json",
        {"code": "busy", "detail": "all places are taken", "holders": ["j4-s1"]},
    )

    async def ask(server):
        with pytest.raises(Problem) as problem:
            await server.ask("GET", "experiments")
        return problem.value

    with answering({"servers": SERVERS, "simulations": [], "*": refusal}) as url:
        _, problem = looked(url, ask)
    assert (problem.status, problem.code, problem.detail) == (409, "busy", "all places are taken")
    assert problem.extra == {"holders": ["j4-s1"]}


def test_an_answer_that_does_not_come_in_time_is_a_problem():
    async def ask(server):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            server._client.base_url = f"http://127.0.0.1:{silent.getsockname()[1]}"
            with pytest.raises(Problem) as problem:
                await server.ask("GET", "experiments", seconds=0.2)
            return problem.value

    with answering({"servers": SERVERS, "simulations": [], "*": []}) as url:
        _, problem = looked(url, ask)
    assert (problem.status, problem.code) == (504, "peer_late")


class TestSpeakingForOthers:
    @pytest.mark.parametrize("person", [Person("otto", "owner"), Person("Ünal Ö: x", "viewer"), Person("a:b", "admin")])
    def test_who_is_meant_arrives(self, person, tmp_path):
        site = Person("site", "admin")
        assert person.as_header.isascii()
        assert People(tmp_path / "t", of_job=True).meant(site, person.as_header) == person

    def test_only_the_site_speaks_for_others_and_only_to_jobs(self, tmp_path):
        said = Person("ada", "admin").as_header
        for people, person in (
            (People(tmp_path / "t"), Person("site", "admin")),
            (People(tmp_path / "t", of_job=True), Person("otto", "owner")),
            (People.everyone(), Person("you", "admin")),
        ):
            assert people.meant(person, said) == person
        assert People(tmp_path / "t", of_job=True).meant(None, said) is None

    @pytest.mark.parametrize("said", ["otto", "king:otto", "owner:", ":otto", "owner:" + "x" * 2000])
    def test_what_cannot_be_understood_is_nobody(self, said, tmp_path):
        assert People(tmp_path / "t", of_job=True).meant(Person("site", "admin"), said) is None

    def test_the_name_of_the_header_is_in_small_letters(self):
        assert SPEAKS_FOR.islower()


def _simulation(sid):
    words = ("name", "experiment", "title", "server", "run", "recording", "text")
    times = {"created_at": "2026-11-22T01:00:00Z", "started_at": None, "ended_at": None}
    numbers = dict.fromkeys(("step", "t_s", "real_s", "real_time_factor", "dt_s", "recorded_bytes", "watchers"), 0)
    maps = {name: {} for name in ("launched", "spent_s", "function_s", "progress", "facts")}
    rest = {"problem": None, "limit": None, "warnings": [], "people": [], "outcome": "", "state": "paused"}
    return dict.fromkeys(words, "") | times | numbers | maps | rest | {"id": sid, "owner": "otto"}


def test_recordings_that_cannot_be_fetched_keep_nobody_else_from_being_fetched(tmp_path, monkeypatch):
    monkeypatch.setattr(job_servers, "_CATCH_UP_S", 0.01)
    asked = []

    async def completed_in(job, expected):
        asked.append(job)
        raise FileNotFoundError(2, "No such file or directory")

    async def run():
        servers = job_servers.JobServers(Storage(tmp_path), None, job_servers.no_jobs)
        servers._homecoming.completed_in = completed_in
        servers._homecoming.arrivals._jobs = {"j1": Expected(), "j2": Expected()}
        servers.open()
        try:
            async with asyncio.timeout(20):
                while len(asked) < 4:
                    await asyncio.sleep(0.01)
        finally:
            await servers.close()

    asyncio.run(run())
    assert asked[:4] == ["j1", "j2", "j1", "j2"]
