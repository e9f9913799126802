"""A robot as it is meant, whether its file was SDF or URDF: links, joints, sensors and plugins."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from reafference.frames import Array

from .pose import Pose

WORLD = "world"
"""The name of what does not move; a joint may have it as its parent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What is seen or touched of a link. `size` in m by `kind`: box x, y, z; cylinder and capsule radius, length
    (along z); sphere radius; mesh the scale by axis, with `file`. A plane has its normal there."""

    kind: str
    pose: Pose
    size: tuple[float, ...]
    file: str = ""
    rgb: tuple[float, float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A rigid body. `inertia_kgm2` is xx, yy, zz, xy, xz, yz about the centre of mass in the axes of `center`."""

    name: str
    line: int
    mass_kg: float | None
    center: Pose
    inertia_kgm2: tuple[float, float, float, float, float, float]
    visuals: tuple[Shape, ...] = ()
    collisions: tuple[Shape, ...] = ()
    friction: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Joint:
    """A hinge, slide or rigid connection (`kind` is revolute, prismatic or fixed).

    `pose` is that of the child link in the axes of the parent when the joint is at 0. `anchor` and `axis` (3,) are in
    the axes of the child. `limits` are in rad or m, or nothing; `effort` (N m or N) and `speed` (rad/s or m/s) bound
    what drives it, 0 for no bound. `damping`, `friction`, `stiffness` and `reference` are what acts in it by itself.
    """

    name: str
    line: int
    kind: str
    parent: str
    child: str
    pose: Pose
    anchor: Array
    axis: Array
    limits: tuple[float, float] | None = None
    effort: float = 0.0
    speed: float = 0.0
    damping: float = 0.0
    friction: float = 0.0
    stiffness: float = 0.0
    reference: float = 0.0

    @property
    def moves(self) -> bool:
        return self.kind != "fixed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensor:
    """A camera or an inertial sensor on a link, with `pose` in the link's axes: x ahead, z up. `topics` are those its
    plugins name, by the element that names them."""

    name: str
    kind: str
    link: str
    pose: Pose
    rate_hz: float
    topics: Mapping[str, str] = field(default_factory=dict)
    width_px: int = 0
    height_px: int = 0
    horizontal_field_rad: float = 0.0
    near_m: float = 0.0
    far_m: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """A plugin of the simulator that the model was made for: its library and its parameters by tag, in small letters
    and without underscores; `parts` has those of each element within it that has elements of its own."""

    name: str
    library: str
    line: int
    parameters: Mapping[str, str]
    parts: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A whole robot: joints stand after the joint of their parent. `root` is the link that no joint carries (WORLD if
    the model is fastened to the world), whose pose in the frame of the model is `root_pose`; `pose` is where the file
    puts the model. `remarks` say what of the file was left out. `muscles` is the file of muscles that it names."""

    name: str
    root: str
    pose: Pose
    root_pose: Pose
    links: tuple[Link, ...]
    joints: tuple[Joint, ...]
    sensors: tuple[Sensor, ...] = ()
    plugins: tuple[Plugin, ...] = ()
    static: bool = False
    self_collide: bool = False
    muscles: str = ""
    remarks: tuple[str, ...] = ()
