"""Switching devices off and on: by order, for a whole group, and by a transfer function, for each of its devices."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from reafference.errors import PortMismatch
from reafference.frames import Array, Port

On = npt.NDArray[np.bool_]


class Switch:
    """The switch of one group of devices. `on` says of each device whether it acts, shape (n,).

    A device is on where neither an order nor its port has switched it off.
    """

    def __init__(self, name: str, labels: tuple[str, ...], *, switchable: bool) -> None:
        self._name = f"{name}_on"
        self._labels = labels
        self._switchable = switchable
        self._ordered = True
        self._written: On = np.ones(len(labels), bool)
        self.on: On = self._written

    def ports(self) -> list[Port]:
        """One value per device, where transfer functions may switch."""
        if not self._switchable:
            return []
        n = len(self._labels)
        port = Port(
            name=self._name,
            shape=(n,),
            dtype="uint8",
            unit="",
            labels=self._labels,
            rest=np.ones(n, np.uint8),
            low=0.0,
            high=1.0,
            description="1 where the device is on, 0 where it is off",
        )
        return [port]

    def order(self, on: bool) -> None:
        """Switch the whole group."""
        self._ordered = on
        self._update()

    def write(self, inputs: Mapping[str, Array]) -> None:
        """What transfer functions want, if they may; raises PortMismatch for a wrong shape."""
        if not self._switchable:
            return
        written = np.asarray(inputs[self._name]) != 0
        if written.shape != self._written.shape:
            raise PortMismatch(f"brain.{self._name} takes {len(self._labels)} values, it was given {written.shape}")
        self._written = written
        self._update()

    def _update(self) -> None:
        self.on = self._written & self._ordered
