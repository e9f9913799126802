"""reafference.client against a real server: simulations, their functions, body, brain, streams and recordings."""

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import reafference.client
from reafference import client
from reafference.client import tables
from reafference.client.live import Wish

SMALL = {"area_mm2": 0.02}
HELD = """
@transfer(reads="brain.motor.M1_L1_ENGC", writes=["body.Foot2", "body.Humerus1", "body.Humerus3"])
def motor_drive(voltage_mV, step, params):
    return 0.125
"""
PATIENCE_S = 120.0


@pytest.fixture(scope="module")
def session():
    with reafference.client.local(places=2) as opened:
        yield opened


@pytest.fixture(scope="module")
def experiment(session):
    return session.clone("mouse_reach")


@pytest.fixture(scope="module")
def shared(session, experiment):
    """One simulation for the tests that leave it as they find it, but for its time."""
    with session.launch(experiment, set=SMALL, limit=1000.0) as sim:
        sim.run(for_s=0.1)
        yield sim


@pytest.fixture
def sim(session, experiment):
    """One of its own for a test that ends or breaks it."""
    with session.launch(experiment, set=SMALL) as made:
        yield made


class TestLifeCycle:
    def test_it_is_launched_run_and_stopped(self, session, experiment):
        with session.launch(experiment, set=SMALL, steps=20) as sim:
            assert (sim.state, sim.status.step) == ("paused", 0)
            assert sim.start().state == "started"
            assert sim.wait(0.06, timeout_s=PATIENCE_S).t_s >= 0.06
            ended = sim.wait(timeout_s=PATIENCE_S)
            assert (ended.state, ended.outcome, ended.t_s) == ("stopped", "finished", pytest.approx(0.4))
        assert sim.stop().outcome == "finished"
        with pytest.raises(client.Conflict):
            sim.start()

    def test_a_run_ends_at_the_very_step(self, shared):
        before = shared.status.step
        assert shared.run(for_s=0.5).step == before + 25
        assert shared.state == "paused"

    def test_a_step_is_one_step(self, shared):
        before = shared.status.step
        assert shared.step().step == before + 1
        assert shared.step(3).step == before + 4

    def test_asking_for_the_state_it_is_in_is_no_error(self, shared):
        assert shared.pause().state == "paused"
        assert shared.pause().state == "paused"

    def test_something_about_it_can_be_waited_for(self, shared):
        target = shared.status.step + 5
        shared.start()
        found = shared.wait(lambda status: status.step >= target, timeout_s=PATIENCE_S)
        shared.pause()
        assert found.step >= target

    def test_waiting_has_an_end(self, shared):
        with pytest.raises(client.Late, match="paused"):
            shared.wait(10_000.0, timeout_s=0.2)

    def test_a_limit_can_be_moved(self, sim):
        assert sim.limit.s == pytest.approx(1.0)
        sim.set_limit(simulated_s=0.2)
        assert sim.extend(0.2).s == pytest.approx(0.4)
        assert sim.start().limit.kind == "simulated"
        assert sim.wait(timeout_s=PATIENCE_S).t_s == pytest.approx(0.4)

    def test_a_reset_brings_it_back_to_its_start(self, sim):
        sim.run(for_s=0.1)
        first = sim.csv("body/joints")
        status = sim.reset("full")
        assert (status.state, status.step) == ("paused", 0)
        sim.run(for_s=0.1)
        again = sim.csv("body/joints")
        rows = min(len(first["step"]), len(again["step"]))
        assert rows > 0
        for name in first:
            assert np.array_equal(first[name][:rows], again[name][:rows]), name

    def test_another_session_can_join(self, session, shared):
        assert shared.id in [status.id for status in session.simulations()]
        with client.connect(session.url, session.token) as other:
            assert other.simulation(shared.id).status.experiment == shared.status.experiment


class TestFailures:
    def test_a_brain_that_cannot_be_built_says_where_and_why(self, session):
        with pytest.raises(client.Failed, match="oh dear") as failed:
            session.brain("import nest\n\ndef build():\n    raise ValueError('oh dear')\n", name="flawed")
        assert (failed.value.file, failed.value.line) == ("brain.py", 4)
        assert "flawed-1" not in [experiment.id for experiment in session.experiments()]

    def test_a_brain_that_is_lost_halts_the_simulation(self, session, experiment):
        heard, over = [], threading.Event()

        def hear(status):
            heard.append(status.state)
            if status.ended:
                over.set()

        with session.launch(experiment, set=SMALL) as sim:
            sim.on_status(hear)
            sim.step()
            os.kill(sim.brain.kernel_status()["ranks"][0]["pid"], signal.SIGKILL)
            with pytest.raises(client.Failed, match="brain") as failed:
                sim.run(for_s=0.5)
            assert failed.value.code
            assert sim.state == "halted"
            assert over.wait(PATIENCE_S)
            assert heard[-1] == "halted"

    def test_an_unknown_experiment_is_not_found(self, session):
        with pytest.raises(client.NotFound, match="nobody"):
            session.launch("nobody")

    def test_a_key_that_is_no_key_is_refused(self, session, experiment):
        with pytest.raises(client.ServerError, match="area_mm3"):
            session.launch(experiment, set={"area_mm3": 1.0})

    def test_no_free_place_says_who_has_it(self, session, experiment, shared):
        with session.launch(experiment, set=SMALL), pytest.raises(client.Busy):
            session.launch(experiment, set=SMALL)


class TestTransferFunctions:
    def test_they_are_a_mapping_in_the_order_of_calling(self, shared):
        assert set(shared.transfer_functions) == {"base", "motor_drive", "drive"}
        assert "def motor_drive" in shared.transfer_functions["motor_drive"].source
        assert "nobody" not in shared.transfer_functions
        with pytest.raises(KeyError):
            shared.transfer_functions["nobody"]

    @pytest.fixture
    def sim(self, shared):
        """The shared one, which gets its functions back."""
        before = {function.name: function.source for function in shared.transfer_functions.list()}
        yield shared
        for name, source in before.items():
            shared.transfer_functions.edit(name, source)

    def test_an_edited_one_acts_from_the_next_step(self, sim):
        sim.transfer_functions.edit("motor_drive", HELD)
        sim.run(for_s=0.1)
        muscles = sim.csv("engine/inputs/body", since_s=sim.status.t_s - 0.3)
        driven = next(name for name in muscles if "excitation" in name and "Foot2" in name)
        assert muscles[driven][-1] == 0.125
        assert muscles[driven][0] != 0.125

    def test_a_broken_one_names_its_line_and_the_others_go_on(self, sim):
        with pytest.raises(client.Flawed, match="motor_drive") as flawed:
            sim.transfer_functions.edit("motor_drive", HELD.replace("return 0.125", "return ("))
        assert flawed.value.line == 4
        assert sim.transfer_functions["motor_drive"].problem
        before = sim.status.step
        assert sim.run(for_s=0.1).step == before + 5
        assert not sim.transfer_functions.edit("motor_drive", HELD).problem

    def test_one_that_fails_while_it_runs_is_told_of(self, sim):
        messages = []
        sim.on_message(messages.append)
        sim.transfer_functions.edit("motor_drive", HELD.replace("return 0.125", "return 1 / 0"))
        sim.run(for_s=0.1)
        problem = sim.transfer_functions["motor_drive"].problem
        assert "ZeroDivisionError" in problem["text"] or "division" in problem["text"]
        assert problem["line"] == 4
        deadline = time.monotonic() + 10
        while not messages and time.monotonic() < deadline:
            time.sleep(0.05)
        assert messages[-1].function == "motor_drive"

    def test_they_can_be_added_switched_ordered_and_deleted(self, sim):
        functions = sim.transfer_functions
        added = functions.add('@transfer(writes="body.Foot1")\ndef foot(step):\n    return 0.25\n')
        assert added.name == "foot"
        assert not functions.switch("foot", False).active
        assert functions.switch("foot", True).active
        assert functions.set_priority("foot", 5).priority == 5
        names = [function.name for function in functions.list() if function.direction == added.direction]
        wanted = names[::-1]
        ordered = functions.order(wanted)
        assert [function.name for function in ordered if function.name in wanted] == wanted
        functions.delete("foot")
        assert "foot" not in functions

    def test_what_is_saved_stands_in_the_experiment(self, session):
        experiment = session.clone("mouse_reach", name="saved")
        with session.launch(experiment, set=SMALL) as sim:
            sim.transfer_functions.edit("motor_drive", HELD)
            sim.transfer_functions.save()
        text = session.read_file(experiment, "transfer.py").decode()
        assert "return 0.125" in text
        assert "def base" in text


class TestBody:
    def test_a_push_moves_the_arm(self, shared):
        begun_s = shared.status.t_s
        shared.run(for_s=0.1)
        link = shared.body.scene().pushable[-1]
        shared.body.push(link, (0.0, 2.0, 0.0), duration_s=0.04)
        shared.run(for_s=0.1)
        tip = shared.csv("body/tip", since_s=begun_s)
        free, pushed = np.split(tip["position_y_m"], [np.searchsorted(tip["t_s"], begun_s + 0.11)])
        assert np.ptp(pushed) > 5 * np.ptp(free)

    def test_a_load_stays_until_it_is_set_again(self, shared):
        joint = shared.body.scene().loadable[0]
        shared.body.load({joint: 0.001})
        assert shared.body.scene().loads[joint] == pytest.approx(0.001)
        shared.body.load({joint: 0.0})
        assert not shared.body.scene().loads.get(joint)

    def test_a_link_that_is_none_is_refused(self, shared):
        with pytest.raises(client.ServerError, match="tail"):
            shared.body.push("tail", (1, 0, 0), duration_s=0.02)


class TestBrain:
    def test_the_kernel_tells_of_itself(self, shared):
        status = shared.brain.kernel_status()
        assert status["threads"] == 1
        assert status["connections"] > 1000

    def test_populations_have_a_size(self, shared):
        assert shared.brain.populations["M1_L1_ENGC"]["size"] > 0

    def test_parameters_are_read_and_set(self, shared):
        brain = shared.brain
        size = brain.populations["M1_L1_ENGC"]["size"]
        assert brain.parameters("M1_L1_ENGC", ["V_th"])["V_th"].shape == (size,)
        brain.set_parameters("M1_L1_ENGC", V_th=-51.5)
        assert set(brain.parameters("M1_L1_ENGC", ["V_th"])["V_th"]) == {-51.5}
        brain.silence("M1_L1_ENGC")
        assert np.isinf(brain.parameters("M1_L1_ENGC", ["V_th"])["V_th"]).all()
        brain.restore("M1_L1_ENGC")
        assert set(brain.parameters("M1_L1_ENGC", ["V_th"])["V_th"]) == {-51.5}

    def test_an_unknown_population_is_refused_with_a_hint(self, shared):
        with pytest.raises(client.ServerError, match="M1_L1_ENGC"):
            shared.brain.set_parameters("M1_L1_ENGX", V_th=-50.0)

    def test_a_stimulated_population_fires_more(self, shared):
        begun_s = shared.run(for_s=0.1).t_s
        shared.brain.stimulate("M1_L5B_PT", duration_ms=100.0, amplitude_pA=2000.0)
        shared.run(for_s=0.1)
        spikes = shared.csv("brain/spikes", since_s=begun_s - 0.1)
        times = spikes["time_s"][spikes["population"] == "M1_L5B_PT"]
        assert (times > begun_s).sum() > 2 * (times <= begun_s).sum()

    def test_neurons_have_places(self, shared):
        places = shared.brain.positions(most=100)["M1_L5B_PT"]
        assert places["positions_mm"].shape == (len(places["ids"]), 3)
        assert len(places["ids"]) > 0

    def test_a_device_is_created_while_it_runs(self, shared):
        shared.brain.create_device("level", "population_rate", sources=["M1_L5B_PT"])
        shared.run(for_s=0.1)
        levels = shared.latest("brain/sinks")
        assert "level" in levels.arrays
        with pytest.raises(TypeError, match="give one"):
            shared.brain.create_device("other", "poisson")


class TestStreams:
    def test_samples_come_while_it_runs(self, shared):
        shared.start()
        samples = []
        for sample in shared.stream("body/joints", hz=20):
            samples.append(sample)
            if len(samples) == 5:
                break
        shared.pause()
        steps = [sample.step for sample in samples]
        assert steps == sorted(set(steps))
        assert samples[0]["position"].shape == (6,)

    def test_the_newest_is_there_at_once_the_second_time(self, shared):
        shared.start()
        assert shared.latest("body/tip", timeout_s=20.0) is not None
        shared.pause()
        begun = time.monotonic()
        # It is paused: no other will come.
        assert shared.latest("body/tip", timeout_s=20.0)["position"].shape == (3,)
        assert time.monotonic() - begun < 10.0

    def test_streams_and_callbacks_end_with_their_simulation(self, session, experiment):
        heard, connected, over = [], threading.Event(), threading.Event()

        def hear(status):
            heard.append(status)
            connected.set()
            if status.ended:
                over.set()

        with session.launch(experiment, set=SMALL, steps=30) as sim:
            sim.on_status(hear)
            assert connected.wait(PATIENCE_S)
            stream = sim.stream("body/joints")
            assert sim.latest("run/start", timeout_s=20.0)  # so the server knows of the stream as well
            sim.start()
            steps = [sample.step for sample in stream]
            assert steps == list(range(30))
            assert sum(sim.missed.values()) == 0
            assert over.wait(PATIENCE_S)
        assert heard[-1].outcome == "finished"
        assert sum(status.ended for status in heard) == 1

    def test_a_callback_that_was_taken_back_hears_no_more(self, shared):
        heard = []
        forget = shared.on_status(heard.append)
        deadline = time.monotonic() + 10
        while not heard and time.monotonic() < deadline:
            time.sleep(0.02)
        forget()
        before = len(heard)
        assert before
        shared.step(2)
        time.sleep(0.3)
        assert len(heard) == before

    def test_a_stream_that_is_cut_comes_back(self, shared):
        shared.start()
        with shared._live.feed("body/joints", Wish()) as feed:
            before = feed.next(PATIENCE_S)
            shared._live._socket.close()
            while (after := feed.next(PATIENCE_S)).step < before.step + 20:
                pass
        shared.pause()
        assert after.step >= before.step + 20

    def test_the_documents_of_the_run_come_to_whoever_comes_late(self, shared):
        start = shared.latest("run/start", timeout_s=20.0)
        assert start.frame.experiment == "mouse_reach"


class TestRecordings:
    def test_a_recording_stays_after_the_simulation(self, session, experiment, tmp_path):
        with session.launch(experiment, set=SMALL, limit=0.4) as sim:
            ended = sim.run(for_s=5.0)
            assert (ended.outcome, ended.t_s) == ("finished", pytest.approx(0.4))
            joints = sim.csv("body/joints")
            assert joints["step"].tolist() == list(range(20))
            assert tables.structured(joints).shape == (20,)
            assert sim.csv("body/joints", since_s=0.21)["step"].tolist() == list(range(10, 20))
            name = sim.recording.id
        runs = session.recordings(experiment)
        assert runs.last().id == name
        assert runs[name].outcome == "finished"
        exported = runs.csv(name, "joints")
        assert all(np.array_equal(exported[column], values) for column, values in joints.items())
        folder = runs.fetch(name, tmp_path)
        assert (Path(folder) / "recording.mcap").stat().st_size > 0
        runs.delete(name)
        assert name not in runs


class TestStandaloneBrain:
    SCRIPT = """
import nest


def build(cells=40):
    driven = nest.Create("iaf_psc_alpha", cells, {"I_e": 500.0})
    quiet = nest.Create("iaf_psc_alpha", 10)
    nest.Connect(driven, quiet, "all_to_all", {"weight": 100.0, "delay": 1.0})
    return {"driven": driven, "quiet": quiet}
"""

    def test_it_is_loaded_run_and_read(self, session):
        with session.brain(self.SCRIPT, parameters={"cells": 20}, resolution_ms=0.2, step_ms=5.0) as brain:
            assert brain.kernel_status()["resolution_ms"] == pytest.approx(0.2)
            assert brain.populations["driven"]["size"] == 20
            brain.create_device("level", "population_rate", sources=["driven"])
            brain.run(200.0)
            assert brain.time_ms == pytest.approx(200.0)
            assert brain.rates_hz()["driven"] > 5
            assert set(brain.spikes("quiet")["population"]) == {"quiet"}
            (level,) = (values for name, values in brain.read("level").items() if name != "t_s")
            assert level.max() > 5
            with pytest.raises(client.Invalid, match="no multiple"):
                brain.run(7.0)
            brain.set_parameters("driven", I_e=0.0)
            brain.run(100.0)
            assert brain.rates_hz(since_ms=250.0)["driven"] == 0
        assert brain.experiment not in [experiment.id for experiment in session.experiments()]

    def spikes_of(self, session, ranks, threads):
        with session.brain(self.SCRIPT, ranks=ranks, threads=threads) as brain:
            kernel = brain.kernel_status()
            assert (kernel["processes"], kernel["threads"]) == (ranks, threads)
            brain.create_device("noise", "poisson", targets=["quiet"], rate_hz=9000.0, weight=40.0)
            brain.run(100.0)
            if ranks > 1:
                with pytest.raises(client.Invalid, match="before the first step"):
                    brain.create_device("late", "poisson", targets=["quiet"])
            return brain.spikes()

    def test_two_processes_spike_as_two_threads_do(self, session):
        one, two = (self.spikes_of(session, ranks, threads) for ranks, threads in ((1, 2), (2, 1)))
        assert len(one["sender"]) > 10
        for name, values in one.items():
            assert np.array_equal(values, two[name]), name

    def test_it_may_be_kept(self, session):
        with session.brain(self.SCRIPT, name="kept") as brain:
            brain.run(20.0)
            kept = brain.keep()
        assert session.recordings(kept).last().steps == 2
        session.delete(kept)

    def test_another_network_takes_its_place(self, session):
        with session.brain(self.SCRIPT) as brain:
            brain.run(20.0)
            brain.load_network(self.SCRIPT.replace('"quiet": quiet', '"listening": quiet'))
            assert set(brain.populations) == {"driven", "listening"}
            with pytest.raises(client.ServerError, match="no_such_model") as refused:
                brain.load_network("import nest\n\ndef build():\n    return {'a': nest.Create('no_such_model')}\n")
            assert refused.value.line == 4
            assert set(brain.populations) == {"driven", "listening"}
