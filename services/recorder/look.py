"""How our pictures look: colours, type, the head line. One place, so that all pictures of a run belong together."""

from typing import Any

import matplotlib

from .reader import Run
from .store import read_summary

matplotlib.use("Agg")  # no screen is needed, and none is looked for

from matplotlib.figure import Figure

PAPER, INK, MUTED, LINE = "#fbfaf7", "#191d1c", "#5f6763", "#d6d3ca"
EXCITATORY, INHIBITORY, NEITHER = "#1f6f8b", "#b5452c", "#3c4442"
STYLE: dict[Any, Any] = {
    "font.size": 8.5,
    "font.family": ["DejaVu Sans"],
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
}


def colour_of(sign: str) -> str:
    """Of excitatory (`E`) and inhibitory (`I`) cells, and of those that do not say."""
    return {"E": EXCITATORY, "I": INHIBITORY}.get(sign, NEITHER)


def head(figure: Figure, run: Run, height: float) -> None:
    """Title and facts of the run on top of a figure `height` inches high."""
    start, summary = run.start, read_summary(run.folder)
    figure.text(0.02, 1 - 0.3 / height, start.title, size=15, weight="bold", color=INK, va="center")
    facts = [start.experiment, f"seed {start.seed}", f"{run.steps} steps of {start.dt_ns / 1e6:g} ms"]
    if summary.get("neurons"):
        facts += [f"{summary['neurons']:,} neurons", f"{summary['synapses']:,} synapses"]
    if summary.get("real_time_factor"):
        facts.append(f"real-time factor {summary['real_time_factor']:.2g}")
    figure.text(0.02, 1 - 0.56 / height, "   ·   ".join(facts), size=9, color=MUTED, va="center")
