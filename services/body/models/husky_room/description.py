"""Robot and room as data: `husky.toml` and `room.csv` as frozen dataclasses."""

import csv
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from reafference import plain

Vector = tuple[float, float, float]
Inertia = tuple[float, float, float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    position_m: Vector
    yaw_rad: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Chassis:
    mass_kg: float
    com_m: Vector
    inertia_kgm2: Inertia
    box_size_m: Vector
    box_center_m: Vector
    rgb: Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """All four wheels; `centers_m` has one name per wheel, front_left to back_right."""

    mass_kg: float
    inertia_kgm2: Inertia
    radius_m: float
    width_m: float
    rgb: Vector
    friction_along: float
    friction_across: Mapping[str, float]
    centers_m: Mapping[str, Vector]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    track_m: float
    wheel_diameter_m: float
    max_torque: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraData:
    eye_m: Vector
    horizontal_field_rad: float
    width_px: int
    height_px: int
    near_m: float
    far_m: float
    rate_hz: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomData:
    friction: float
    left_screen: str
    right_screen: str
    blue_rgb: Vector
    red_rgb: Vector
    rgb: Mapping[str, Vector]


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """All of `husky.toml`."""

    start: Start
    chassis: Chassis
    wheel: Wheel
    drive: Drive
    camera: CameraData
    room: RoomData


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A thing in the room that never moves; a cylinder stands upright, its diameter is size_m[0]."""

    name: str
    category: str
    shape: Literal["box", "cylinder"]
    center_m: Vector
    yaw_rad: float
    size_m: Vector


@cache
def load() -> Description:
    """The robot that is shipped with this file."""
    return plain.load(Description, tomllib.loads((Path(__file__).parent / "husky.toml").read_text("utf-8")))


@cache
def load_room() -> tuple[Piece, ...]:
    """The room that is shipped with this file.

    Walls, floor, ceiling, pillars, lamp and screens. The published room also has 36 furniture, window and
    hanging-lamp meshes without stated sizes; they are left out, so one looks out where windows would be.
    """
    with (Path(__file__).parent / "room.csv").open(encoding="utf-8", newline="") as file:
        return tuple(_piece(row) for row in csv.DictReader(file))


def _piece(row: Mapping[str, str]) -> Piece:
    x, y, z = (float(row[f"center_{axis}_m"]) for axis in "xyz")
    width, depth, height = (float(row[f"size_{axis}_m"]) for axis in "xyz")
    data = {
        "name": row["object"],
        "category": row["category"],
        "shape": row["shape"],
        "center_m": (x, y, z),
        "yaw_rad": float(row["yaw_rad"]),
        "size_m": (width, depth, height),
    }
    return plain.load(Piece, data)
