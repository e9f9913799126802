"""services.engine.ports: addresses of ports."""

import pytest

from reafference.errors import PortMismatch
from services.engine import ports
from tests.engine.toys import BODY, PORTS, port

READABLE, WRITABLE = ports.outputs(PORTS), ports.inputs(PORTS)


def found(address, known=READABLE):
    return ports.find(address, known, "someone reads").name


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("brain.readout.voltage", "brain.readout.voltage"),
        ("brain.voltage", "brain.readout.voltage"),
        ("brain.readout.voltage.M1_L1", "brain.readout.voltage.M1_L1"),
        ("brain.readout.M1_L1", None),
        ("brain.voltage.M1_L1", "brain.readout.voltage.M1_L1"),
        ("brain.M1_L1", "brain.readout.voltage.M1_L1"),
        ("body.joints.position", "body.joints.position"),
        ("body.position.elbow", "body.joints.position.elbow"),
        ("body.y", "body.tip.position.y"),
        ("body.eye", "body.camera.eye"),
    ],
)
def test_any_unique_ending_is_an_address(address, name):
    if name is None:
        with pytest.raises(PortMismatch):
            found(address)
    else:
        assert found(address) == name


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("brain.VOLTAGE", "brain.readout.voltage"),
        ("brain.m1_l23", "brain.readout.voltage.M1_L23"),
        ("body.Tip.Position.Y", "body.tip.position.y"),
    ],
)
def test_the_case_of_letters_does_not_matter_where_the_name_is_unique(address, name):
    assert found(address) == name


def test_an_exact_match_wins_over_one_that_differs_in_case():
    assert found("body.Foot2", WRITABLE) == "body.excitation.Foot2"
    assert found("body.foot2", WRITABLE) == "body.excitation.foot2"
    with pytest.raises(PortMismatch, match=r"could be body\.excitation\.Foot2, body\.excitation\.foot2"):
        found("body.FOOT2", WRITABLE)


def test_a_whole_name_wins_over_the_ending_of_a_longer_one():
    known = {"body": (port("position"), port("joints.position"))}
    assert found("body.position", known) == "body.position"


def test_a_place_knows_its_shape():
    assert ports.find("body.joints.position", READABLE, "x").shape == (2,)
    assert ports.find("body.position.elbow", READABLE, "x").shape == ()
    assert ports.find("body.camera.eye", READABLE, "x").shape == (2, 2)


def test_an_ambiguous_address_is_refused_with_what_it_could_be():
    with pytest.raises(PortMismatch) as caught:
        found("body.elbow")
    assert str(caught.value) == (
        "someone reads 'body.elbow', which could be body.joints.position.elbow, body.joints.velocity.elbow: "
        "name more of it"
    )
    with pytest.raises(PortMismatch, match=r"could be body\.joints\.position, body\.tip\.position"):
        found("body.position")


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("brain.voltag", r"the brain has no such port \(did you mean 'voltage'\?\); it has readout\.voltage, rates"),
        ("body.wrsit", r"\(did you mean 'wrist'\?\)"),
        ("brain.oltage", "no such port"),
        ("brain.quite_something_else", "the brain has no such port; it has"),
        ("brian.voltage", r"expected body\.… or brain\.… \(did you mean 'brain'\?\)"),
        ("brain", r"expected body\.… or brain\.…"),
        ("brain.", r"expected body\.… or brain\.…"),
        ("", r"expected body\.… or brain\.…"),
        ("Brain.voltage", r"\(did you mean 'brain'\?\)"),
    ],
)
def test_an_address_of_nothing_is_refused_with_what_is_near(address, words):
    with pytest.raises(PortMismatch, match=words):
        found(address)


def test_inputs_are_not_read_and_outputs_are_not_written():
    with pytest.raises(PortMismatch, match="the brain has no such port"):
        found("brain.drive")
    with pytest.raises(PortMismatch, match="it has drive, bias"):
        found("brain.voltage", WRITABLE)


def test_a_long_list_of_ports_is_cut():
    known = {"body": tuple(port(f"p{i}.x") for i in range(20))}
    with pytest.raises(PortMismatch, match=r"p11\.x and 8 more$"):
        found("body.nothing_like_it", known)
    with pytest.raises(PortMismatch, match=r"it has none at all$"):
        found("body.x", {"body": ()})


def test_each_participant_has_its_own_ports():
    assert READABLE["body"] == BODY.outputs
    assert WRITABLE["body"] == BODY.inputs
