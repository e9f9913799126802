"""reafference.aio: the asyncio end of the step wire."""

import asyncio
import contextlib
import threading

import numpy as np
import pytest

from reafference import codec
from reafference.aio import AioOperator
from reafference.clock import Deadline
from reafference.config import Addresses, ServiceConfig
from reafference.errors import BadExperiment, EngineLost, OutOfOrder, PeerLate, ReafferenceError
from reafference.frames import Bye, Edit, Edited, ErrorFrame, Hello, Order, StateNote, Welcome
from reafference.sockets import Sender, StepHost, Waiting, Wires

PATIENCE_S = 20.0


class Engine:
    """Welcomes, then answers each frame with those of `answer`, in a thread, until it is told that this is all."""

    def __init__(self, wires, address, answer):
        self.host = StepHost(wires, address, Sender("engine", "7f3a"))
        self.answer, self.heard, self.over = answer, [], threading.Event()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        waiting, deadline = Waiting(self.host), Deadline.after_s(PATIENCE_S)
        while not deadline.passed() and not self.over.is_set():
            waiting.until(50)
            for name, parts in self.host.receive():
                frame = codec.decode(parts).frame
                if isinstance(frame, Hello):
                    self.host.send(name, Welcome(run="7f3a", version=(1, 2)))
                    continue
                self.heard.append(frame)
                for answer in self.answer(frame):
                    self.host.send(name, answer)


class Listening:
    """An operator whose frames are taken, as long as the block lasts; `kept` are those that were yielded."""

    def __init__(self, config):
        self.operator, self.kept, self.welcomed = AioOperator(config), [], asyncio.Event()

    async def __aenter__(self):
        self.task = asyncio.create_task(self.listen())
        await asyncio.wait_for(self.welcomed.wait(), PATIENCE_S)
        return self

    async def listen(self):
        async for frame in self.operator.frames():
            self.kept.append(frame.kind)
            if isinstance(frame, Welcome):
                self.welcomed.set()

    async def __aexit__(self, *_):
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task
        self.operator.close()


@pytest.fixture
def engine_of(tmp_path):
    """An engine that answers by this function, and where it is."""
    engines = []
    addresses = Addresses.in_folder(tmp_path)
    with Wires() as wires:

        def make(answer):
            engines.append(Engine(wires, addresses.step, answer))
            return engines[-1], ServiceConfig(name="console", addresses=addresses)

        yield make
        for engine in engines:
            engine.over.set()
            engine.thread.join(PATIENCE_S)
            assert not engine.thread.is_alive()


def conversation(config, talk):
    """Run `talk(operator)` beside the listening; what it gave, and which frames were yielded meanwhile."""

    async def whole():
        async with Listening(config) as listening:
            result = await asyncio.wait_for(talk(listening.operator), PATIENCE_S)
            return result, listening.kept

    return asyncio.run(whole())


def test_an_edit_gives_its_result_and_all_other_frames_are_yielded(engine_of):
    def answer(frame):
        yield StateNote(step=4, t_ns=0, state="paused")
        yield Edited(id=frame.id + 100)  # of somebody else
        yield Edited(id=frame.id, result={"V_th": np.array([1.0, np.inf]), "n": 2}, step=4)

    engine, config = engine_of(answer)
    result, kept = conversation(
        config, lambda operator: operator.edit("engine", "functions", {"of": [1, 2]}, by="ada", timeout_s=2.5)
    )
    assert (list(result["V_th"]), result["n"]) == ([1.0, np.inf], 2)
    assert engine.heard == [
        Edit(id=1, to="engine", what="functions", arguments={"of": [1, 2]}, timeout_s=2.5, by="ada")
    ]
    assert kept == ["welcome", "state", "edited"]


def test_two_edits_at_once_get_each_its_own_outcome(engine_of):
    waiting = []

    def answer(frame):
        waiting.append(frame)
        if len(waiting) == 2:
            for edit in reversed(waiting):
                yield Edited(id=edit.id, result={"was": edit.what})

    async def both(operator):
        return await asyncio.gather(operator.edit("brain", "one"), operator.edit("body", "two"))

    _, config = engine_of(answer)
    results, kept = conversation(config, both)
    assert results == [{"was": "one"}, {"was": "two"}]
    assert kept == ["welcome"]


def test_an_edit_that_is_refused_raises_the_error_that_was_meant(engine_of):
    def answer(frame):
        yield ErrorFrame(code="leaving", text="of something else")
        yield ErrorFrame(code="bad_experiment", text="no such population", detail={"edit": frame.id, "key": "M2"})

    _, config = engine_of(answer)
    with pytest.raises(BadExperiment, match="no such population") as caught:
        conversation(config, lambda operator: operator.edit("brain", "silence"))
    assert caught.value.detail["key"] == "M2"


def test_an_edit_without_outcome_is_given_up(engine_of):
    _, config = engine_of(lambda frame: [])
    with pytest.raises(PeerLate, match=r"the edit 'look' had no outcome within 0\.2 s"):
        conversation(config, lambda operator: operator.edit("brain", "look", patience_s=0.2))


def test_when_the_engine_says_goodbye_nobody_waits_any_more(engine_of):
    _, config = engine_of(lambda frame: [Bye()])
    with pytest.raises(OutOfOrder, match="the run ended before the edit 'look' was carried out"):
        conversation(config, lambda operator: operator.edit("brain", "look"))


def test_when_the_conversation_is_closed_nobody_waits_any_more(engine_of):
    async def close_meanwhile(operator):
        asked = asyncio.create_task(operator.edit("brain", "look"))
        await asyncio.sleep(0.05)
        operator.close()
        return await asked

    _, config = engine_of(lambda frame: [])
    with pytest.raises(EngineLost, match="was closed"):
        conversation(config, close_meanwhile)


def test_after_the_conversation_was_closed_nothing_is_asked(engine_of):
    async def ask_later(operator):
        operator.close()
        assert operator.closed
        for asked in (operator.edit("brain", "look"), operator.order("stop"), operator.leave()):
            with pytest.raises(EngineLost, match="was closed"):
                await asked

    _, config = engine_of(lambda frame: [])
    conversation(config, ask_later)


def test_a_message_that_cannot_leave_is_given_up_when_the_conversation_is_closed(tmp_path):
    async def speak_to_nobody():
        operator = AioOperator(ServiceConfig(name="gateway", addresses=Addresses.in_folder(tmp_path)))
        waiting = None
        for _ in range(100_000):  # as many as the queue takes
            waiting = asyncio.create_task(operator.order("pause", "x" * 2000))
            await asyncio.wait((waiting,), timeout=0.2)
            if not waiting.done():
                break
        operator.close()
        await asyncio.wait_for(waiting, 10)

    with pytest.raises(EngineLost, match="was closed"):
        asyncio.run(speak_to_nobody())


def test_when_nobody_listens_nobody_waits_any_more(engine_of):
    async def stop_listening():
        listening = Listening(config)
        async with listening:
            asked = asyncio.create_task(listening.operator.edit("brain", "look"))
            await asyncio.sleep(0.05)
        return await asked

    _, config = engine_of(lambda frame: [])
    with pytest.raises(EngineLost, match="nobody listens"):
        asyncio.run(stop_listening())


def test_a_full_reset_is_over_when_another_run_is_ready(engine_of):
    def answer(frame):
        yield StateNote(step=3, t_ns=0, state="ready")  # of the run that is to be reset
        yield Welcome(run="beef", version=(1, 2))
        yield StateNote(step=0, t_ns=0, state="preparing")
        yield StateNote(step=0, t_ns=0, state="ready")

    async def reset(operator):
        await operator.reset(by="ada")
        return operator.run

    engine, config = engine_of(answer)
    run, kept = conversation(config, reset)
    assert run == "beef"
    assert engine.heard == [Order(what="reset", scope="full", reason="asked for by ada")]
    assert kept == ["welcome", "state", "welcome", "state", "state"]


def test_the_reset_of_one_simulator_is_an_edit(engine_of):
    engine, config = engine_of(lambda frame: [Edited(id=frame.id)])
    conversation(config, lambda operator: operator.reset("body"))
    assert engine.heard == [Edit(id=1, to="body", what="reset")]


@pytest.mark.parametrize(
    ("last", "error", "words"),
    [
        (ErrorFrame(code="out_of_order", text="it is being built"), OutOfOrder, "it is being built"),
        (StateNote(step=0, t_ns=0, state="fault", text="the body was lost"), ReafferenceError, "the body was lost"),
        (Bye(), ReafferenceError, "the run ended before it could be reset"),
    ],
)
def test_a_reset_that_comes_to_nothing_says_why(engine_of, last, error, words):
    _, config = engine_of(lambda frame: [last])
    with pytest.raises(error, match=words):
        conversation(config, lambda operator: operator.reset())


def test_an_order_may_have_a_scope(engine_of):
    engine, config = engine_of(lambda frame: [StateNote(step=0, t_ns=0, state="paused")])

    async def order(operator):
        await operator.order("reset", "once more", "body")
        await operator.order("step")
        while len(engine.heard) < 2:
            await asyncio.sleep(0.01)

    conversation(config, order)
    assert engine.heard == [Order(what="reset", reason="once more", scope="body"), Order(what="step")]
