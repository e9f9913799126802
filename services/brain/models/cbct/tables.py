"""The tables of the CBCT model as values: populations, projections, inputs, neuron sets. README.md says the rules."""

import csv
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

_DATA = Path(__file__).parent / "data"

REGIONS = ("S1", "M1", "TH", "CB_S1", "CB_M1", "BG")
PATHWAY_GROUPS = ("ctx_cb", "ctx_th", "th_ctx", "cb_th", "bg_th", "ctx_bg")

TRANSIENT_MS = 400.0
"""The start times of the inputs belong to a discarded transient of this length."""

MIN_AREA_MM2 = 0.02
"""Below this several populations round to nothing or to one cell."""

SHORTEST_DELAY_MS, LONGEST_DELAY_MS = 1.0, 11.0

PORTS = {"exc": 0, "inh": 0, "relay": 0, "AMPA": 1, "NMDA": 2, "GABA": 3}
"""NEST's receptor type by receptor; at port 0 the sign of the weight chooses."""

R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class PopulationRow:
    """A population; numbers of cells and densities are for the sheet of 1 mm x 1 mm."""

    id: str
    region: str
    sheet: str
    cell: str
    kind: Literal["neuron", "relay"]
    sign: Literal["E", "I"]
    neuron_set: str
    n_1mm2: int
    placement: str
    density_per_mm2: float | None
    z_top_mm: float | None
    thickness_mm: float | None
    grid_per_mm: float | None
    copies_per_site: int
    v_init: str

    @property
    def zone(self) -> str:
        """The part of its region that can be built alone: one of four in the thalamus, else the region."""
        return f"TH_{self.sheet}" if self.region == "TH" else self.region


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectionRow:
    """A projection from one population to another; `group` is empty inside a region.

    `p_center` is the probability of a connection at no horizontal distance, sigma and mask are in mm,
    `weight` is in nS (conductance models) or in the units of the model (basal ganglia); for a lognormal
    distribution `weight` and `weight_sigma` belong to the normal distribution below it.
    """

    id: str
    source: str
    target: str
    rule: Literal["gauss", "uniform", "indegree", "one_to_one", "takeover"]
    p_center: float | None
    sigma_x_mm: float | None
    sigma_y_mm: float | None
    mask: str
    mask_x_mm: float | None
    mask_y_mm: float | None
    mask_z_mm: float | None
    receptor: str
    weight_dist: Literal["const", "lognormal"]
    weight: float
    weight_alt: float | None
    delay_ms: float
    autapses: int
    group: str = ""
    n_1mm2: int | None = None
    indegree: float | None = None
    weight_sigma: float | None = None
    weight_total: float | None = None
    syn_intended_1mm2: int
    syn_published_1mm2: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InputRow:
    """Background drive: Poisson spikes to every cell of `target`, an independent train to each."""

    id: str
    target: str
    rate_hz: float
    weight: float
    delay_ms: float
    start_ms: float


@dataclass(frozen=True, slots=True)
class NeuronSet:
    """A NEST model and its parameters, in NEST's units."""

    model: str
    params: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Tables:
    """Rows by id, in the order in which they are built."""

    neurons: Mapping[str, NeuronSet]
    populations: Mapping[str, PopulationRow]
    connections: Mapping[str, ProjectionRow]
    pathways: Mapping[str, ProjectionRow]
    inputs: Mapping[str, InputRow]


@cache
def tables() -> Tables:
    with (_DATA / "neurons.toml").open("rb") as file:
        sets = tomllib.load(file)
    return Tables(
        neurons={name: NeuronSet(s["model"], s["params"]) for name, s in sets.items()},
        populations={row.id: row for row in _rows("populations.csv", PopulationRow)},
        connections={row.id: row for row in _rows("connections.csv", ProjectionRow)},
        pathways={row.id: row for row in _rows("pathways.csv", ProjectionRow)},
        inputs={row.id: row for row in _rows("inputs.csv", InputRow)},
    )


def zones_of(region: str) -> tuple[str, ...]:
    """The zones a region is made of; a zone is its own."""
    rows = tables().populations.values()
    return tuple(dict.fromkeys(row.zone for row in rows if region in (row.region, row.zone)))


def _rows(name: str, cls: type[R]) -> Iterator[R]:
    """One `cls` per line, by column names; columns it does not know are for readers of the table."""
    hints = typing.get_type_hints(cls)
    known = {f.name for f in fields(cls)}  # type: ignore[arg-type]
    with (_DATA / name).open(newline="") as file:
        for record in csv.DictReader(line for line in file if not line.startswith("#")):
            yield cls(**{key: _value(text, hints[key]) for key, text in record.items() if key in known})


def _value(text: str, kind: Any) -> Any:
    if typing.get_origin(kind) is types.UnionType:
        return None if text == "" else _value(text, typing.get_args(kind)[0])
    return kind(text) if kind in (int, float) else text
