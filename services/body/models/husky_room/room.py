"""The room around the robot in PyBullet, and its two screens."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pybullet

from reafference.frames import Array

from .description import Piece, RoomData, Vector


class Room:
    """Everything that does not move. The screens are blue until told otherwise."""

    def __init__(self, client: int, data: RoomData, pieces: Sequence[Piece]) -> None:
        self._client, self._data, self._pieces = client, data, tuple(pieces)
        numbers = {piece.name: _place(client, piece, _colour(data, piece), data.friction) for piece in pieces}
        self._screens = (numbers[data.left_screen], numbers[data.right_screen])
        self._red = [False, False]

    def show(self, screens: Array) -> None:
        """Colour the left and the right screen: red from 0.5 up, else blue."""
        for side, value in enumerate(screens):
            red = bool(value >= 0.5)
            if red != self._red[side]:
                self._red[side] = red
                rgb = self._data.red_rgb if red else self._data.blue_rgb
                pybullet.changeVisualShape(self._screens[side], -1, rgbaColor=[*rgb, 1.0], physicsClientId=self._client)

    def reset(self) -> None:
        """Colour both screens as they were at the start."""
        self.show(np.zeros(2))

    def describe(self) -> list[dict[str, Any]]:
        """Every piece with the colour it has now, as plain maps for viewers."""
        return [
            {
                "name": piece.name,
                "shape": piece.shape,
                "center_m": list(piece.center_m),
                "yaw_rad": piece.yaw_rad,
                "size_m": list(piece.size_m),
                "rgb": list(self._colour_now(piece)),
            }
            for piece in self._pieces
        ]

    def _colour_now(self, piece: Piece) -> Vector:
        names = (self._data.left_screen, self._data.right_screen)
        if piece.name in names and self._red[names.index(piece.name)]:
            return self._data.red_rgb
        return _colour(self._data, piece)


def _colour(data: RoomData, piece: Piece) -> Vector:
    is_screen = piece.name in (data.left_screen, data.right_screen)
    return data.blue_rgb if is_screen else data.rgb[piece.category]


def _place(client: int, piece: Piece, rgb: Vector, friction: float) -> int:
    if piece.shape == "box":
        half = [0.5 * size for size in piece.size_m]
        touch = pybullet.createCollisionShape(pybullet.GEOM_BOX, halfExtents=half, physicsClientId=client)
        look = pybullet.createVisualShape(
            pybullet.GEOM_BOX, halfExtents=half, rgbaColor=[*rgb, 1.0], physicsClientId=client
        )
    else:
        radius, height = 0.5 * piece.size_m[0], piece.size_m[2]
        touch = pybullet.createCollisionShape(
            pybullet.GEOM_CYLINDER, radius=radius, height=height, physicsClientId=client
        )
        look = pybullet.createVisualShape(
            pybullet.GEOM_CYLINDER,
            radius=radius,
            length=height,
            rgbaColor=[*rgb, 1.0],
            physicsClientId=client,
        )
    turn = pybullet.getQuaternionFromEuler([0.0, 0.0, piece.yaw_rad])
    number: int = pybullet.createMultiBody(0.0, touch, look, list(piece.center_m), turn, physicsClientId=client)
    pybullet.changeDynamics(number, -1, lateralFriction=friction, physicsClientId=client)
    return number
