"""What the engine has published and somebody who comes late has to know."""

from reafference import codec
from reafference.frames import FunctionsNote, Message, Values
from reafference.sockets import Sender
from reafference.topics import parsed
from services.engine.publisher import Publisher


class Out:
    """A bus, or a tap, that keeps what it is given."""

    def __init__(self):
        self.sent = []

    def send(self, packed):
        self.sent.append(packed)


def published(bus, tap):
    made = Publisher(Sender("engine", "7f3a90c2"), bus, tap)
    for step in range(3):
        made.publish("functions", FunctionsNote(step=step, t_ns=0, functions=()))
        made.publish("values", Values(step=step, t_ns=0, values={}))
    for number in range(600):
        made.publish("log", Message(source="engine", type="runtime", text=str(number)))
    return made


def test_the_newest_functions_and_the_last_messages_are_told_as_the_bus_had_them():
    bus = Out()
    told = published(bus, Out()).told()
    assert all(any(packed is sent for sent in bus.sent) for packed in told)
    names = [parsed(packed.topic).name for packed in told]
    assert names == ["engine/functions"] + ["engine/log"] * 500
    places = [codec.place(packed.parts()) for packed in told]
    assert places[0].seq == 2
    assert [place.seq for place in places[1:]] == list(range(100, 600))


def test_telling_again_sends_nothing_to_bus_or_tap():
    bus, tap = Out(), Out()
    made = published(bus, tap)
    before = len(bus.sent), len(tap.sent)
    made.told()
    assert (len(bus.sent), len(tap.sent)) == before


def test_another_run_has_told_nothing_yet():
    made = published(Out(), None)
    made.begin()
    assert made.told() == []
