"""reafference.link: a service's connection to its engine, on real wires."""

from types import SimpleNamespace

import pytest

from reafference import codec
from reafference.config import Addresses, ServiceConfig
from reafference.errors import EngineLost, Leaving, NotAllowed, OutOfOrder
from reafference.frames import LOWEST, PROTOCOL, Bye, ErrorFrame, Halt, Halted, Hello, Welcome
from reafference.link import WireLink
from reafference.sockets import Sender, StepHost, TapIn, Waiting, Wires


@pytest.fixture
def joining(tmp_path):
    """An engine's end of the step wire, and what a service needs to find it."""
    addresses = Addresses.in_folder(tmp_path)
    with Wires() as wires:
        host = StepHost(wires, addresses.step, Sender("engine", "7f3a"))
        with Wires() as own:
            config = ServiceConfig(name="toy", addresses=addresses, join_s=20)
            leave = SimpleNamespace(asked=False)
            yield SimpleNamespace(host=host, wires=own, config=config, leave=leave, addresses=addresses)


def heard(host):
    waiting = Waiting(host)
    assert waiting.until(20_000)
    return [codec.decode(parts).frame for _, parts in host.receive()]


def test_joining_opens_the_wires_that_the_welcome_names(joining):
    tap = TapIn(joining.wires, joining.addresses.tap)
    with WireLink(joining.wires, joining.config, "participant", joining.leave) as link:
        link.step.send(Hello(name="toy", role="participant"))  # makes the connection, so that we can be answered
        heard(joining.host)
        joining.host.send("toy", Welcome(run="7f3a", version=(1, 0), tap=joining.addresses.tap))
        assert link.join().run == "7f3a"
        packed = link.sign("sinks", 3, Halted(step=1))
        link.publish(packed)
        assert Waiting(tap).until(20_000)
        (parts,) = tap.receive()
        got = codec.decode(parts)
        assert got.topic == b"7f3a/toy/sinks/"
        assert (got.envelope.run, got.envelope.src, got.envelope.seq) == ("7f3a", "toy", 3)


def test_joining_says_hello_with_name_and_role(joining):
    with WireLink(joining.wires, joining.config, "witness", joining.leave) as link:
        joining.leave.asked = True
        with pytest.raises(Leaving):
            link.join()
        (hello, *_) = heard(joining.host)
        assert (hello.name, hello.role, hello.lowest, hello.highest) == ("toy", "witness", LOWEST, PROTOCOL)


def test_who_is_refused_raises_the_error_of_the_engine(joining):
    with WireLink(joining.wires, joining.config, "participant", joining.leave) as link:
        link.step.send(Bye())
        heard(joining.host)
        joining.host.send("toy", ErrorFrame(code="not_allowed", text="no place for a toy", detail={"a": 1}))
        with pytest.raises(NotAllowed, match="no place for a toy") as caught:
            link.join()
        assert caught.value.detail == {"a": 1}


def test_who_finds_no_engine_says_where_it_looked(tmp_path):
    config = ServiceConfig(name="toy", addresses=Addresses.in_folder(tmp_path), join_s=0.05)
    with Wires() as wires, WireLink(wires, config, "participant", SimpleNamespace(asked=False)) as link:
        with pytest.raises(EngineLost, match=r"no engine answered at ipc://.*/step within 0\.05 s"):
            link.join()
        link.step.socket.close(linger=0)


def test_sigterm_makes_it_leave_with_a_word(joining):
    with WireLink(joining.wires, joining.config, "participant", joining.leave) as link:
        joining.leave.asked = True
        with pytest.raises(Leaving, match="toy was told to end"):
            next(link.frames())
        assert heard(joining.host)[0].code == "leaving"


def test_bytes_that_are_no_frame_are_answered_with_an_error(joining):
    with WireLink(joining.wires, joining.config, "participant", joining.leave) as link:
        link.step.send(Bye())
        heard(joining.host)
        joining.host.socket.send_multipart([b"toy", b"step", b"nonsense"])
        joining.host.send("toy", Halt(step=3))
        assert next(link.frames()) == Halt(step=3)
        assert heard(joining.host)[0].code == "bad_frame"


def test_an_engine_that_answers_something_else_is_not_understood(joining):
    with WireLink(joining.wires, joining.config, "participant", joining.leave) as link:
        link.step.send(Bye())
        heard(joining.host)
        joining.host.send("toy", Halt(step=0))
        with pytest.raises(OutOfOrder, match="answered hello with a 'halt' frame"):
            link.join()


def test_what_the_engine_sends_in_the_middle_of_a_step_is_pending_until_it_is_taken(joining):
    with WireLink(joining.wires, joining.config, "participant", joining.leave) as link:
        link.step.send(Bye())
        heard(joining.host)
        assert not link.pending()
        joining.host.send("toy", Halt(step=3))
        assert link.waiting.until(20_000)
        assert link.pending()
        assert list(link.arrived()) == [Halt(step=3)]
        assert not link.pending()


def test_another_run_is_signed_for_from_its_beginning_on(joining):
    with WireLink(joining.wires, joining.config, "participant", joining.leave) as link:
        link.begin("7f3a")
        assert link.sign("sinks", 3, Halted(step=1)).topic == b"7f3a/toy/sinks/"
        link.begin("beef")
        assert link.sign("sinks", 0, Halted(step=1)).topic == b"beef/toy/sinks/"
        link.step.socket.close(linger=0)
