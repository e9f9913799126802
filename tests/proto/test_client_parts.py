"""reafference.client: the parts that need no server."""

import subprocess
import sys
import threading
import tomllib
from pathlib import Path

import numpy as np
import pytest

from reafference import client, codec
from reafference.client import session, standalone, tables, tokens, tomltext
from reafference.client.live import Feed, Live, Sample, Wish, _Known
from reafference.client.refusals import failure, refusal
from reafference.frames import Message, Stream
from reafference.topics import Topic


def sample(step, topic="body/joints"):
    return Sample(topic, Stream(step=step, t_ns=step * 20_000_000, arrays={"position": np.array([step / 10])}))


def received(step, *, run="7f3a", topic="body/joints", seq=None):
    frame = Stream(step=step, t_ns=step * 20_000_000, arrays={})
    service, _, stream = topic.partition("/")
    name = Topic(run, service, stream).wire()
    return codec.decode(codec.encode(frame, run=run, src=service, seq=seq or step, topic=name).parts())


class TestRefusals:
    @pytest.mark.parametrize(
        ("status", "code", "kind"),
        [
            (401, "unauthorized", client.Unauthorized),
            (403, "forbidden", client.Forbidden),
            (404, "not_found", client.NotFound),
            (409, "out_of_order", client.Conflict),
            (409, "busy", client.Busy),
            (412, "conflict", client.Changed),
            (413, "too_large", client.TooLarge),
            (422, "bad_experiment", client.Invalid),
            (502, "peer_lost", client.ServerError),
        ],
    )
    def test_each_status_has_a_class_of_its_own(self, status, code, kind):
        error = refusal(status, {"code": code, "detail": "no"})
        assert type(error) is kind
        assert (error.status, error.code, str(error)) == (status, code, "no")

    def test_an_error_in_a_script_shows_its_place(self):
        problem = {
            "detail": "name 'volt' is not defined",
            "file": "transfer.py",
            "line": 8,
            "line_text": "  return volt",
        }
        error = refusal(422, problem)
        assert (error.file, error.line, error.line_text) == ("transfer.py", 8, "  return volt")
        assert str(error) == "name 'volt' is not defined (transfer.py, line 8: return volt)"

    def test_a_place_that_the_text_has_is_not_said_twice(self):
        assert str(refusal(422, {"detail": "brain.py, line 3: oh", "file": "brain.py", "line": 3})).count("line 3") == 1

    def test_an_answer_that_is_no_problem_still_has_a_text(self):
        assert str(refusal(502, {})) == "the server answered with the status 502"

    def test_a_failed_simulation_says_why(self):
        error = failure({"detail": "no module named 'nst'", "source": "brain", "line": 2}, "")
        assert isinstance(error, client.Failed)
        assert error.line == 2
        assert str(failure(None, "the brain is gone")) == "the brain is gone"


class TestTables:
    def test_columns_have_the_kind_that_their_cells_allow(self):
        found = tables.columns("step,t_s,population,gap\n0,0.02,M1,\n1,0.04,S1,2.5\n")
        assert found["step"].dtype == np.int64
        assert found["t_s"].tolist() == [0.02, 0.04]
        assert found["population"].tolist() == ["M1", "S1"]
        assert np.isnan(found["gap"][0])
        assert found["gap"][1] == 2.5

    def test_a_row_that_is_still_being_written_is_left_out(self):
        assert tables.columns("a,b\n1,2\n3")["a"].tolist() == [1]

    def test_numbers_too_large_for_int64_become_floats(self):
        assert tables.columns("a\n99999999999999999999\n")["a"].dtype == np.float64

    def test_a_head_without_rows_gives_empty_columns(self):
        found = tables.columns("a,b\n")
        assert list(found) == ["a", "b"]
        assert len(found["a"]) == 0
        assert tables.columns("") == {}

    def test_columns_become_one_structured_array(self):
        table = tables.structured(tables.columns("step,name\n0,a\n1,bb\n"))
        assert table["step"].tolist() == [0, 1]
        assert table[1]["name"] == "bb"
        assert len(tables.structured({})) == 0


class TestToml:
    def test_what_is_written_is_read_again(self):
        document = {
            "experiment": {"name": "b", "steps": 10**9, "step_ms": 10.0, "on": True, "text": 'a "quote"\n\\ é \x7f'},
            "brain": {
                "parameters": {"rates": [1.5, 2], "limit": float("inf"), "odd key!": -1, "nested": {"deep": {}}},
                "sinks": {"raster": {"kind": "spike_recorder", "sources": ["*"], "where": [{"a": 1}]}},
            },
        }
        assert tomllib.loads(tomltext.dumps(document)) == document

    def test_what_toml_has_no_form_for_is_refused(self):
        with pytest.raises(TypeError, match="NoneType"):
            tomltext.dumps({"a": None})


class TestTokens:
    def test_the_environment_comes_before_the_file(self, tmp_path):
        environ = {"XDG_CONFIG_HOME": str(tmp_path)}
        assert tokens.find(environ) == ""
        path = tokens.remember("from-file", environ)
        assert path.stat().st_mode & 0o777 == 0o600
        assert tokens.find(environ) == "from-file"
        assert tokens.find({**environ, "REAF_TOKEN": " given "}) == "given"

    def test_a_file_that_others_can_read_is_refused(self, tmp_path):
        environ = {"XDG_CONFIG_HOME": str(tmp_path)}
        tokens.remember("secret", environ).chmod(0o644)
        with pytest.raises(client.Unauthorized, match="chmod 600"):
            tokens.find(environ)

    def test_the_file_lies_below_home_where_nothing_else_is_said(self):
        assert tokens.file({"HOME": "/home/ada"}) == Path("/home/ada/.config/reafference/token")


class TestBrainFiles:
    def made(self, **more):
        given = {"script": "def build(): ...", "model": None, "tables": {}, "kernel": {"ranks": 2, "threads": 3}} | more
        return standalone.brain_files(
            standalone.brain_document(**given, name="b", step_ms=5.0, seed=7), given["script"]
        )

    def test_the_experiment_has_a_brain_only_and_records_every_spike(self):
        files = self.made(tables={"parameters": {"cells": 10}, "sinks": None})
        document = tomllib.loads(files["experiment.toml"].decode())
        assert set(document) == {"experiment", "brain"}
        assert (document["brain"]["ranks"], document["brain"]["threads"]) == (2, 3)
        assert document["brain"]["parameters"] == {"cells": 10}
        assert document["brain"]["sinks"]["all_spikes"]["sources"] == ["*"]
        assert files["brain.py"] == b"def build(): ..."

    def test_a_script_may_lie_in_a_file(self, tmp_path):
        (tmp_path / "net.py").write_text("def build(): 1")
        assert self.made(script=tmp_path / "net.py")["brain.py"] == b"def build(): 1"

    @pytest.mark.parametrize(("script", "model"), [(None, None), ("def build(): ...", "balanced")])
    def test_it_is_made_from_a_script_or_from_a_model(self, script, model):
        with pytest.raises(client.Invalid, match="one of the two"):
            self.made(script=script, model=model)


class TestFolders:
    def test_recordings_and_hidden_files_stay_at_home(self, tmp_path):
        for path in ("experiment.toml", "models/net.py", "recordings/1/run.mcap", ".git/config", "__pycache__/a.pyc"):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text("x")
        assert sorted(session.files_below(tmp_path)) == ["experiment.toml", "models/net.py"]

    def test_a_folder_without_an_experiment_is_refused(self, tmp_path):
        with pytest.raises(client.Invalid, match=r"no experiment\.toml"):
            session.files_below(tmp_path)

    @pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://a", "http://", ""])
    def test_an_address_that_is_none_is_refused(self, url):
        with pytest.raises(client.Invalid, match="no address"):
            client.connect(url, token="x")

    def test_nobody_at_the_address_is_said_plainly(self):
        with pytest.raises(client.Unreachable, match="reaf serve"):
            client.connect("http://127.0.0.1:9", token="x")


class TestFeeds:
    @pytest.fixture
    def live(self):
        return Live("http://127.0.0.1:9", "", "s1")

    def test_a_slow_reader_loses_the_oldest_and_hears_how_many(self, live):
        feed = Feed(live, "body/joints", Wish())
        for step in range(300):
            feed.put(sample(step))
        assert feed.missed == 44
        assert feed.next().step == 44

    def test_what_waits_is_read_before_the_end(self, live):
        feed = Feed(live, "body/joints", Wish())
        feed.put(sample(3))
        feed.end()
        assert [found.step for found in feed] == [3]

    def test_nothing_comes_within_the_time(self, live):
        assert Feed(live, "body/joints", Wish()).next(0.01) is None

    def test_a_reader_in_another_thread_wakes_up(self, live):
        feed = Feed(live, "body/joints", Wish())
        found = []
        reader = threading.Thread(target=lambda: found.append(feed.next(10.0)))
        reader.start()
        feed.put(sample(5))
        reader.join(10.0)
        assert found[0].t_s == pytest.approx(0.1)
        assert found[0]["position"].tolist() == [0.5]

    def test_two_wishes_for_one_topic_are_both_served(self):
        assert Wish(hz=5).along(Wish(hz=20)) == Wish(hz=20)
        assert Wish(hz=5).along(Wish()) == Wish()
        assert Wish(hz=5, points=100).message("camera/eye") == {"topic": "camera/eye", "hz": 5, "points": 100}

    def test_kept_topics_are_remembered_with_the_number_of_the_last(self):
        known = _Known()
        known.take("engine/log", received(4, topic="engine/log"))
        known.take("body/joints", received(9))
        assert known.since == {"engine/log": 4}
        assert known.newest["body/joints"].step == 9

    def test_another_run_counts_from_its_own_start(self):
        known = _Known()
        known.take("engine/log", received(4, topic="engine/log"))
        known.take("engine/state", received(1, topic="engine/state", run="beef"))
        assert (known.run, known.since) == ("beef", {"engine/state": 1})
        assert list(known.newest) == list(known.kept) == ["engine/state"]

    def test_samples_of_documents_have_no_arrays(self):
        message = Message(source="transfer function", type="runtime", text="oh", step=3, t_ns=60_000_000)
        found = Sample("engine/log", message)
        assert (found.step, found.t_s, dict(found.arrays)) == (3, 0.06, {})


def test_a_run_in_a_terminal_needs_no_library_of_the_web():
    code = "import sys, reafference.client as c; c.Monitor; print({'httpx', 'websockets'} & {*sys.modules})"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "set()"
