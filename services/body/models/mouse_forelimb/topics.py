"""The ROS topics of the forelimb: which field of which message is which port; see the facts of the body.

`*` stands for the name of the robot, which published experiments give it themselves.
"""

from collections.abc import Sequence
from typing import Any

_MUSCLES = "/gazebo_muscle_interface/*"


def point_labels(muscles: Sequence[str], counts: Sequence[int]) -> tuple[str, ...]:
    """The names of the path points, muscle by muscle."""
    return tuple(f"{muscle}_{point}" for muscle, n in zip(muscles, counts, strict=True) for point in range(n))


def table(
    hinges: Sequence[str], links: Sequence[str], muscles: Sequence[str], counts: Sequence[int]
) -> dict[str, list[dict[str, Any]]]:
    """What is sent (`out`) and taken (`in`); `counts` has the number of path points of each muscle."""
    return {
        "out": [
            *(_joint_states(topic, hinges) for topic in ("/joint_states", "/*/joint_states", "/*/joints")),
            _muscle_states(muscles, counts),
            _link_states(links),
        ],
        "in": [
            *(_number(f"{_MUSCLES}/{muscle}/cmd_activation", f"excitation.{muscle}") for muscle in muscles),
            *(_number(f"/*/{hinge}/cmd_effort", f"effort.{hinge}") for hinge in hinges),
        ],
    }


def _joint_states(topic: str, hinges: Sequence[str]) -> dict[str, Any]:
    return {
        "topic": topic,
        "type": "sensor_msgs/JointState",
        "fields": {part: f"joints.{part}" for part in ("position", "velocity", "effort")},
        "constants": {"name": list(hinges)},
    }


def _muscle_states(muscles: Sequence[str], counts: Sequence[int]) -> dict[str, Any]:
    points = {
        f"muscles[{place}].path_points[{point}]": f"muscle_points.position.{muscle}_{point}"
        for place, (muscle, n) in enumerate(zip(muscles, counts, strict=True))
        for point in range(n)
    }
    return {
        "topic": f"{_MUSCLES}/muscle_states",
        "type": "gazebo_ros_muscle_interface/MuscleStates",
        "fields": {
            "muscles[].force": "muscles.force",
            "muscles[].length": "muscles.length",
            "muscles[].lengthening_speed": "muscles.velocity",
            **points,
        },
        "constants": {"muscles[].name": list(muscles)},
    }


def _link_states(links: Sequence[str]) -> dict[str, Any]:
    return {
        "topic": "/gazebo/link_states",
        "type": "gazebo_msgs/LinkStates",
        "fields": {"pose[].position": "links.position", "pose[].orientation": "links.orientation"},
        "constants": {"name": [f"robot::{link}" for link in links]},
    }


def _number(topic: str, port: str) -> dict[str, Any]:
    return {"topic": topic, "type": "std_msgs/Float64", "fields": {"data": port}}
