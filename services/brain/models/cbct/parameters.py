"""The options of the CBCT model, `[brain.parameters]` of an experiment."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from reafference.plain import Misfit, load, nearest
from services.brain.models.cbct.tables import (
    MIN_AREA_MM2,
    PATHWAY_GROUPS,
    REGIONS,
    TRANSIENT_MS,
    tables,
    zones_of,
)
from services.brain.models.compact import SynapseModel
from services.brain.settings import misfit_in


@dataclass(frozen=True, slots=True, kw_only=True)
class CbctParameters:
    """What to build of the model, and how.

    - `regions`: any of S1, M1, TH (or one of its zones, such as TH_M1_IZ), CB_S1, CB_M1, BG.
    - `area_mm2`: area of the square sheet; cell numbers follow, kernels and weights do not change.
    - `geometry`: `intended` tries each pair of cells once on a torus; `published` repeats what the published
      code did, with several connections between a pair.
    - `compensation`: for what a smaller sheet cuts off the kernels: `none`, a higher probability
      (`indegree`), or that and a higher weight where the probability is at 1 (`drive`). Best `none` below
      0.1 mm2: `drive` makes M1 run away there.
    - `weight_columns`: `alt` takes the second candidate where the published weight looks unintended.
    - `pathway_groups`: pathways between regions; each is built where both of its ends are.
    - `v_m`: first membrane voltages, drawn per cell outside the basal ganglia, or as in the table.
    - `transient_ms`: the background inputs start one after the other during this time.
    - `synapse_model`: for synapses without ports (all but the basal ganglia's). `auto` is the compact
      `static_synapse_hpc`, or `static_synapse` where a thread has more nodes than that one can address.
    """

    regions: tuple[str, ...] = ("M1",)
    area_mm2: float = 0.1
    geometry: Literal["intended", "published"] = "intended"
    compensation: Literal["none", "indegree", "drive"] = "none"
    weight_columns: Literal["published", "alt"] = "published"
    pathway_groups: tuple[str, ...] = PATHWAY_GROUPS
    v_m: Literal["per_cell", "table"] = "per_cell"
    transient_ms: float = TRANSIENT_MS
    synapse_model: SynapseModel = "auto"

    def __post_init__(self) -> None:
        if not self.regions:
            raise Misfit("regions", "at least one region", "an empty list")
        known = list(dict.fromkeys([*REGIONS, *(row.zone for row in tables().populations.values())]))
        _each_in("regions", self.regions, known)
        _each_in("pathway_groups", self.pathway_groups, PATHWAY_GROUPS)
        if not (math.isfinite(self.area_mm2) and self.area_mm2 >= MIN_AREA_MM2):
            raise Misfit("area_mm2", f"{MIN_AREA_MM2} or more", f"{self.area_mm2:g}")
        if not (math.isfinite(self.transient_ms) and self.transient_ms >= 0):
            raise Misfit("transient_ms", "a time of 0 or more", f"{self.transient_ms:g}")

    @classmethod
    def load(cls, parameters: Mapping[str, Any]) -> "CbctParameters":
        """Raises BadExperiment naming the key."""
        try:
            return load(cls, parameters)
        except Misfit as misfit:
            raise misfit_in(misfit, "parameters") from None

    @property
    def side_mm(self) -> float:
        return math.sqrt(self.area_mm2)

    @property
    def zones(self) -> frozenset[str]:
        return frozenset(zone for region in self.regions for zone in zones_of(region))


def _each_in(key: str, given: tuple[str, ...], known: "list[str] | tuple[str, ...]") -> None:
    for at, name in enumerate(given):
        if name not in known:
            hint = nearest(name, known)
            raise Misfit(f"{key}[{at}]", f"one of {', '.join(known)}", repr(name), hint)
