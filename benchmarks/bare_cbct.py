"""The whole CBCT model in plain PyNEST: the tables, Create and Connect, nothing of ours.

What `models.py` measures our builder against. The rules are those of services/brain/models/cbct/README.md, with all
options at their defaults.
"""

import csv
import math
import tomllib
from pathlib import Path
from typing import Any

import nest
import numpy as np

DATA = Path(__file__).resolve().parent.parent / "services/brain/models/cbct/data"
PORTS = {"AMPA": 1, "NMDA": 2, "GABA": 3}


def build(area: float, seed: int, threads: int) -> int:
    """Build everything; the number of cells."""
    nest.ResetKernel()
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.set(resolution=0.1, local_num_threads=threads, rng_seed=seed, min_delay=1.0, max_delay=11.0)
    rng = np.random.default_rng(seed)
    side = math.sqrt(area)
    sets = tomllib.loads((DATA / "neurons.toml").read_text())
    nodes: dict[str, Any] = {}
    places: dict[str, Any] = {}
    cells = 0
    for row in rows("populations.csv"):
        xy = places[row["id"]] = positions(row, side, area, places, rng)
        kind = sets[row["neuron_set"]]
        params = dict(kind["params"])
        if row["kind"] == "neuron":
            cells += len(xy)
            if row["region"] != "BG":
                params["V_m"] = nest.random.uniform(min=params["V_reset"], max=params["V_th"])
        layer = nest.spatial.free(xy.tolist(), extent=[side * (1 + 1e-9)] * 2, edge_wrap=row["region"] != "BG")
        nodes[row["id"]] = nest.Create(kind["model"], params=params, positions=layer)
    taken: dict[str, Any] = {}
    for row in [*rows("connections.csv"), *rows("pathways.csv")]:
        connect(row, nodes, places, side, area, taken, rng)
    for row in rows("inputs.csv"):
        targets = nodes[row["target"]]
        if row["target"] in taken:
            targets = targets[np.setdiff1d(np.arange(len(targets)), taken[row["target"]]).tolist()]
        generator = nest.Create(
            "poisson_generator", params={"rate": float(row["rate_hz"]), "start": float(row["start_ms"])}
        )
        synapse = {"weight": float(row["weight"]), "delay": float(row["delay_ms"])}
        nest.Connect(generator, targets, "all_to_all", synapse)
    driven = sum(len(nodes[row["target"]]) for row in rows("inputs.csv")) - sum(len(t) for t in taken.values())
    global _driven
    _driven = driven
    return cells


_driven = 0


def synapses() -> int:
    """Synapses of the network that was built, without those of its inputs."""
    return nest.num_connections - _driven


def rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(newline="") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def positions(row: dict[str, str], side: float, area: float, places: dict[str, Any], rng: Any) -> Any:
    """Places of the cells in the plane, shape (n, 2)."""
    rule = row["placement"]
    if rule.startswith("copy:"):
        return places[rule.removeprefix("copy:")]
    if rule in ("lattice3d", "grid2d"):
        deep, copies = 1, 1
        if rule == "grid2d":
            n, copies = max(1, round(float(row["grid_per_mm"]) * side)), int(row["copies_per_site"])
        else:
            thickness = float(row["thickness_mm"])
            q = (float(row["density_per_mm2"]) / thickness) ** (1 / 3)
            n, deep = max(1, round(q * side)), max(1, round(q * thickness))
        along = np.linspace(-side / 2, side / 2, n) if n > 1 else np.zeros(1)
        x, y = np.meshgrid(along, along, indexing="ij")
        return np.repeat(np.column_stack([x.ravel(), y.ravel()]), deep * copies, axis=0)
    n = max(1, round(float(row["density_per_mm2"]) * area))
    m = math.isqrt(n - 1) + 1
    first, span = (-0.4, 0.9) if rule == "bggrid_inner" else (-0.5, 1.0)
    along = side * (first + span * np.arange(m) / m)
    x, y = np.meshgrid(along, along, indexing="ij")
    return np.column_stack([x.ravel(), y.ravel()])[np.sort(rng.permutation(m * m)[:n])]


def connect(row: dict[str, str], nodes: Any, places: Any, side: float, area: float, taken: Any, rng: Any) -> None:
    """One projection."""
    source, target = nodes[row["source"]], nodes[row["target"]]
    port = PORTS.get(row["receptor"], 0)
    weight: Any = float(row["weight"])
    if row["weight_dist"] == "lognormal":
        weight = nest.random.lognormal(mean=weight, std=float(row["weight_sigma"]))
    synapse = {
        "synapse_model": "static_synapse" if port else "static_synapse_hpc",
        "weight": weight,
        "delay": float(row["delay_ms"]),
        "receptor_type": port,
    }
    autapses = {"allow_autapses": bool(int(row["autapses"]))}
    match row["rule"]:
        case "one_to_one":
            nest.Connect(source, target, "one_to_one", synapse)
        case "takeover":
            before = taken.get(row["target"], np.empty(0, np.int64))
            free = np.setdiff1d(np.arange(len(target)), before)
            chosen = np.sort(rng.choice(free, round(float(row["n_1mm2"]) * area), replace=False))
            taken[row["target"]] = np.union1d(before, chosen)
            nest.Connect(source, target[chosen.tolist()], {"rule": "fixed_indegree", "indegree": 1}, synapse)
        case "gauss":
            d = nest.spatial.distance
            kernel = nest.spatial_distributions.gaussian2D(
                d.x, d.y, std_x=float(row["sigma_x_mm"]), std_y=float(row["sigma_y_mm"])
            )
            rule = {"rule": "pairwise_bernoulli", "p": float(row["p_center"]) * kernel, **autapses}
            nest.Connect(source, target, rule, synapse)
        case "uniform":
            x, y = (min(float(row[key]), side / 2) * (1 + 1e-10) for key in ("mask_x_mm", "mask_y_mm"))
            mask = {"rectangular": {"lower_left": [-x, -y], "upper_right": [x, y]}}
            rule = {"rule": "pairwise_bernoulli", "p": float(row["p_center"]), "mask": mask, **autapses}
            nest.Connect(source, target, rule, synapse)
        case "indegree":
            indegree(row, source, target, places, synapse | {}, autapses)


def indegree(row: dict[str, str], source: Any, target: Any, places: Any, synapse: Any, autapses: Any) -> None:
    """A fixed number within a disc, and a draw for the fraction."""
    k = min(float(row["indegree"]), float(len(source)))
    synapse["weight"] = float(row["weight_total"]) / k
    radius = float(row["mask_x_mm"]) * (1 + 1e-10)
    a, b = places[row["source"]], places[row["target"]]
    near = ((b[:, None, :] - a[None, :, :]) ** 2).sum(axis=2) <= radius**2
    counts = near.sum(axis=1)
    disc = {"mask": {"circular": {"radius": radius}}}
    whole = math.floor(k)
    if whole:
        rule = {"rule": "fixed_indegree", "indegree": whole, "allow_multapses": True, **autapses}
        if (counts == len(source)).all():
            nest.Connect(source, target, rule, synapse)
        else:
            edges = np.flatnonzero(np.diff(np.r_[False, counts > 0, False]))
            for first, last in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
                nest.Connect(source, target[first:last], rule | disc, synapse)
            for at in np.flatnonzero(counts == 0).tolist():
                nearest = int(((a - b[at]) ** 2).sum(axis=1).argmin())
                nest.Connect(source[nearest : nearest + 1], target[at : at + 1], rule, synapse)
    if k > whole:
        p = min(1.0, (k - whole) * len(target) / max(1, int(counts.sum())))
        nest.Connect(source, target, {"rule": "pairwise_bernoulli", "p": p, **disc, **autapses}, synapse)
