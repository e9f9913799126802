"""services.engine.loop: what only a member of the run may send is refused from anybody else."""

import threading

import pytest

from reafference.frames import ErrorFrame, Halted, Hello, Ports, Ready, Recorded, StepDone
from reafference.sockets import Sender, StepPeer, Waiting, Wires
from tests.engine.simulators import Echo, House

pytestmark = pytest.mark.timeout(60, method="thread")


@pytest.mark.parametrize(
    "frame",
    [
        StepDone(step=1, t_ns=0, busy_ns=0, timing={}, seqs={"x": 9}, outputs=()),
        Ready(ports=Ports(facts={"neurons": 10**9})),
        Halted(step=0, digest="ff"),
        Recorded(step=10**6),
        ErrorFrame(code="internal", text="a monitor's own trouble"),
    ],
    ids=lambda frame: frame.kind,
)
@pytest.mark.parametrize("known", [True, False])
def test_what_only_members_may_send_is_refused_from_others(tmp_path, frame, known):
    house = House(tmp_path)
    reached, opened = threading.Event(), threading.Event()

    def wait(step):
        if step.number == 1:
            reached.set()
            assert opened.wait(20)

    house.simulators["body"] = Echo(wait)
    house.write(steps=3)

    def visitor():
        assert reached.wait(20)
        with Wires() as wires:
            peer = StepPeer(wires, house.addresses.step, Sender("visitor"))
            if known:
                peer.send(Hello(name="visitor", role="operator"))
            peer.send(frame)
            assert Waiting(peer).until(5_000 if known or frame.kind != "error" else 500) or frame.kind == "error"
        opened.set()

    try:
        stop = house.run(beside=[visitor])
    finally:
        opened.set()
    assert (stop.outcome, stop.steps) == ("finished", 3)
    assert "x" not in str(stop.seqs)
    assert "visitor" not in stop.digests
    assert stop.facts.get("neurons") == 3
