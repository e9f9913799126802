"""SDF files: opening one, the poses in it, and the models that it includes."""

from .files import Files
from .markup import Node, numbers, parse
from .pose import Pose, pose_of

VERSIONS = ("1.4", "1.5", "1.6", "1.7")


def opened(text: str, file: str) -> tuple[Node, str]:
    """The root of an SDF file, and its version; raises BadExperiment for one we do not know."""
    root = parse(text, file)
    if root.tag not in ("sdf", "gazebo"):
        raise root.wrong(f"<{root.tag}> is not SDF: the file must begin with <sdf version=…>")
    version = root.attributes.get("version", "").strip()
    if version not in VERSIONS:
        raise root.wrong(f"SDF {version or 'without a version'} is not read: it must be one of {', '.join(VERSIONS)}")
    return root, version


def placed(node: Node) -> Pose:
    """The pose that an element gives itself, in whatever frame that is in."""
    pose = node.first("pose")
    if pose is None or not pose.text:
        return Pose()
    x, y, z, roll, pitch, yaw = numbers(pose, pose.text, 6)
    return pose_of((x, y, z), (roll, pitch, yaw))


def included(node: Node, files: Files) -> tuple[Node, str]:
    """The model that an <include> means, with the version of its file; raises BadExperiment."""
    uri = node.need("uri").text
    file = files.model(uri, node.file)
    if file is None:
        raise node.wrong(f"the model {uri!r} is not in the experiment's folder: put its folder there, or into models/")
    if file == node.file:
        raise node.wrong(f"the model {uri!r} includes itself")
    root, version = opened(files.text(file, f"{node.file}, line {node.line}"), file)
    return root.need("model"), version
