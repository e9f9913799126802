"""resting_state.png: what the brain does by itself. Raster and mean rate per population, spectra of chosen ones."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reafference.errors import BadExperiment

from . import look
from .rates import BAND_HZ, Activity, Population, Rate, Spectrum, by_region
from .reader import Run

_CELLS = (12, 150)
"""So many cells of a population are drawn at least and at most, if there are: more would be one black band."""
_BIN_S = 0.004
# Inches.
_ROW, _LOWEST, _TOP, _BOTTOM = 0.185, 5.0, 1.3, 0.55
_NAMES, _RASTER, _BARS, _RHYTHMS, _BETWEEN = 1.5, 6.9, 2.05, 3.25, 0.27
_SPECTRUM, _TRACE, _GAP = 2.5, 1.1, 0.75


def draw(run: Run, activity: Activity, rates: Sequence[Rate], spectra: Sequence[Spectrum], path: Path) -> Path:
    """Draw the picture into `path` (PNG). Raises BadExperiment if it cannot be written."""
    ordered = [rate for _, part in by_region(rates) for rate in part]
    high = max(_LOWEST, _ROW * len(ordered), len(spectra) * (_TRACE + _SPECTRUM + 2 * _GAP) - _GAP)
    bars_at = _NAMES + _RASTER + _BETWEEN
    rhythms_at = bars_at + _BARS + 3 * _BETWEEN
    size = (rhythms_at + _RHYTHMS + _BETWEEN if spectra else bars_at + _BARS + _BETWEEN, _TOP + high + _BOTTOM)
    with matplotlib.rc_context(look.STYLE):
        figure = Figure(figsize=size)

        def panel(left: float, bottom: float, width: float, height: float, **more: Any) -> Axes:
            return figure.add_axes((left / size[0], bottom / size[1], width / size[0], height / size[1]), **more)

        raster = panel(_NAMES, _BOTTOM, _RASTER, high)
        bars = panel(bars_at, _BOTTOM, _BARS, high, sharey=raster)
        _raster(raster, activity, [rate.population for rate in ordered], high)
        _bars(bars, ordered)
        _regions(raster, bars, rates)
        top = _BOTTOM + high
        for spectrum in spectra:
            # The common rate over time, and below it the power in it.
            for inches, draw_panel in ((_TRACE, _trace), (_SPECTRUM, _spectrum)):
                draw_panel(panel(rhythms_at, top - inches, _RHYTHMS, inches), activity, spectrum)
                top -= inches + _GAP
        look.head(figure, run, size[1])
        try:
            figure.savefig(path, dpi=110)
        except OSError as error:
            raise BadExperiment(f"{path} cannot be written: {error.strerror}") from None
    return path


def _raster(axes: Axes, activity: Activity, populations: Sequence[Population], high: float) -> None:
    """Spikes of some cells of each population, a band of equal height for each; the axes are `high` inches high."""
    fewest, most = _CELLS
    cells = min(most, max(fewest, 2 * most // len(populations)))
    mark = min(5.0, max(1.9, 60 * high / len(populations) / cells))
    for place, population in enumerate(populations):
        shown = population.neurons[:: -(-len(population.neurons) // cells)]
        own = np.isin(activity.senders, shown)
        heights = place + (np.searchsorted(shown, activity.senders[own]) + 0.5) / len(shown)
        colour = look.colour_of(population.sign)
        axes.plot(activity.times_s[own], heights, "|", ms=mark, mew=0.7, color=colour, rasterized=True)
    axes.set_xlim(0, activity.end_s)
    axes.set_ylim(len(populations), 0)
    names = [population.name for population in populations]
    axes.set_yticks(np.arange(len(names)) + 0.5, names, fontsize=6.4 if len(names) > 12 else 8.5)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("time (s)")
    settling = ", settling in grey" if activity.settled_s else ""
    axes.set_title(f"Up to {cells} cells of each population{settling}", pad=8)
    if activity.settled_s:
        axes.axvspan(0, activity.settled_s, color=look.LINE, alpha=0.35, lw=0, zorder=0)
    right: dict[str, Any] = {"ha": "right", "va": "bottom", "transform": axes.transAxes, "size": 8, "weight": "bold"}
    axes.text(1, 1.004, "excitatory", color=look.EXCITATORY, **right)
    axes.text(0.87, 1.004, "inhibitory", color=look.INHIBITORY, **right)


def _bars(axes: Axes, rates: Sequence[Rate]) -> None:
    """Mean rates beside the raster; the axis is stretched towards small rates, where most of them are."""
    places = np.arange(len(rates)) + 0.5
    axes.barh(
        places,
        [rate.rate_hz for rate in rates],
        height=0.62 if len(rates) > 12 else 0.2,
        color=[look.colour_of(rate.population.sign) for rate in rates],
    )
    axes.set_xscale("symlog", linthresh=1.0, linscale=0.6)
    most = max((rate.rate_hz for rate in rates), default=1.0)
    axes.set_xlim(0, max(10.0, 5 * most))
    axes.set_xticks([0, 1, 10, 100] if most > 10 else [0, 1, 10], labels=None)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
    for place, rate in zip(places, rates, strict=True):
        axes.annotate(
            _in_words(rate.rate_hz),
            (rate.rate_hz, place),
            xytext=(3, 0),
            textcoords="offset points",
            size=6.2 if len(rates) > 12 else 8,
            va="center",
            color=look.INK if rate.rate_hz else look.MUTED,
        )
    axes.tick_params(axis="y", labelleft=False, length=0)
    axes.set_xlabel("spikes per second and cell")
    axes.set_title("Mean rate", pad=8)


def _in_words(rate_hz: float) -> str:
    if not rate_hz:
        return "silent"
    return f"{rate_hz:.1f}" if rate_hz >= 0.1 else "< 0.1"


def _regions(raster: Axes, bars: Axes, rates: Sequence[Rate]) -> None:
    """Lines between regions, and their names at the left."""
    at = 0
    for region, part in by_region(rates):
        middle = at + len(part) / 2
        raster.annotate(
            region,
            (-1.3 / _RASTER, middle),
            xycoords=("axes fraction", "data"),
            rotation=90 if len(part) > 2 else 0,
            size=10,
            weight="bold",
            color=look.INK,
            ha="center",
            va="center",
            annotation_clip=False,
        )
        at += len(part)
        for axes in (raster, bars):
            axes.axhline(at, color=look.MUTED if at < len(rates) else look.LINE, lw=0.6)


def _trace(axes: Axes, activity: Activity, spectrum: Spectrum) -> None:
    counts = activity.counts(spectrum.neurons, _BIN_S)
    times = activity.settled_s + _BIN_S * np.arange(len(counts))
    rates_hz = counts / len(spectrum.neurons) / _BIN_S
    axes.fill_between(times, rates_hz, step="post", color=look.EXCITATORY, alpha=0.75, lw=0)
    axes.set_xlim(activity.settled_s, activity.end_s)
    axes.set_ylim(0)
    axes.set_xlabel("time (s)")
    axes.set_ylabel("spikes/s")
    axes.set_title(f"{spectrum.label}: common rate of {len(spectrum.neurons):,} cells")


def _spectrum(axes: Axes, activity: Activity, spectrum: Spectrum) -> None:
    axes.axvspan(*BAND_HZ, color=look.LINE, alpha=0.3, lw=0)
    axes.axhline(1, color=look.MUTED, lw=0.8, ls=(0, (4, 3)))
    axes.plot(spectrum.frequency_hz, spectrum.power, color=look.EXCITATORY, lw=1.6)
    axes.plot(spectrum.peak_hz, spectrum.at(spectrum.peak_hz), "o", ms=6, color=look.INHIBITORY)
    axes.annotate(
        f"{spectrum.peak_hz:.0f} Hz",
        (spectrum.peak_hz, spectrum.at(spectrum.peak_hz)),
        xytext=(7, 3),
        textcoords="offset points",
        size=8,
        weight="bold",
        color=look.INHIBITORY,
    )
    axes.set_xlim(0, 120)
    axes.set_ylim(0, 1.15 * max(1.2, spectrum.power[spectrum.frequency_hz <= 120].max()))
    axes.set_xticks(range(0, 121, 20))
    axes.set_xlabel("frequency (Hz)")
    axes.set_ylabel("power, independent spikes = 1")
    axes.set_title(f"Power: {spectrum.verdict}", size=7.6, weight="normal", color=look.MUTED)
