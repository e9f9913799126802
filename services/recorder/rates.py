"""Mean rates of recorded populations, and the power spectrum of their common rate. Arrays and formulas only."""

import csv
import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from reafference.errors import BadExperiment
from reafference.frames import Array

from .export import population_of
from .reader import Run

FILE = "rates.csv"
BIN_S = 0.001
_SEGMENT_S = 0.25
BAND_HZ = (20.0, 80.0)
"""Where a rhythm is looked for."""
_BESIDE_HZ = 10.0
_SURROGATES = 200


@dataclass(frozen=True, slots=True)
class Population:
    """A recorded population: `neurons` are the ids of those recorded, shape (n,), in ascending order."""

    name: str
    region: str
    sign: str
    neurons: Array


@dataclass(frozen=True, slots=True)
class Rate:
    """`rate_hz` is the mean of the recorded cells; `cv` the mean variation of intervals, None if too few fired."""

    population: Population
    rate_hz: float
    cv: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spectrum:
    """Power of the common rate of several populations.

    `power` has one value for each of `frequency_hz`, as a multiple of `chance`, the power of as many independent
    spikes. The largest value within BAND_HZ stands at `peak_hz`, `over_background` times as high as the median of
    the band more than 10 Hz beside it; independent spikes stay below `by_chance` in 95 of 100 cases.
    """

    label: str
    neurons: Array
    frequency_hz: Array
    power: Array
    peak_hz: float
    over_background: float
    by_chance: float

    @property
    def verdict(self) -> str:
        """The peak in words."""
        return (
            f"at {self.peak_hz:.0f} Hz {self.over_background:.1f} times the background (chance: {self.by_chance:.1f})"
        )

    def at(self, frequency_hz: float) -> float:
        """The power at the nearest frequency."""
        return float(self.power[np.argmin(np.abs(self.frequency_hz - frequency_hz))])


class Activity:
    """The recorded spikes of a run after `settled_s`, by population."""

    def __init__(self, run: Run, settled_s: float) -> None:
        self.settled_s, self.end_s = settled_s, run.steps * run.start.dt_ns / 1e9
        if self.end_s <= settled_s:
            raise BadExperiment(
                f"the run ends at {self.end_s:g} s, before it counts as settled (record.settled_s = {settled_s:g}): "
                "run more steps"
            )
        self.populations = list(_populations(run))
        if not self.populations:
            raise BadExperiment("no spikes were recorded: the experiment needs a sink of kind spike_recorder")
        samples = [sample.arrays for sample in run.samples(["brain/spikes"])]
        self.times_s, self.senders = np.empty(0), np.empty(0, np.int64)
        if samples:
            self.times_s = np.concatenate([arrays["time_ns"] for arrays in samples]) / 1e9
            self.senders = np.concatenate([arrays["sender"] for arrays in samples])
        self._settled = self.times_s > settled_s

    @property
    def seconds(self) -> float:
        """How long the settled part is."""
        return self.end_s - self.settled_s

    def rates(self) -> list[Rate]:
        """One for each population, in the order of recording."""
        times, senders = self.times_s[self._settled], self.senders[self._settled]
        found = []
        for population in self.populations:
            own = np.isin(senders, population.neurons)
            hz = np.count_nonzero(own) / len(population.neurons) / self.seconds
            found.append(Rate(population, hz, _variation(times[own], senders[own])))
        return found

    def spectrum(self, label: str, patterns: Sequence[str]) -> Spectrum:
        """Of the populations whose names match any of `patterns`. Raises BadExperiment if none does."""
        chosen = [p for p in self.populations if any(fnmatch.fnmatchcase(p.name, pattern) for pattern in patterns)]
        if not chosen:
            raise BadExperiment(f"record.spectra: no recorded population is called {' or '.join(patterns)}")
        neurons = np.concatenate([p.neurons for p in chosen])
        return spectrum_of(label, neurons, self.counts(neurons, BIN_S))

    def counts(self, neurons: Array, bin_s: float) -> Array:
        """Spikes of these neurons in each bin of the settled part, shape (n,), float64."""
        own = self._settled & np.isin(self.senders, neurons)
        edges = np.arange(self.settled_s, self.end_s + bin_s / 2, bin_s)
        return np.histogram(self.times_s[own], edges)[0].astype(float)


def spectrum_of(label: str, neurons: Array, counts: Array) -> Spectrum:
    """Of the spikes of `neurons` in each millisecond, shape (n,).

    Raises BadExperiment where there are fewer than 250 milliseconds.
    """
    frequency, power = _welch(counts)
    band = (frequency >= BAND_HZ[0]) & (frequency <= BAND_HZ[1])
    # A seed of its own: the same run gives the same picture every time.
    surrogates = np.random.default_rng(1).poisson(counts.mean(), (_SURROGATES, len(counts))).astype(float)
    chance = [_peak(frequency[band], _welch(one)[1][band])[1] for one in surrogates]
    peak_hz, over = _peak(frequency[band], power[band])
    return Spectrum(
        label=label,
        neurons=neurons,
        frequency_hz=frequency,
        power=power,
        peak_hz=peak_hz,
        over_background=over,
        by_chance=float(np.percentile(chance, 95)),
    )


def write(rates: Sequence[Rate], path: Path) -> Path:
    """A table with one row per population."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["population", "region", "sign", "recorded_cells", "rate_hz", "cv"])
        for rate in rates:
            p = rate.population
            cv = "" if rate.cv is None else f"{rate.cv:.3f}"
            table.writerow([p.name, p.region, p.sign, len(p.neurons), f"{rate.rate_hz:.3f}", cv])
    return path


def table(activity: Activity, rates: Sequence[Rate]) -> Table:
    """For a terminal: regions one after the other."""
    title = f"mean rates from {activity.settled_s:g} to {activity.end_s:g} s"
    made = Table(box=None, padding=(0, 3, 0, 0), title=title, title_justify="left", title_style="bold")
    for name in ("region", "population", "", "cells"):
        made.add_column(name, justify="right" if name == "cells" else "left")
    for name in ("spikes/s", "CV"):
        made.add_column(name, justify="right")
    for region, part in by_region(rates):
        for place, rate in enumerate(part):
            p = rate.population
            cv = "" if rate.cv is None else f"{rate.cv:.2f}"
            made.add_row(region if place == 0 else "", p.name, p.sign, str(len(p.neurons)), f"{rate.rate_hz:.2f}", cv)
    return made


def by_region(rates: Sequence[Rate]) -> Iterator[tuple[str, list[Rate]]]:
    """Regions in the order of their first population, with their rates."""
    for region in dict.fromkeys(rate.population.region for rate in rates):
        yield region, [rate for rate in rates if rate.population.region == region]


def _populations(run: Run) -> Iterator[Population]:
    names = population_of(run)
    brain = run.start.ports.get("brain")
    facts: Mapping[str, Mapping[str, Any]] = brain.facts.get("populations", {}) if brain else {}
    neurons: dict[str, list[int]] = {}
    for neuron, name in names.items():
        neurons.setdefault(name, []).append(neuron)
    # In the order of the model, where a recorder names the populations of one.
    order = {name: place for place, name in enumerate(facts)}
    for name in sorted(neurons, key=lambda name: order.get(name, len(order))):
        fact = facts.get(name, {})
        yield Population(name, fact.get("region") or "", fact.get("sign") or "", np.sort(neurons[name]))


def _variation(times_s: Array, senders: Array) -> float | None:
    """Mean over cells of the standard deviation of their intervals over the mean; of cells with five or more."""
    order = np.lexsort((times_s, senders))
    times_s, senders = times_s[order], senders[order]
    cuts = np.flatnonzero(np.diff(senders)) + 1
    intervals = [np.diff(part) for part in np.split(times_s, cuts) if len(part) > 5]
    return float(np.mean([i.std(ddof=1) / i.mean() for i in intervals])) if intervals else None


def _welch(counts: Array) -> tuple[Array, Array]:
    """Frequencies (Hz) and power as a multiple of that of independent spikes; Hann windows that overlap by half."""
    length = round(_SEGMENT_S / BIN_S)
    if len(counts) < length:
        raise BadExperiment(
            f"a spectrum needs {1000 * _SEGMENT_S:g} ms after the run has settled, there are {len(counts)}"
        )
    window = np.hanning(length)
    starts = range(0, len(counts) - length + 1, length // 2)
    parts = np.array([counts[at : at + length] for at in starts])
    parts = (parts - parts.mean(axis=1, keepdims=True)) * window
    power = (np.abs(np.fft.rfft(parts, axis=1)) ** 2).mean(axis=0)
    # Independent spikes, n in each bin on average, have the power n times the sum of the squared window.
    flat = max(counts.mean(), 1e-12) * (window**2).sum()
    return np.fft.rfftfreq(length, BIN_S)[1:], power[1:] / flat


def _peak(frequency: Array, power: Array) -> tuple[float, float]:
    """Where the power is highest, and by how much it exceeds the median of what is not beside it."""
    at = int(np.argmax(power))
    away = np.abs(frequency - frequency[at]) > _BESIDE_HZ
    return float(frequency[at]), float(power[at] / max(np.median(power[away]), 1e-12))
