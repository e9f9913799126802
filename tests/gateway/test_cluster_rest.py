"""The cluster and its jobs behind the server's door: who may do what, and what is answered."""

import time

import pytest

from services.gateway.cluster import Cluster
from services.gateway.jobs.settings import ClusterSettings

from .doors import Door
from .hand_scheduler import Hand, say, serve

WISH = {"nodes": 1, "time_s": 600, "title": "a small one"}


@pytest.fixture
def hand():
    return Hand()


@pytest.fixture
def door(tmp_path, hand):
    settings = ClusterSettings(
        scheduler="slurm",
        title="Mini",
        folder=str(tmp_path / "shared"),
        python=str(tmp_path / "python"),
        poll_s=0.2,
        stop_s=1,
    )
    home = tmp_path / "home"
    home.mkdir()
    cluster = Cluster(home, settings, hand)
    made = Door(home, serving=cluster.serving)
    made.gateway.cluster = cluster
    with made:
        yield made


@pytest.fixture
def bare(tmp_path):
    with Door(tmp_path / "home") as made:
        yield made


def until(door, id, state):
    end = time.monotonic() + 10.0
    while (job := door.vera.get(f"/jobs/{id}").json())["state"] != state:
        assert time.monotonic() < end, job
        time.sleep(0.02)
    return job


def test_without_a_cluster_nothing_is_there_and_nothing_is_taken(bare):
    assert bare.vera.get("/cluster").json()["connected"] is False
    assert bare.vera.get("/cluster/nodes").json() == []
    assert bare.vera.get("/jobs").json() == []
    told = bare.otto.post("/jobs", json=WISH)
    assert (told.status_code, told.json()["code"]) == (409, "conflict")
    assert "cluster.toml" in told.json()["detail"]


def test_the_cluster_tells_what_a_job_may_ask_for(door):
    told = door.vera.get("/cluster").json()
    assert (told["connected"], told["title"], told["scheduler"], told["problem"]) == (True, "Mini", "slurm", "")
    assert told["partitions"] == [{"name": "debug", "nodes": 4, "time_limit_s": None, "default": True}]
    assert (told["runtimes"], told["defaults"]["partition"], told["tunnel"]) == (["none"], "debug", False)
    assert (told["limits"]["nodes"], told["limits"]["cores_per_node"]) == (3, 4)


def test_a_job_from_its_submission_to_its_end(door, hand):
    told = door.otto.post("/jobs", json=WISH)
    assert told.status_code == 201
    job = told.json()
    assert (job["id"], job["owner"], job["state"], job["title"]) == ("j1", "otto", "waiting", "a small one")
    assert (job["nodes"], job["limit_s"], job["runtime"], job["server"]) == (1, 600, "none", None)
    hand.run("100")
    folder = hand.jobs["100"]
    serve(folder)
    (folder / "log").write_text("one\ntwo\nthree\n")
    job = until(door, "j1", "serving")
    assert (job["server"], job["node_names"], job["ready_after_s"]) == ("j1", ["n0", "n1"], 2.5)
    assert [node["jobs"] for node in door.vera.get("/cluster/nodes").json()] == [["j1"], ["j1"], [], []]
    assert "j1" in [server["id"] for server in door.vera.get("/servers").json()]
    log = door.vera.get("/jobs/j1/log", params={"lines": 2})
    assert (log.text, log.headers["content-type"]) == ("two\nthree\n", "text/plain; charset=utf-8")

    ending = door.otto.delete("/jobs/j1")
    assert (ending.status_code, ending.json()["state"]) == (202, "ending")
    say(folder, state="ended", text="it was asked to end", exit_status=0)
    hand.end("100", "COMPLETED")
    job = until(door, "j1", "aborted")
    assert job["exit_status"] == 0
    assert door.otto.delete("/jobs/j1").status_code == 204
    assert door.vera.get("/jobs").json() == []
    assert door.vera.get("/jobs/j1").status_code == 404


def test_who_only_watches_and_who_owns_another_job_changes_nothing(door, hand):
    assert door.vera.post("/jobs", json=WISH).status_code == 403
    assert door.nobody.get("/jobs").status_code == 401
    door.otto.post("/jobs", json=WISH)
    assert door.vera.delete("/jobs/j1").status_code == 403
    assert door.olga.delete("/jobs/j1").status_code == 403
    assert hand.cancelled == []
    assert door.ada.delete("/jobs/j1").status_code == 202
    until(door, "j1", "aborted")


def test_the_experiment_of_a_job_must_be_ones_own(door):
    other = door.olga.post("/experiments", json={"source": "mouse_reach"}).json()["id"]
    told = door.otto.post("/jobs", json=WISH | {"experiment": other})
    assert told.status_code == 403
    assert door.otto.post("/jobs", json=WISH | {"experiment": "none_of_this"}).status_code == 404
    assert door.vera.get("/jobs").json() == []


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"nodes": 0}, "nodes"),
        ({"time_s": 5}, "time_s"),
        ({"title": "two\nlines"}, "title"),
        ({"partition": "a b; rm -rf"}, "partition"),
        ({"account": "$(id)"}, "account"),
        ({"runtime": "podman"}, "runtime"),
        ({"colour": "red"}, "colour"),
        ({"nodes": 9}, "nodes: 9 is more than a job may have here, which is 3"),
        ({"partition": "debgu"}, "did you mean 'debug'"),
    ],
)
def test_a_wish_that_cannot_be_meant_is_refused_with_its_key(door, wish, words):
    told = door.otto.post("/jobs", json=WISH | wish)
    assert (told.status_code, told.json()["code"]) == (422, "invalid")
    assert words in told.json()["detail"]
