"""Where the sheets lie when the whole brain is drawn: x to the left, y backwards, z up, in mm.

The model knows places within a sheet only; no synapse depends on how the sheets lie to each other. This puts them as
they lie in the head, seen from the side: cortex on top with M1 in front of S1, thalamus below it, basal ganglia before
the thalamus, cerebellum behind, with its layers from the surface down. Flat sheets of one region lie 0.25 mm apart.
"""

import math

from services.brain.models.cbct.sheets import Positions, Sheet
from services.brain.models.cbct.tables import PopulationRow

LEVEL_MM = 0.25
DEEP_MM = 1.7
"""Where thalamus and basal ganglia begin: a millimetre below the lowest layer of the cortex."""

_SURFACE_MM = 0.7
_LEVELS = {
    "TH": ("EZ_RE", "EZ_TC", "EZ_IN", "IZ_RE", "IZ_TC", "IZ_IN"),
    "BG": ("CSN", "PTN", "CMPf", "MSN", "FSI", "GPe", "STN", "GPi", "GPi_out"),
    "CB": ("BS", "PKJ", "GO", "GR", "VN", "PONS"),
}


def offset(row: PopulationRow, area_mm2: float) -> tuple[float, float, float]:
    """The middle of the sheet of a population, in mm."""
    side = math.sqrt(area_mm2)
    apart = side + max(0.3 * side, 0.1)
    if row.region in ("M1", "S1"):
        return 0.0, apart * (-0.5 if row.region == "M1" else 0.5), 0.0
    if row.region == "TH":
        area, cells = row.sheet.split("_", 1)
        return 0.0, apart * (-0.5 if area == "M1" else 0.5), -DEEP_MM - _level("TH", f"{cells}_{row.cell}")
    if row.region == "BG":
        name = row.id.removeprefix("BG_").removeprefix("in_")
        return 0.0, -1.5 * apart, -DEEP_MM - _level("BG", name)
    return apart * (-0.5 if row.region == "CB_M1" else 0.5), 2.0 * apart, -_SURFACE_MM - _level("CB", row.sheet)


def upright(sheet: Sheet) -> Positions:
    """The places of a sheet about its middle, with z up where the model counts the depth."""
    return sheet.positions * (1.0, 1.0, -1.0)


def _level(region: str, name: str) -> float:
    return LEVEL_MM * _LEVELS[region].index(name)
