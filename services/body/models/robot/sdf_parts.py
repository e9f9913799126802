"""Parts of an SDF file that stand within a link: shapes, inertia, sensors."""

import math
from collections.abc import Callable

from .colours import Rgb, named
from .files import Files
from .markup import Node, numbers
from .meshes import kind_of
from .plugins import plugin
from .pose import Pose
from .tree import Sensor, Shape

Placed = Callable[[Node], Pose]
"""The pose of a part in the axes of its link."""
Note = Callable[[Node, str], None]
"""Takes down a remark about an element."""

CAMERA, INERTIAL = "camera", "imu"


def shapes(link: Node, tag: str, placed: Placed, files: Files, note: Note) -> tuple[Shape, ...]:
    """All visuals or collisions of a link that can be built; the others are noted."""
    made = (_shape(node, placed(node), files, note) for node in link.all(tag))
    return tuple(shape for shape in made if shape is not None)


def _shape(node: Node, pose: Pose, files: Files, note: Note) -> Shape | None:
    geometry = node.need("geometry")
    for form in geometry.children:
        found = _form(form, files, note)
        if found is not None:
            kind, size, file = found
            return Shape(kind=kind, pose=pose, size=size, file=file, rgb=_rgb(node))
        if form.tag not in ("empty", "mesh"):
            note(form, f"the {node.tag} <{form.tag}> is left out")
    return None


def _form(form: Node, files: Files, note: Note) -> tuple[str, tuple[float, ...], str] | None:
    match form.tag:
        case "box":
            return "box", _positive(form, form.vector("size", (1.0, 1.0, 1.0))), ""
        case "cylinder" | "capsule":
            size = (form.number("radius", 0.5), form.number("length", 1.0))
            return form.tag, _positive(form, size), ""
        case "sphere":
            return "sphere", _positive(form, (form.number("radius", 1.0),)), ""
        case "plane":
            return "plane", form.vector("normal", (0.0, 0.0, 1.0)), ""
        case "mesh":
            uri = form.word("uri")
            file = files.find(uri, form.file)
            if file is None:
                note(form, f"a mesh is left out: there is no file {uri!r} in the experiment's folder")
                return None
            if kind_of(file) is None:
                note(form, f"a mesh is left out: {uri!r} is not OBJ, STL or COLLADA")
                return None
            return "mesh", form.vector("scale", (1.0, 1.0, 1.0)), file
    return None


def _positive(form: Node, size: tuple[float, ...]) -> tuple[float, ...]:
    if not all(length > 0 for length in size):
        raise form.wrong(f"the sizes of a {form.tag} must be above 0, not {' '.join(f'{x:g}' for x in size)}")
    return size


def _rgb(node: Node) -> Rgb | None:
    for tag in ("diffuse", "ambient"):
        colour = node.find(f"material/{tag}")
        if colour is not None:
            # Three numbers or four; the fourth says how much one sees through it.
            r, g, b = numbers(colour, " ".join(colour.text.split()[:3]), 3)
            return r, g, b
    script = node.word("material/script/name") or node.word("material/script")
    return named(script) if script else None


def inertia(link: Node) -> tuple[float, float, float, float, float, float]:
    """xx, yy, zz, xy, xz, yz in kg m2."""
    node = link.find("inertial/inertia")
    if node is None:
        return 1.0, 1.0, 1.0, 0.0, 0.0, 0.0
    xx, yy, zz = (node.number(tag, 1.0) for tag in ("ixx", "iyy", "izz"))
    xy, xz, yz = (node.number(tag, 0.0) for tag in ("ixy", "ixz", "iyz"))
    return xx, yy, zz, xy, xz, yz


def friction(link: Node) -> float:
    """Coulomb's coefficient of the first collision that names one."""
    for node in link.all("collision"):
        mu = node.find("surface/friction/ode/mu")
        if mu is not None:
            return max(0.0, numbers(mu, mu.text, 1)[0])
    return 1.0


def sensors(link: Node, name: str, placed: Placed, note: Note) -> tuple[Sensor, ...]:
    """Cameras and inertial sensors of a link; others are noted."""
    made = []
    for node in link.all("sensor"):
        kind = node.attributes.get("type", "")
        if kind not in (CAMERA, INERTIAL):
            note(node, f"the sensor {node.attributes.get('name', '')!r} of type {kind!r} is left out")
            continue
        made.append(sensor(node, kind, name, placed))
    return tuple(made)


def sensor(node: Node, kind: str, link: str, placed: Placed) -> Sensor:
    """One sensor, as SDF and `<gazebo>` in URDF write it."""
    topics = {"topic": node.word("topic")} if node.word("topic") else {}
    for inner in node.all("plugin"):
        topics |= {key: value for key, value in plugin(inner).parameters.items() if value}
    pose, rate_hz = placed(node), node.number("update_rate", 0.0)
    shared = {"name": node.attribute("name"), "kind": kind, "link": link, "rate_hz": rate_hz, "topics": topics}
    camera = node.first("camera")
    if kind != CAMERA or camera is None:
        return Sensor(**shared, pose=pose)  # type: ignore[arg-type]
    width, height = camera.number("image/width", 320), camera.number("image/height", 240)
    if not (1 <= width <= 4096 and 1 <= height <= 4096):
        raise camera.wrong(f"a picture must have 1 to 4096 pixels each way, not {width:g} x {height:g}")
    field_rad = camera.number("horizontal_fov", 1.047)
    if not 0 < field_rad < math.pi:
        raise camera.wrong(f"<horizontal_fov> must be between 0 and 3.1 rad, not {field_rad:g}")
    near_m, far_m = camera.number("clip/near", 0.1), camera.number("clip/far", 100.0)
    if not 0 < near_m < far_m:
        raise camera.wrong(f"<clip> must have 0 < near < far, not {near_m:g} and {far_m:g}")
    return Sensor(
        **shared,  # type: ignore[arg-type]
        pose=pose @ placed(camera) if camera.first("pose") else pose,
        width_px=int(width),
        height_px=int(height),
        horizontal_field_rad=field_rad,
        near_m=near_m,
        far_m=far_m,
    )
