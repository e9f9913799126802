"""The membrane voltage of many nodes, read every step."""

from typing import Any

import numpy as np
import numpy.typing as npt

from reafference.errors import SimulatorFailed
from services.brain import nest_module

Values = npt.NDArray[np.float64]


class Voltages:
    """Reads V_m of nodes of this process, in their order.

    1000 nodes take 0.1 ms with the extension module; by NEST's own call, which builds a dictionary of all
    parameters for each node, 9 ms. The values are the same to the last bit.
    """

    def __init__(self, local_nodes: Any) -> None:
        """`local_nodes`: a NodeCollection, all of whose nodes live in this process; None for no node."""
        self._nodes = local_nodes
        self._ids = np.array([] if local_nodes is None else local_nodes.tolist(), np.int64)
        reader = nest_module.Reader("V_m", self._ids) if nest_module.installed() else None
        self._reader = reader if reader is not None and reader.read() is not None else None

    @property
    def native(self) -> bool:
        """Whether they are read by the extension module, which knows the models that sinks are made of."""
        return self._reader is not None

    def read(self) -> Values:
        """In mV, shape (n,). Raises SimulatorFailed if the nodes are gone."""
        if not len(self._ids):
            return np.zeros(0)
        if self._reader is None:
            return np.array(self._nodes.get("V_m"), np.float64).reshape(len(self._ids))
        values = self._reader.read()
        if values is None:
            raise SimulatorFailed("the nodes whose voltage is read are gone: NEST has been reset behind our back")
        return values
