"""A job is one more server: simulations on it are launched, seen and steered through ours. Both servers are real."""

import contextlib
import http.client
import io
import json
import time
import zipfile

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from services.gateway.remote.job_server import LIMIT_S

from .job_gateway import JobGateway, Site, Wire, in_time
from .runs import TRANSFER, Run, uploaded
from .watching import Listener


@pytest.fixture(scope="module")
def far(tmp_path_factory):
    with JobGateway(tmp_path_factory.mktemp("job"), places=3) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def site(tmp_path_factory, far):
    with Site(tmp_path_factory.mktemp("home"), [far.job()]) as opened:
        opened.ready()
        yield opened


@pytest.fixture(scope="module")
def limb(site):
    return uploaded(site.otto)


@pytest.fixture(scope="module")
def shared(site, limb):
    """One for the tests that leave it as they find it."""
    with Run(site.otto, limb, server="j4") as run:
        yield run.built()


def recordings(site, experiment):
    return {one["id"]: one for one in site.otto.get(f"/experiments/{experiment}/recordings").json()}


class TestServers:
    def test_a_job_is_listed_as_a_server_beside_this_machine(self, site):
        here, job = site.vera.get("/servers").json()
        assert (here["id"], here["kind"], here["ready"]) == ("local", "local", True)
        assert (job["id"], job["kind"], job["ready"], job["places"], job["text"]) == ("j4", "job", True, 3, "")
        assert job["cores"] > 0
        assert job["memory_gb"] > 0

    def test_an_unknown_server_is_not_found(self, site, limb):
        answer = site.otto.post("/simulations", json={"experiment": limb, "server": "j5"})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert "j5" in answer.json()["detail"]


class TestLaunch:
    def test_what_is_launched_there_runs_there_and_is_listed_here(self, site, far, shared):
        assert (shared.id.split("-")[0], shared.launched["owner"], shared.launched["server"]) == ("j4", "otto", "j4")
        assert shared.id in [one["id"] for one in site.vera.get("/simulations").json()]
        assert not site.gateway.simulations.all()
        held = far.home / "experiments" / shared.experiment
        assert (held / "transfer.py").read_text() == TRANSFER

    def test_it_is_started_paused_stepped_and_edited_from_here(self, site, shared):
        stepped = shared.post("/step", steps=3).json()
        assert (stepped["state"], stepped["step"]) == ("paused", 3)
        assert shared.request("PATCH", "/parameters", json={"strength": 0.75}).json()["strength"] == 0.75
        assert set(shared.functions()) == {"hold", "tell"}
        history = shared.get("/history")
        assert [one["by"] for one in history["edits"]] == ["otto"]

    def test_problems_of_the_job_come_as_they_are(self, shared):
        refused = shared.put("/limit", simulated_s=-1)
        assert refused.status_code == 422
        assert refused.headers["content-type"] == "application/problem+json"
        assert [one["where"] for one in refused.json()["errors"]] == ["simulated_s"]
        assert shared.request("GET", "/transfer-functions/none").json()["code"] == "not_found"

    def test_an_experiment_of_somebody_else_is_neither_sent_nor_launched(self, site, far):
        mine = uploaded(site.olga, name="olgas")
        answer = site.otto.post("/simulations", json={"experiment": mine, "server": "j4"})
        assert answer.status_code == 403
        assert not (far.home / "experiments" / mine).exists()

    def test_an_experiment_that_has_not_changed_is_not_sent_again(self, site, far, limb):
        with Run(site.otto, limb, server="j4") as run:
            run.built()
        before = (far.home / "experiments" / limb / "transfer.py").stat().st_ino
        with Run(site.otto, limb, server="j4") as run:
            run.built()
        assert (far.home / "experiments" / limb / "transfer.py").stat().st_ino == before

    def test_one_that_has_changed_is_what_runs_there(self, site, far):
        experiment = uploaded(site.otto, name="changing")
        with Run(site.otto, experiment, server="j4") as run:
            run.built()
        text = TRANSFER.replace("def tell", "def other")
        assert site.otto.put(f"/experiments/{experiment}/files/transfer.py", content=text.encode()).status_code == 200
        site.otto.put(f"/experiments/{experiment}/files/notes/more.txt", content=b"more")
        with Run(site.otto, experiment, server="j4") as run:
            assert set(run.built().functions()) == {"hold", "other"}
        site.otto.delete(f"/experiments/{experiment}/files/notes/more.txt")
        with Run(site.otto, experiment, server="j4") as run:
            run.built()
        assert not (far.home / "experiments" / experiment / "notes/more.txt").exists()

    def test_places_of_the_job_are_counted_there(self, site, limb, shared):
        with Run(site.otto, limb, server="j4"), Run(site.otto, limb, server="j4"):
            answer = site.otto.post("/simulations", json={"experiment": limb, "server": "j4"})
            assert (answer.status_code, answer.json()["code"]) == (409, "busy")
            assert site.server()["busy"] == 3

    def test_an_experiment_that_runs_on_a_job_is_not_deleted(self, site, shared):
        answer = site.otto.delete(f"/experiments/{shared.experiment}")
        assert answer.status_code == 409
        assert shared.id in answer.json()["detail"]


class TestRights:
    def test_who_does_not_own_it_may_watch_and_not_steer(self, site, shared):
        path = f"/simulations/{shared.id}"
        for name in ("olga", "vera"):
            person = getattr(site, name)
            assert person.get(path).status_code == 200
            assert person.put(f"{path}/state", json={"state": "stopped"}).status_code == 403
            assert person.post(f"{path}/transfer-functions", json={"source": "x"}).status_code == 403
            assert person.delete(path).status_code == 403
        assert site.nobody.get(path).status_code == 401
        assert site.ada.post(f"{path}/step").status_code == 200

    def test_nobody_speaks_in_anothers_name(self, site, far, shared):
        headers = {"reafference-for": "admin:ada"}
        answer = site.olga.put(f"/simulations/{shared.id}/state", json={"state": "stopped"}, headers=headers)
        assert answer.status_code == 403
        answer = site.olga.get("/me", headers=headers)
        assert answer.json()["name"] == "olga"

    def test_the_job_itself_keeps_owners_apart(self, far, site, shared):
        site_here = far.client()
        url = f"/simulations/{shared.id}/state"
        refused = site_here.put(url, json={"state": "stopped"}, headers={"reafference-for": "owner:olga"})
        assert refused.status_code == 403
        strange = site_here.get("/me", headers={"reafference-for": "king:olga"})
        assert strange.status_code == 401

    @pytest.mark.parametrize("rest", ["../../tokens", "..%2F..%2Ftokens", "%2e%2e/%2e%2e/tokens", "brain//save", "."])
    def test_no_path_leads_elsewhere(self, site, shared, rest):
        # Some clients take dots away; this one sends what it is told to.
        connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=20)
        head = {"Authorization": f"Bearer {site.secrets['ada']}"}
        connection.request("GET", f"/api/simulations/{shared.id}/{rest}", headers=head)
        assert connection.getresponse().status == 404
        connection.close()

    def test_only_sites_send_copies(self, site, far, limb):
        assert site.ada.get(f"/copies/{limb}").status_code == 404
        assert site.otto.get(f"/copies/{limb}").status_code == 403
        assert far.client().get(f"/copies/{limb}").status_code in (200, 404)


class TestSaving:
    def test_functions_saved_there_are_in_the_experiment_here(self, site):
        experiment = uploaded(site.otto, name="saving")
        with Run(site.otto, experiment, server="j4") as run:
            run.built()
            source = run.functions()["hold"]["source"].replace("FACTOR *", "0.5 * FACTOR *")
            assert run.put("/transfer-functions/hold", source=source).status_code == 200
            assert not run.functions()["hold"]["saved"]
            # What somebody else has changed here meanwhile is kept.
            site.ada.put(f"/experiments/{experiment}/files/notes.txt", content=b"kept")
            saved = run.post("/transfer-functions/save")
            assert saved.json() == {"file": "transfer.py", "changed": True}
            assert run.functions()["hold"]["saved"]
        text = site.otto.get(f"/experiments/{experiment}/files/transfer.py").text
        assert text == TRANSFER.replace("return FACTOR *", "return 0.5 * FACTOR *")
        assert site.otto.get(f"/experiments/{experiment}/files/notes.txt").text == "kept"


class TestStream:
    def test_the_stream_of_a_job_is_followed_from_here(self, site, shared):
        with Listener(site.url, shared.id, site.secrets["vera"]).subscribe("body/joints", "run/start") as heard:
            shared.put("/state", state="started")
            heard.until(lambda: len(heard.of("body/joints")) > 5)
            shared.put("/state", state="paused")
            heard.until(lambda: heard.simulation and heard.simulation["state"] == "paused")
            assert heard.of("run/start")
            assert "vera" in shared.get()["people"]
            assert heard.simulation["id"] == shared.id

    def test_a_wrong_token_and_an_unknown_simulation_close_it(self, site, shared):
        for sid, token, code in ((shared.id, "wrong", 4401), ("j4-s99", site.secrets["vera"], 4404)):
            with Listener(site.url, sid, token) as heard, pytest.raises(ConnectionClosed) as closed:
                heard.listen(20)
            assert closed.value.rcvd.code == code

    def test_a_message_that_cannot_be_understood_is_refused_by_the_job(self, site, shared):
        with Listener(site.url, shared.id, site.secrets["vera"]) as heard:
            heard.socket.send("{")
            with pytest.raises(ConnectionClosed) as closed:
                heard.listen(20)
        assert closed.value.rcvd.code == 1003

    def test_a_listener_who_takes_nothing_does_not_pile_up_here(self, site, shared):
        url = f"{site.url.replace('http', 'ws', 1)}/api/simulations/{shared.id}/stream"
        head = {"Authorization": f"Bearer {site.secrets['vera']}"}
        streams = [{"topic": "body/joints"}, {"topic": "body/muscles"}]
        with connect(url, additional_headers=head, compression=None, subprotocols=["reafference.1"]) as stuck:
            stuck.send(json.dumps({"do": "subscribe", "streams": streams}))
            shared.put("/state", state="started")
            with Listener(site.url, shared.id, site.secrets["olga"]).subscribe("body/joints") as heard:
                heard.until(lambda: len(heard.of("body/joints")) > 20)
            shared.put("/state", state="paused")
            # Without a word of having used them, four batches are all that come.
            messages = []
            with contextlib.suppress(TimeoutError):
                while True:
                    messages.append(stuck.recv(1.5))
            assert 1 <= sum(isinstance(one, bytes) for one in messages) <= 4


class TestRecordings:
    def test_a_recording_comes_home_when_its_run_has_ended(self, site, far):
        experiment = uploaded(site.otto, name="recorded")
        with Run(site.otto, experiment, server="j4", steps=20, pace=0, start=True) as run:
            ended = run.ended()
            assert ended["outcome"] == "finished"
            site.until(lambda: ended["recording"] in recordings(site, experiment))
        there = far.home / "experiments" / experiment / "recordings" / ended["recording"]
        here = site.home / "experiments" / experiment / "recordings" / ended["recording"]
        for file in there.rglob("*"):
            if file.is_file():
                assert (here / file.relative_to(there)).read_bytes() == file.read_bytes(), file.name
        found = recordings(site, experiment)[ended["recording"]]
        assert (found["outcome"], found["steps"]) == ("finished", 20)
        assert not any("recording" in words for words in run.get()["warnings"])
        assert [entry.name for entry in here.parent.iterdir()] == [ended["recording"]]

    def test_one_that_is_still_there_is_shown_from_there(self, site, far, shared):
        shared.post("/step", steps=2)
        place = f"/experiments/{shared.experiment}/recordings/{shared.get()['recording']}"
        assert shared.get()["recording"] not in recordings(site, shared.experiment)
        shown = site.vera.get(place)
        assert (shown.status_code, shown.json()["outcome"]) == (200, "")
        part = site.vera.get(f"{place}/files/recording.mcap", headers={"Range": "bytes=1-4"})
        assert (part.status_code, part.content) == (206, b"MCAP")
        assert site.nobody.get(place).status_code == 401
        assert site.otto.delete(place).status_code == 404

    def test_every_recording_of_a_run_that_was_reset_comes_home(self, site):
        experiment = uploaded(site.otto, name="reset")
        with Run(site.otto, experiment, server="j4") as run:
            first = run.built().post("/step", steps=2).json()["recording"]
            second = run.post("/reset", what="full").json()["recording"]
            run.post("/step", steps=2)
        assert first != second
        site.until(lambda: {first, second} <= set(recordings(site, experiment)))

    def test_one_that_was_deleted_here_does_not_come_again(self, site):
        experiment = uploaded(site.otto, name="deleted")
        with Run(site.otto, experiment, server="j4", steps=3, start=True) as run:
            recording = run.ended()["recording"]
        site.until(lambda: recording in recordings(site, experiment))
        assert site.otto.delete(f"/experiments/{experiment}/recordings/{recording}").status_code == 204
        with Run(site.otto, experiment, server="j4", steps=3, start=True) as run:
            another = run.ended()["recording"]
        site.until(lambda: another in recordings(site, experiment))
        assert recording not in recordings(site, experiment)

    def test_where_it_cannot_come_the_run_says_why_and_where_it_lies(self, site, far):
        experiment = uploaded(site.otto, name="orphan")
        with Run(site.otto, experiment, server="j4", steps=3) as run:
            run.built()
            # Deleted behind our back, as somebody with a shell can.
            folder = site.home / "experiments" / experiment
            folder.rename(site.home / "away")
            run.put("/state", state="started")
            run.ended()
            told = site.until(lambda: [one for one in run.get()["warnings"] if "could not be fetched" in one])
        assert str(far.folder) in told[0]
        assert experiment in told[0]


class TestDownloads:
    def test_a_large_answer_passes_through_as_it_is(self, site, far):
        experiment = uploaded(site.otto, name="long")
        with Run(site.otto, experiment, server="j4", steps=400, pace=0, start=True) as run:
            run.ended()
            through = run.request("GET", "/data.csv", params={"stream": "body/joints"})
            direct = far.client().get(f"/simulations/{run.id}/data.csv", params={"stream": "body/joints"})
            assert through.status_code == 200
            assert through.content == direct.content
            assert through.headers["content-disposition"] == direct.headers["content-disposition"]
            assert through.headers["x-content-type-options"] == "nosniff"
            assert len(through.headers.get_list("content-security-policy")) == 1
            assert len(through.headers.get_list("date")) == 1
            assert run.request("GET", "/log/body").status_code == 200


class TestBrokenLines:
    @pytest.fixture
    def far(self, tmp_path):
        with JobGateway(tmp_path / "job") as gateway:
            yield gateway

    @pytest.fixture
    def wire(self, far):
        with Wire(far.url) as wire:
            yield wire

    @pytest.fixture
    def site(self, tmp_path, far, wire):
        with Site(tmp_path / "home", [far.job(wire.url)]) as site:
            site.ready()
            yield site

    def test_a_run_goes_on_while_the_line_is_cut_and_is_found_again(self, site, wire):
        with Run(site.otto, uploaded(site.otto), server="j4") as run:
            run.built().put("/state", state="started")
            with Listener(site.url, run.id, site.secrets["otto"]).subscribe("body/joints") as heard:
                heard.until(lambda: heard.of("body/joints"))
                wire.cut()
                with pytest.raises(ConnectionClosed) as closed:
                    heard.listen(20)
                assert closed.value.rcvd.code == 1013  # none of the codes after which the page gives up
                assert "j4" in closed.value.rcvd.reason
            before = heard.simulation["step"]
            refused = run.request("GET")
            assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
            assert "connection to job j4 is interrupted since 2" in refused.json()["detail"]
            server = site.server()
            assert not server["ready"]
            assert "interrupted" in server["text"]
            listed = site.vera.get("/simulations").json()
            assert [one["id"] for one in listed] == [run.id]
            assert any("interrupted" in words for words in listed[0]["warnings"])
            wire.mend()
            site.ready()
            with Listener(site.url, run.id, site.secrets["otto"]).subscribe("body/joints") as heard:
                heard.until(lambda: heard.of("body/joints"))
            now = run.get()
            assert (now["state"], now["problem"]) == ("started", None)
            assert now["step"] > before
            assert not any("interrupted" in words for words in now["warnings"])

    def test_a_silent_line_delays_nobody_and_ends_what_waits(self, site, wire):
        with Run(site.otto, uploaded(site.otto), server="j4") as run:
            run.built()
            with Listener(site.url, run.id, site.secrets["otto"]) as heard:
                heard.until(lambda: heard.simulation)
                wire.silence()
                began = time.monotonic()
                site.until(lambda: not site.server()["ready"])
                assert time.monotonic() - began < 5 * LIMIT_S
                began = time.monotonic()
                for _ in range(5):
                    site.vera.get("/servers")
                    site.vera.get("/simulations")
                # A job that is known to be silent is not waited for.
                assert time.monotonic() - began < 5 * LIMIT_S
                answer = run.request("GET", "/history")
                assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
                with pytest.raises(ConnectionClosed) as closed:
                    heard.listen(30)
                assert closed.value.rcvd.code == 1013
            wire.speak()
            site.ready()
            assert run.post("/step").json()["step"] == 1

    def test_a_recording_goes_on_coming_where_it_was_broken_off(self, site, far, wire):
        experiment = uploaded(site.otto)
        with Run(site.otto, experiment, server="j4", steps=6000, pace=0) as run:
            run.built()
            big = far.home / "experiments" / experiment / "recordings" / run.get()["recording"] / "large.bin"
            big.write_bytes(bytes(range(256)) * 400_000)  # as an export would
            run.put("/state", state="stopped")
            arriving = site.home / "experiments" / experiment / "recordings"
            part = site.until(
                lambda: next((f for f in arriving.glob(".arriving-*/large.bin") if f.stat().st_size), None)
            )
            wire.cut()
            broken_off = part.stat().st_size
            told = site.until(lambda: site.vera.get("/simulations").json()[0]["warnings"])
            assert any("recording" in words for words in told)
            carried = wire.carried
            wire.mend()
            site.until(lambda: recordings(site, experiment))
        found = next(arriving.glob("*/large.bin"))
        assert found.read_bytes() == big.read_bytes()
        if broken_off > 50_000_000:
            assert wire.carried - carried < 80_000_000

    def test_a_job_that_ends_leaves_its_recordings_and_what_was_known(self, site, far):
        experiment = uploaded(site.otto)
        run = Run(site.otto, experiment, server="j4")
        run.built().put("/state", state="started")
        run.until(lambda now: now["step"] > 5)
        site.jobs.clear()
        far.end()  # stops its run in order
        site.until(lambda: recordings(site, experiment))
        ended = site.until(lambda: (now := run.get())["state"] == "stopped" and now)
        assert ended["recording"] in recordings(site, experiment)
        assert run.id in [one["id"] for one in site.vera.get("/simulations").json()]
        assert run.post("/step").json()["code"] == "out_of_order"
        with Listener(site.url, run.id, site.secrets["otto"]) as heard:
            heard.until(lambda: heard.simulation and heard.simulation["state"] == "stopped")
        assert site.server() is None
        assert site.olga.delete(f"/simulations/{run.id}").status_code == 403
        assert run.request("DELETE").status_code == 204
        assert run.request("GET").status_code == 404

    def test_a_run_whose_gateway_alone_was_killed_ends_in_order(self, site, far):
        experiment = uploaded(site.otto)
        run = Run(site.otto, experiment, server="j4")
        run.built().put("/state", state="started")
        run.until(lambda now: now["step"] > 5)
        site.jobs.clear()
        far.process.kill()
        far.process.wait()
        site.until(lambda: site.server() is None)
        with Listener(site.url, run.id, site.secrets["otto"]) as heard:
            heard.until(lambda: heard.simulation and heard.simulation["state"] == "stopped")
        (found,) = recordings(site, experiment).values()
        assert found["outcome"] == "stopped"
        assert found["steps"] > 5
        assert run.get()["recording"] == found["id"]

    def test_what_a_job_that_was_lost_has_written_comes_home_and_can_be_read(self, site, far):
        experiment = uploaded(site.otto)
        run = Run(site.otto, experiment, server="j4")
        run.built().put("/state", state="started")
        run.until(lambda now: now["step"] > 40)  # so that the first of them have been written
        site.jobs.clear()
        far.lose()
        site.until(lambda: site.server() is None)
        with Listener(site.url, run.id, site.secrets["otto"]) as heard:
            heard.until(lambda: heard.simulation and heard.simulation["state"] == "halted")
        (found,) = recordings(site, experiment).values()
        assert found["outcome"] == "fault"
        assert found["steps"] > 5
        assert run.get()["recording"] == found["id"]

    def test_of_two_jobs_one_that_is_silent_does_not_hold_up_the_other(self, site, far, wire, tmp_path):
        with JobGateway(tmp_path / "other", "j5") as other:
            site.jobs.append(other.job())
            site.ready("j5")
            experiment = uploaded(site.otto)
            with Run(site.otto, experiment, server="j4") as one, Run(site.otto, experiment, server="j5") as two:
                one.built()
                two.built()
                assert {one.id, two.id} == {"j4-s1", "j5-s1"}
                wire.silence()
                site.until(lambda: not site.server("j4")["ready"])
                steps = []

                def use_the_other():
                    steps.append(two.post("/step").json()["step"])
                    assert site.server("j5")["ready"]

                assert in_time(use_the_other, LIMIT_S)
                assert steps == [*range(1, len(steps) + 1)]
                wire.speak()
                site.ready("j4")

    def test_a_server_that_is_started_anew_fetches_what_it_has_missed(self, tmp_path, far):
        with Site(tmp_path / "other", [far.job()]) as site:
            site.ready()
            experiment = uploaded(site.otto)
            run = Run(site.otto, experiment, server="j4")
            run.built().post("/step", steps=4)
            site.until(lambda: (site.home / "arrivals.json").exists())
        far.end()
        with Site(tmp_path / "other") as again:
            again.until(lambda: recordings(again, experiment))


class TestZips:
    def test_a_zip_that_cannot_be_taken_changes_nothing_there(self, site, far, limb):
        client = far.client()
        held = far.home / "experiments" / limb / "transfer.py"
        before = held.read_bytes()
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as zipped:
            zipped.writestr("other.txt", "no experiment")
        url = f"/copies/{limb}"
        for body in (b"no zip", stream.getvalue()):
            answer = client.put(url, params={"name": "limb", "owner": "otto"}, content=body)
            assert answer.status_code == 422
        strange = client.put("/copies/.hidden", params={"name": "limb", "owner": "otto"}, content=b"")
        assert strange.status_code == 422
        assert held.read_bytes() == before
