"""What a body tells of its ROS topics, and the messages that are made of its arrays."""

import base64

import numpy as np
import pytest

from reafference.frames import Port, Ports
from services.gateway.ros import topics as ros_topics

OUTPUTS = (
    Port(name="joints.position", shape=(2,), dtype="<f8", unit="rad", labels=("elbow", "wrist")),
    Port(name="base.position", shape=(3,), dtype="<f8", unit="m", labels=("x", "y", "z")),
    Port(name="links.orientation", shape=(2, 4), dtype="<f8", unit="1"),
    Port(name="camera/eye.image", shape=(2, 3, 3), dtype="|u1", unit="1"),
)
ARRAYS = {
    "body/joints": {"position": np.array([0.5, -1.0])},
    "body/base": {"position": np.array([1.0, 2.0, 3.0])},
    "body/links": {"orientation": np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]])},
    "body/camera/eye": {"image": np.arange(18, dtype=np.uint8).reshape(2, 3, 3)},
}
T_NS = 2_500_000_000


def topic(fields, kind="x/Y", constants=None, name="/a"):
    entry = {"topic": name, "type": kind, "fields": fields, "constants": constants or {}}
    return ros_topics.given_by({"body": Ports(outputs=OUTPUTS, facts={"topics": {"out": [entry], "in": []}})})


def message(fields, kind="x/Y", constants=None):
    return ros_topics.message(topic(fields, kind, constants)["/a"], ARRAYS, T_NS, 7)


def test_joints_are_lists_with_their_names_and_a_stamp():
    found = message({"position": "joints.position"}, "sensor_msgs/JointState", {"name": ["elbow", "wrist"]})
    header = {"seq": 7, "stamp": {"secs": 2, "nsecs": 500_000_000}, "frame_id": ""}
    assert found == {"header": header, "name": ["elbow", "wrist"], "position": [0.5, -1.0]}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"data": "joints.position.wrist"}, {"data": -1.0}),
        ({"a.b.c": "joints.position.elbow"}, {"a": {"b": {"c": 0.5}}}),
        ({"pose.position": "base.position"}, {"pose": {"position": {"x": 1.0, "y": 2.0, "z": 3.0}}}),
        ({"pose[1].position": "base.position"}, {"pose": [{}, {"position": {"x": 1.0, "y": 2.0, "z": 3.0}}]}),
        ({"muscles[].force": "joints.position"}, {"muscles": [{"force": 0.5}, {"force": -1.0}]}),
        ({"points[0]": "base.position.y", "points[1]": "base.position.z"}, {"points": [2.0, 3.0]}),
    ],
)
def test_a_path_says_where_a_value_goes(fields, expected):
    assert message(fields) == expected


def test_turns_have_their_axes_by_name_with_w_first_in_the_body():
    found = message({"pose[].orientation": "links.orientation"})["pose"]
    assert found[1]["orientation"] == {"w": 0.0, "x": 1.0, "y": 0.0, "z": 0.0}


def test_a_picture_is_bytes_with_its_size():
    found = message({"data": "camera/eye.image"}, "sensor_msgs/Image")
    assert (found["height"], found["width"], found["encoding"], found["step"]) == (2, 3, "rgb8", 9)
    assert base64.b64decode(found["data"]) == bytes(range(18))


def test_what_no_port_gives_is_no_topic():
    assert topic({"data": "joints.speed"}) == {}
    assert topic({}) == {}


def test_the_robot_may_have_any_name():
    topics = topic({"data": "joints.position"}, name="/*/joints")
    assert ros_topics.named(topics, "/husky/joints") is topics["/*/joints"]
    assert ros_topics.named(topics, "/husky/arm/joints") is None
    assert ros_topics.as_listed("/*/joints") == "/robot/joints"
