"""The ROS topics of a robot: which field of which message is which port; see the facts of the body.

`*` stands for the name of the robot, which published experiments give it themselves.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .sdf_parts import CAMERA
from .senses import names
from .tree import Joint, Model, Plugin, Sensor
from .wheels import Drive

Entry = dict[str, Any]
ANY = "*"
_MUSCLES = f"/gazebo_muscle_interface/{ANY}"
_XYZ, _WXYZ = ("x", "y", "z"), ("w", "x", "y", "z")


def table(
    model: Model,
    driven: Sequence[Joint],
    joints: Sequence[Joint],
    drive: Drive | None,
    muscles: Sequence[Mapping[str, Any]],
) -> dict[str, list[Entry]]:
    """What the robot sends (`out`) and takes (`in`); what its plugins say comes before usual names.

    `driven` are those of its `joints` that take commands; `muscles` as viewers know them.
    """
    name = model.name
    sent = [*_joint_states(model, name, joints), *_muscle_states(muscles), *_base(model, name, drive)]
    return {
        "out": _unlike([*sent, *_sensors(model, name)]),
        "in": _unlike(
            [*_controllers(model, name, driven), *_activations(muscles), *_commands(driven), *_velocity(name, drive)]
        ),
    }


def point_labels(muscles: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The names of the path points, muscle by muscle."""
    return tuple(f"{muscle['name']}_{place}" for muscle in muscles for place in range(len(muscle["points"])))


def _muscle_states(muscles: Sequence[Mapping[str, Any]]) -> Iterator[Entry]:
    if not muscles:
        return
    parts = (("force", "force"), ("length", "length"), ("lengthening_speed", "velocity"))
    fields = {f"muscles[].{field}": f"muscles.{part}" for field, part in parts}
    for number, muscle in enumerate(muscles):
        for place in range(len(muscle["points"])):
            point = f"muscle_points.position.{muscle['name']}_{place}"
            fields[f"muscles[{number}].path_points[{place}]"] = point
    names_ = {"muscles[].name": [muscle["name"] for muscle in muscles]}
    yield _entry(f"{_MUSCLES}/muscle_states", "gazebo_ros_muscle_interface/MuscleStates", fields, names_)


def _activations(muscles: Sequence[Mapping[str, Any]]) -> Iterator[Entry]:
    for muscle in muscles:
        fields = {"data": f"excitation.{muscle['name']}"}
        yield _entry(f"{_MUSCLES}/{muscle['name']}/cmd_activation", "std_msgs/Float64", fields)


def _joint_states(model: Model, name: str, joints: Sequence[Joint]) -> Iterator[Entry]:
    if not joints:
        return
    fields = {part: f"joints.{part}" for part in ("position", "velocity", "effort")}
    constants = {"name": [joint.name for joint in joints]}
    said = [
        _absolute(plugin, "joint_states", name) for plugin in model.plugins if "joint_state" in plugin.library.lower()
    ]
    for topic in (*said, "/joint_states", f"/{ANY}/joint_states", f"/{ANY}/joints"):
        yield _entry(topic, "sensor_msgs/JointState", fields, constants)
    for joint in joints:
        own = {part: f"joints.{part}.{joint.name}" for part in ("position", "velocity", "effort")}
        yield _entry(f"/{ANY}/{joint.name}/state", "sensor_msgs/JointState", own, {"name": [joint.name]})


def _base(model: Model, name: str, drive: Drive | None) -> Iterator[Entry]:
    pose = {f"pose.pose.position.{axis}": f"base.position.{axis}" for axis in _XYZ}
    pose |= {f"pose.pose.orientation.{axis}": f"base.orientation.{axis}" for axis in _WXYZ}
    twist = {f"twist.twist.linear.{axis}": f"base.velocity.v{axis}" for axis in _XYZ}
    twist |= {f"twist.twist.angular.{axis}": f"base.velocity.w{axis}" for axis in _XYZ}
    frames = {"header.frame_id": "world", "child_frame_id": model.root}
    first = {key.replace("pose.pose", "pose[0]"): port for key, port in pose.items()}
    first |= {key.replace("twist.twist", "twist[0]"): port for key, port in twist.items()}
    yield _entry("/gazebo/model_states", "gazebo_msgs/ModelStates", first, {"name": [name]})
    spread = {"pose[].position": "links.position", "pose[].orientation": "links.orientation"}
    links = [f"{name}::{link.name}" for link in model.links]
    yield _entry("/gazebo/link_states", "gazebo_msgs/LinkStates", spread, {"name": links})
    for plugin in model.plugins:
        if "p3d" in plugin.library.lower() and plugin.parameters.get("topicname"):
            yield _entry(
                _absolute(plugin, plugin.parameters["topicname"], name), "nav_msgs/Odometry", pose | twist, frames
            )
    if drive is None:
        return
    # A drive tells its speed in the axes of the robot.
    twist = {"twist.twist.linear.x": "drive.velocity.linear", "twist.twist.angular.z": "drive.velocity.angular"}
    said = _absolute(drive.plugin, drive.plugin.parameters.get("odometrytopic", "odom"), name)
    for topic in (said, f"/{ANY}/odom", "/odom"):
        yield _entry(topic, "nav_msgs/Odometry", pose | twist, frames | {"header.frame_id": "odom"})


def _sensors(model: Model, name: str) -> Iterator[Entry]:
    for stream, sensor in names(model.sensors).items():
        if sensor.kind == CAMERA:
            for topic in _camera_topics(sensor, name):
                yield _entry(topic, "sensor_msgs/Image", {"data": f"{stream}.image"}, {"header.frame_id": sensor.link})
            continue
        fields = {f"orientation.{axis}": f"{stream}.orientation.{axis}" for axis in _WXYZ}
        for part in ("angular_velocity", "linear_acceleration"):
            fields |= {f"{part}.{axis}": f"{stream}.{part}.{axis}" for axis in _XYZ}
        said = sensor.topics.get("topicname") or sensor.topics.get("topic")
        usual = [f"/{ANY}/{sensor.name}", "/imu", f"/{ANY}/imu"]
        for topic in [_joined(sensor.topics.get("robotnamespace", ""), said), *usual] if said else usual:
            yield _entry(topic, "sensor_msgs/Imu", fields, {"header.frame_id": sensor.link})


def _camera_topics(sensor: Sensor, name: str) -> Iterator[str]:
    told = sensor.topics
    namespace = told.get("robotnamespace", "").strip("/")
    image = told.get("imagetopicname", "")
    if image.startswith("/"):
        yield image
    elif image or told.get("cameraname"):
        camera = told.get("cameraname", sensor.name)
        yield _joined(namespace, f"{camera}/{image or 'image_raw'}")
        yield _joined(name, f"{camera}/{image or 'image_raw'}")
    elif told.get("topic"):
        yield _joined("", told["topic"])
    yield f"/{ANY}/{sensor.name}/image_raw"
    yield f"/{ANY}/{sensor.name}"


_ENDINGS = (
    ("cmd_pos", "position"),
    ("cmd_vel", "velocity"),
    ("cmd_effort", "effort"),
    ("pos", "position"),
    ("vel", "velocity"),
)
_KINDS = {"position": "position", "velocity": "velocity", "force": "effort", "effort": "effort"}


def _controllers(model: Model, name: str, driven: Sequence[Joint]) -> Iterator[Entry]:
    """What a plugin says of the topic of each joint."""
    known = {joint.name for joint in driven}
    for plugin in model.plugins:
        for part in plugin.parts:
            joint = part.get("jointname") or part.get("joint", "")
            kind = _KINDS.get(part.get("type", ""))
            if joint in known and kind and part.get("topic"):
                topic = _absolute(plugin, part["topic"], name)
                yield _entry(topic, "std_msgs/Float64", {"data": f"command.{kind}.{joint}"})


def _commands(driven: Sequence[Joint]) -> Iterator[Entry]:
    for joint in driven:
        for ending, kind in _ENDINGS:
            fields = {"data": f"command.{kind}.{joint.name}"}
            yield _entry(f"/{ANY}/{joint.name}/{ending}", "std_msgs/Float64", fields)


def _velocity(name: str, drive: Drive | None) -> Iterator[Entry]:
    if drive is None:
        return
    fields = {"linear.x": "velocity.linear", "angular.z": "velocity.angular"}
    said = _absolute(drive.plugin, drive.plugin.parameters.get("commandtopic", "cmd_vel"), name)
    for topic in (said, f"/{ANY}/cmd_vel", "/cmd_vel"):
        yield _entry(topic, "geometry_msgs/Twist", fields)


def _absolute(plugin: Plugin, topic: str, name: str) -> str:
    """A topic of a plugin: below its namespace, which is the robot's name where it gives none."""
    return _joined(plugin.parameters.get("robotnamespace", name), topic)


def _joined(namespace: str, topic: str) -> str:
    if topic.startswith("/"):
        return topic
    return "/" + "/".join(part for part in (namespace.strip("/"), topic) if part)


def _entry(topic: str, type_: str, fields: Mapping[str, str], constants: Mapping[str, Any] | None = None) -> Entry:
    made: Entry = {"topic": topic, "type": type_, "fields": dict(fields)}
    return made | ({"constants": dict(constants)} if constants else {})


def _unlike(entries: Sequence[Entry]) -> list[Entry]:
    """Each topic once, as it was named first."""
    kept: dict[str, Entry] = {}
    for entry in entries:
        kept.setdefault(entry["topic"], entry)
    return list(kept.values())
