"""overview.png: one picture of a run. Spikes, drive and read-outs on the left, the body on the right.

Panels are chosen by what the recording holds, so any experiment gets its picture.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from reafference.errors import BadExperiment
from reafference.frames import Array, Port

from . import look
from .export import population_of
from .reader import Run

_LINES = ("#1f6f8b", "#b5452c", "#5b8c3a", "#8a5aa8", "#b07a12", "#2f8f83", "#b04a7b", "#5c6b73")
# An active muscle is red, an inactive one blue: the convention of the field's 3-D views.
_ACTIVITY = LinearSegmentedColormap.from_list("activity", ["#3d6fb6", "#e9e4da", "#c8321f"])
_VOLTAGE = LinearSegmentedColormap.from_list("voltage", ["#f6f3ea", "#e2b04a", "#b5452c", "#4a1526"])
_MOST_SPIKES = 80_000
_MOST_LINES = 8
_MOST_NAMES = 30

# Inches.
_COLUMN_WIDTH, _LABELS, _TAIL, _GAP, _TOP, _BOTTOM = 5.0, 1.05, 0.95, 0.5, 0.95, 0.5


@dataclass(frozen=True, slots=True)
class Panel:
    """One part of the picture: its height in inches, and how it is drawn."""

    height: float
    draw: Callable[[Axes], None]
    over_time: bool = True


@dataclass(frozen=True, slots=True)
class Series:
    """One array of a stream over time: `t_s` (n,), `values` (n, m), one label for each of the m columns."""

    name: str
    port: Port
    t_s: Array
    values: Array
    unit: str

    @property
    def labels(self) -> tuple[str, ...]:
        return self.port.labels or tuple("" for _ in range(self.values.shape[1]))


def draw(run: Run, path: Path) -> Path:
    """Draw the picture of `run` into `path` (PNG).

    Raises BadExperiment if the recording has no complete step, or the file cannot be written.
    """
    if not run.steps:
        raise BadExperiment(f"{run.path} has no complete step: there is nothing to draw")
    with matplotlib.rc_context(look.STYLE):
        figure = _figure(run, [column for column in (_brain(run), _body(run)) if column])
        try:
            figure.savefig(path, dpi=130)
        except OSError as error:
            raise BadExperiment(f"{path} cannot be written: {error.strerror}") from None
    return path


# --- layout ----------------------------------------------------------------------------------------------


def _figure(run: Run, columns: Sequence[Sequence[Panel]]) -> Figure:
    """Columns of panels; those of a shorter column share the room that is left."""
    gaps = [sum(map(_gap_below, column[:-1], column[1:])) for column in columns]
    height = max(2.0, *(sum(p.height for p in column) + gap for column, gap in zip(columns, gaps, strict=True)))
    size = (len(columns) * (_LABELS + _COLUMN_WIDTH + _TAIL), _TOP + height + _BOTTOM)
    figure = Figure(figsize=size)
    end_s = run.steps * run.start.dt_ns / 1e9
    for index, column in enumerate(columns):
        left = index * (_LABELS + _COLUMN_WIDTH + _TAIL) + _LABELS
        stretch = (height - gaps[index]) / sum(panel.height for panel in column)
        top = _BOTTOM + height
        for panel, below in zip(column, [*column[1:], None], strict=True):
            high = panel.height * stretch
            box = (left / size[0], (top - high) / size[1], _COLUMN_WIDTH / size[0], high / size[1])
            axes = figure.add_axes(box)
            panel.draw(axes)
            if panel.over_time:
                _time_axis(axes, end_s, shown=below is None or not below.over_time)
            top -= high + (_gap_below(panel, below) if below else 0.0)
    look.head(figure, run, size[1])
    return figure


def _gap_below(panel: Panel, below: Panel) -> float:
    """Room for a title, and for a time axis where one ends."""
    return _GAP if panel.over_time and below.over_time else 1.6 * _GAP


def _time_axis(axes: Axes, end_s: float, *, shown: bool) -> None:
    axes.set_xlim(0, end_s)
    axes.tick_params(labelbottom=shown)
    axes.set_xlabel("time (s)" if shown else "")


# --- the brain -------------------------------------------------------------------------------------------


def _brain(run: Run) -> list[Panel]:
    panels = []
    if "brain/spikes" in run.ports:
        panels.append(Panel(4.2, lambda axes: _raster(axes, run)))
    for series in _arrays(run, "engine/inputs/brain"):
        panels.append(Panel(0.7, _lines(series, f"input to the brain: {series.name}", steps=True)))
    for series in _arrays(run, "brain/sinks"):
        title = f"output of the brain: {series.name}"
        if len(series.labels) > _MOST_LINES:
            panels.append(Panel(2.3, _strips(series, f"{title}{series.unit}", _VOLTAGE)))
        else:
            panels.append(Panel(1.2, _lines(series, title)))
    return panels


def _raster(axes: Axes, run: Run) -> None:
    """Spikes of the recorded neurons in bands: of a population, or of a region where there are many populations."""
    names = population_of(run)
    order = list(dict.fromkeys(names.values()))
    rows = {neuron: row for row, neuron in enumerate(sorted(names, key=lambda n: (order.index(names[n]), n)))}
    times, senders, count = _spikes(run)
    signs = {name: fact.get("sign") or "" for name, fact in _populations(run).items()}
    heights = np.array([rows.get(int(n), -1) for n in senders], float)
    of_sender = np.array([signs.get(names.get(int(n), ""), "") for n in senders], str)
    for sign in ("E", "I", ""):
        chosen, colour = of_sender == sign, look.colour_of(sign)
        axes.plot(times[chosen], heights[chosen], "|", ms=2.6, mew=0.75, color=colour, rasterized=True)
    bands = [names[neuron] for neuron in rows]
    if len(order) > _MOST_NAMES:
        regions = {name: fact.get("region") or name for name, fact in _populations(run).items()}
        bands = [regions.get(name, name) for name in bands]
    labels = list(dict.fromkeys(bands))
    edges = np.cumsum([0, *(bands.count(label) for label in labels)])
    axes.set_yticks((edges[:-1] + edges[1:] - 1) / 2, labels, fontsize=7 if len(labels) > 12 else 8)
    for edge in edges[1:-1]:
        axes.axhline(edge - 0.5, color=look.LINE, lw=0.5, zorder=0)
    axes.set_ylim(max(edges[-1], 1) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    thinned = f" (every {count // len(times)}th is drawn)" if 0 < len(times) < count else ""
    axes.set_title(f"{count:,} spikes of {len(names):,} recorded neurons{thinned}")
    if {"E", "I"} <= set(signs.values()):
        right: dict[str, Any] = {"ha": "right", "va": "bottom", "transform": axes.transAxes, "weight": "bold"}
        axes.text(1, 1.012, "excitatory", color=look.EXCITATORY, **right)
        axes.text(0.84, 1.012, "inhibitory", color=look.INHIBITORY, **right)


def _spikes(run: Run) -> tuple[Array, Array, int]:
    """Times in seconds and senders, thinned to what a picture can show, and how many there are in all."""
    samples = [sample.arrays for sample in run.samples(["brain/spikes"])]
    if not samples:
        return np.empty(0), np.empty(0, np.int64), 0
    times = np.concatenate([arrays["time_ns"] for arrays in samples]) / 1e9
    senders = np.concatenate([arrays["sender"] for arrays in samples])
    every = -(-len(times) // _MOST_SPIKES) or 1
    return times[::every], senders[::every], len(times)


def _populations(run: Run) -> Mapping[str, Mapping[str, str]]:
    brain = run.start.ports.get("brain")
    found: Mapping[str, Mapping[str, str]] = brain.facts.get("populations", {}) if brain else {}
    return found


# --- the body --------------------------------------------------------------------------------------------


def _body(run: Run) -> list[Panel]:
    panels = []
    muscles = _array(run, "body/muscles", "activation")
    if muscles is not None:
        panels.append(Panel(1.5, _strips(muscles, "muscle activation", _ACTIVITY, top=1.0)))
    joints = _array(run, "body/joints", "position" if muscles is not None else "velocity")
    if joints is not None:
        what = "joint angles" if muscles is not None else "joint speeds"
        panels.append(Panel(1.7, _lines(joints, what)))
    if muscles is None:
        for series in _arrays(run, "engine/inputs/body"):
            panels.append(Panel(0.9, _lines(series, f"input to the body: {series.name}", steps=True)))
    for topic, name in (("body/tip", "stick tip"), ("body/base", "robot")):
        path = _array(run, topic, "position")
        if path is not None:
            panels.append(Panel(1.3, _moved(path, name)))
            panels.append(Panel(2.6, _path(path, name), over_time=False))
    return panels


def _moved(series: Series, name: str) -> Callable[[Axes], None]:
    """How far something has moved since the first step, by axis."""
    scale, unit = _scale(series.values)
    moved = replace(series, values=(series.values - series.values[0]) * scale, unit=f" ({unit})")
    return _lines(moved, f"{name}: way from where it began")


def _path(series: Series, name: str) -> Callable[[Axes], None]:
    def panel(axes: Axes) -> None:
        scale, unit = _scale(series.values)
        x, y = series.values[:, 0] * scale, series.values[:, 1] * scale
        points = np.column_stack([x, y])
        pieces = np.stack([points[:-1], points[1:]], axis=1)
        lines = LineCollection(list(pieces), cmap="viridis", lw=2.0, capstyle="round")
        lines.set_array(series.t_s[1:])
        axes.add_collection(lines)
        axes.plot(x[0], y[0], "o", ms=6, mfc=look.PAPER, mec=look.INK)
        axes.plot(x[-1], y[-1], "o", ms=5, color=look.INK)
        # A path that hardly moves sideways would be a hairline: keep the axes equal and give it room.
        box = axes.get_window_extent()
        reach = 0.56 * max(np.ptp(y), np.ptp(x) * box.height / box.width, 1e-9)
        for values, setter, half in ((y, axes.set_ylim, reach), (x, axes.set_xlim, reach * box.width / box.height)):
            setter((values.min() + values.max()) / 2 - half, (values.min() + values.max()) / 2 + half)
        axes.set_xlabel(f"x ({unit})")
        axes.set_ylabel(f"y ({unit})")
        axes.set_title(f"{name}: path from above, from ○ to ●")
        _bar(axes, lines, "time (s)")

    return panel


def _scale(values: Array) -> tuple[float, str]:
    return (1.0, "m") if np.ptp(values[:, :2]) > 0.5 or np.abs(values).max() > 1 else (1000.0, "mm")


# --- any stream ------------------------------------------------------------------------------------------


def _arrays(run: Run, topic: str) -> list[Series]:
    """Every array of a stream that is a number or a list of numbers."""
    found = []
    for name, port in run.ports.get(topic, {}).items():
        if len(port.shape) <= 1 and -1 not in port.shape:
            t_s, values = run.series(topic, name)
            if len(t_s):
                unit = f" ({port.unit})" if port.unit not in ("", "1") else ""
                found.append(Series(name, port, t_s, values.reshape(len(t_s), -1), unit))
    return found


def _array(run: Run, topic: str, name: str) -> Series | None:
    return next((series for series in _arrays(run, topic) if series.name == name), None)


def _lines(series: Series, title: str, *, steps: bool = False) -> Callable[[Axes], None]:
    def panel(axes: Axes) -> None:
        style: dict[str, Any] = {"drawstyle": "steps-post"} if steps else {}
        for index, values in enumerate(series.values.T):
            axes.plot(series.t_s, values, lw=1.4, color=_LINES[index % len(_LINES)], **style)
        axes.set_title(f"{title}{series.unit}")
        axes.margins(y=0.12)
        _name_the_ends(axes, series)

    return panel


def _name_the_ends(axes: Axes, series: Series) -> None:
    """Labels at the right end of the lines, pushed apart where lines end together."""
    if not any(series.labels):
        return
    low, high = axes.get_ylim()
    inches = axes.get_window_extent().height / axes.figure.dpi
    gap = min(0.135 / inches, 1 / len(series.labels))
    ends = sorted((float((v - low) / (high - low)), i) for i, v in enumerate(series.values[-1]))
    places = [height for height, _ in ends]
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + gap)
    overshoot = max(0.0, places[-1] - 1)
    places = [place - overshoot for place in places]
    for i in range(len(places) - 2, -1, -1):
        places[i] = min(places[i], places[i + 1] - gap)
    for place, (_, index) in zip(places, ends, strict=True):
        colour = _LINES[index % len(_LINES)]
        axes.annotate(
            series.labels[index], (1.012, place), xycoords="axes fraction", color=colour, fontsize=7.2, va="center"
        )


def _strips(
    series: Series, title: str, colours: LinearSegmentedColormap, top: float | None = None
) -> Callable[[Axes], None]:
    """One coloured strip per element; better than lines where many lie on each other."""

    def panel(axes: Axes) -> None:
        highest = top or float(np.percentile(series.values, 99.5)) or 1.0
        dt_s = float(series.t_s[0])
        extent = (float(series.t_s[0]) - dt_s, float(series.t_s[-1]), len(series.labels) - 0.5, -0.5)
        picture = axes.imshow(
            series.values.T, aspect="auto", interpolation="nearest", extent=extent, cmap=colours, vmin=0, vmax=highest
        )
        axes.set_yticks(range(len(series.labels)), series.labels, fontsize=7)
        axes.tick_params(axis="y", length=0)
        for edge in range(1, len(series.labels)):
            axes.axhline(edge - 0.5, color=look.PAPER, lw=0.6)
        axes.set_title(title)
        _bar(axes, picture, "")

    return panel


def _bar(axes: Axes, picture: Any, label: str) -> None:
    place = axes.inset_axes((1.02, 0.0, 0.02, 1.0))
    bar = axes.figure.colorbar(picture, cax=place)
    bar.outline.set_visible(False)
    bar.set_label(label, color=look.MUTED)
    place.tick_params(labelsize=7)
