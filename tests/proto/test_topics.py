"""reafference.topics: names of streams on the wire."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reafference.errors import BadFrame
from reafference.topics import Topic, is_name

parts = st.from_regex(r"[A-Za-z0-9_.\-]{1,10}", fullmatch=True)


@given(parts, parts, st.lists(parts, min_size=1, max_size=3))
def test_a_topic_survives_the_wire(run, service, levels):
    topic = Topic(run, service, "/".join(levels))
    assert Topic.parse(topic.wire()) == topic


def test_the_closing_slash_keeps_a_prefix_from_matching_a_longer_name():
    assert Topic("7f3a", "brain", "rate").wire() == b"7f3a/brain/rate/"
    assert not Topic("7f3a", "brain", "rates").wire().startswith(Topic("7f3a", "brain", "rate").wire())


def test_the_name_leaves_the_run_out():
    assert Topic("7f3a", "body", "camera/eye").name == "body/camera/eye"


@pytest.mark.parametrize("part", ["", "a b", "ä", "a/b", "a\n", "*", "#", "+"])
def test_other_letters_are_refused(part):
    assert not is_name(part)
    with pytest.raises(BadFrame, match="cannot be part of a topic"):
        Topic(part, "brain", "sinks")


@pytest.mark.parametrize("wire", [b"", b"run/brain", b"run/brain/", b"\xff/brain/sinks/", b"a//b/", b"//"])
def test_bytes_that_are_no_topic_are_refused(wire):
    with pytest.raises(BadFrame):
        Topic.parse(wire)
