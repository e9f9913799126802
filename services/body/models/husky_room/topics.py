"""The ROS topics of the robot: which field of which message is which port; see the facts of the body."""

from collections.abc import Sequence
from typing import Any

from .urdf import CHASSIS

_XYZ = ("x", "y", "z")
_SCREENS = ("left", "right")


def table(wheels: Sequence[str], *, camera: str) -> dict[str, list[dict[str, Any]]]:
    """What is sent (`out`) and taken (`in`), under the names of the published robot and its later copies; `*` is any.

    `camera` is the port of the camera's picture, empty for none.
    """
    names = ["/husky", "/husky/husky", "/*", ""]
    pictures = [f"{name}/camera" for name in names] if camera else []
    return {
        "out": [
            *({"topic": topic, "type": "sensor_msgs/Image", "fields": {"data": camera}} for topic in pictures),
            *(_joint_states(f"{name}/joint_states", wheels) for name in reversed(names)),
            *(_odometry(f"{name}/odom") for name in names),
            _model_states(),
            _link_states(wheels),
        ],
        "in": [
            *(_velocity(f"{name}/cmd_vel") for name in names),
            *(_screen(side) for side in _SCREENS),
        ],
    }


def _joint_states(topic: str, wheels: Sequence[str]) -> dict[str, Any]:
    return {
        "topic": topic,
        "type": "sensor_msgs/JointState",
        "fields": {part: f"joints.{part}" for part in ("position", "velocity", "effort")},
        "constants": {"name": [f"{wheel}_joint" for wheel in wheels]},
    }


def _odometry(topic: str) -> dict[str, Any]:
    return {
        "topic": topic,
        "type": "nav_msgs/Odometry",
        "fields": {
            "pose.pose.position": "base.position",
            "pose.pose.orientation": "base.orientation",
            **{f"twist.twist.linear.{axis}": f"base.velocity.v{axis}" for axis in _XYZ},
            **{f"twist.twist.angular.{axis}": f"base.velocity.w{axis}" for axis in _XYZ},
        },
        "constants": {"header.frame_id": "odom", "child_frame_id": CHASSIS},
    }


def _model_states() -> dict[str, Any]:
    """The robot, under its own name and under that which experiments give it."""
    fields: dict[str, str] = {}
    names = ["husky", "robot"]
    for place in range(len(names)):
        fields |= {
            f"pose[{place}].position": "base.position",
            f"pose[{place}].orientation": "base.orientation",
            **{f"twist[{place}].linear.{axis}": f"base.velocity.v{axis}" for axis in _XYZ},
            **{f"twist[{place}].angular.{axis}": f"base.velocity.w{axis}" for axis in _XYZ},
        }
    return {
        "topic": "/gazebo/model_states",
        "type": "gazebo_msgs/ModelStates",
        "fields": fields,
        "constants": {"name": names},
    }


def _link_states(wheels: Sequence[str]) -> dict[str, Any]:
    return {
        "topic": "/gazebo/link_states",
        "type": "gazebo_msgs/LinkStates",
        "fields": {"pose[].position": "links.position", "pose[].orientation": "links.orientation"},
        "constants": {"name": [f"husky::{link}" for link in (CHASSIS, *wheels)]},
    }


def _velocity(topic: str) -> dict[str, Any]:
    fields = {"linear.x": "velocity.linear", "angular.z": "velocity.angular"}
    return {"topic": topic, "type": "geometry_msgs/Twist", "fields": fields}


def _screen(side: str) -> dict[str, Any]:
    """0 is blue, 1 is red; the published room changes its screens by other means than a topic."""
    return {"topic": f"/screens/{side}", "type": "std_msgs/Float64", "fields": {"data": f"screens.{side}"}}
