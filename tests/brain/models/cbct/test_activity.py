"""Regions at rest, on sheets small enough for a test."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.brain.models import cbct

SETTLED_MS = 150.0
STEPS = 45


@pytest.fixture
def m1(bench: Any) -> Any:
    """0.05 mm2 (3,000 cells), every cell recorded; the background has started by 100 ms."""
    settings = {
        "model": "cbct",
        "parameters": {"regions": ["M1"], "area_mm2": 0.05, "transient_ms": 140.0},
        "sources": {"drive": {"kind": "poisson", "targets": ["M1_L1_ENGC"], "weight": 0.15, "delay_ms": 1.5}},
        "sinks": {
            "readout": {
                "kind": "leaky_integrator_alpha",
                "sources": ["M1_L1_ENGC"],
                "delay_ms": 1.5,
                "weight_scaled_to_full_size": True,
            },
            "raster": {"kind": "spike_recorder", "sources": ["M1_*"]},
        },
    }
    bench.prepare(settings)
    return bench


def rates_hz(bench: Any) -> dict[str, float]:
    sender, time_ms = bench.spikes()
    sender = sender[time_ms > SETTLED_MS]
    seconds = (len(bench.outputs) * 20.0 - SETTLED_MS) / 1000
    return {
        name: float(np.isin(sender, bench.ids(name)).sum() / len(bench.ids(name)) / seconds)
        for name in bench.ports.facts["populations"]
    }


def test_m1_rests_at_low_rates_and_fires_irregularly(m1: Any) -> None:
    m1.run(STEPS)
    rates = rates_hz(m1)
    assert all(0.0 <= rate < 40.0 for rate in rates.values())
    weights = {name: len(m1.ids(name)) for name in rates}
    mean = sum(rates[name] * weights[name] for name in rates) / sum(weights.values())
    assert 0.5 < mean < 10.0
    assert sum(rate > 0.2 for rate in rates.values()) > 15
    sender, time_ms = m1.spikes()
    variation = []
    for neuron in np.unique(sender):
        intervals = np.diff(time_ms[(sender == neuron) & (time_ms > SETTLED_MS)])
        if len(intervals) >= 5:
            variation.append(intervals.std(ddof=1) / intervals.mean())
    assert len(variation) > 30
    # One for a Poisson train; somewhat less for few intervals and cells that rest after a spike.
    assert 0.5 < np.mean(variation) < 1.3


def test_drive_raises_the_readout(m1: Any) -> None:
    m1.run(STEPS // 2)
    rest = m1.sink("readout")[8:].mean()
    m1.run(STEPS // 2, drive=[5000.0])
    driven = m1.sink("readout")[STEPS // 2 + 2 :].mean()
    assert 0.1 < rest < 3.0
    assert driven > 1.3 * rest


def published_ranges() -> dict[str, tuple[float, float]]:
    """Resting rates (Hz) that the basal ganglia model was tuned to."""
    lines = (Path(cbct.__file__).parent / "data" / "reference_rates.csv").read_text().splitlines()
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    ranges = {row["population"]: (float(row["low_hz"]), float(row["high_hz"])) for row in rows}
    return {name: ranges[name] for name in ("BG_MSN", "BG_FSI", "BG_STN", "BG_GPe", "BG_GPi")}


def test_the_basal_ganglia_rest_within_their_published_ranges(bench: Any) -> None:
    sinks = {"raster": {"kind": "spike_recorder", "sources": ["BG_???"], "sample": 200}}
    bench.prepare({"model": "cbct", "parameters": {"regions": ["BG"], "area_mm2": 0.1}, "sinks": sinks})
    bench.run(STEPS)
    sender, time_ms = bench.spikes()
    seconds = STEPS * 0.02 - SETTLED_MS / 1000
    recorded = bench.ports.facts["recorders"]["raster"]
    ranges = published_ranges()
    assert set(recorded) == set(ranges)
    for name, (low, high) in ranges.items():
        ids = np.concatenate([np.arange(first, last + 1) for first, last in recorded[name]])
        rate = (np.isin(sender, ids) & (time_ms > SETTLED_MS)).sum() / len(ids) / seconds
        # A tenth of the sheet has six to ten cells in the small nuclei, hence the margin.
        assert 0.8 * low < rate < 1.2 * high, name


def relay_rate_hz(bench: Any, pathways: list[str]) -> float:
    """Of the thalamic cells that the basal ganglia inhibit."""
    parameters = {
        "regions": ["BG", "TH_M1_IZ"],
        "area_mm2": 0.1,
        "pathway_groups": pathways,
        "transient_ms": 100.0,
    }
    sinks = {"raster": {"kind": "spike_recorder", "sources": ["TH_M1_IZ_TC"]}}
    bench.prepare({"model": "cbct", "parameters": parameters, "sinks": sinks})
    bench.run(STEPS)
    _, time_ms = bench.spikes()
    return float((time_ms > SETTLED_MS).sum() / 100 / (STEPS * 0.02 - SETTLED_MS / 1000))


def test_the_basal_ganglia_hold_their_thalamic_cells_down(bench: Any) -> None:
    assert 0.5 < relay_rate_hz(bench, ["bg_th"]) < 10.0
    assert relay_rate_hz(bench, []) > 60.0
