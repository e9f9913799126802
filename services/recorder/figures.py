"""What is made of a run when it is over: the figures and the table of rates its experiment asks for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reafference import plain
from reafference.errors import BadExperiment

from . import overview, rates, resting_state
from .rates import Activity, Rate, Spectrum
from .reader import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The keys of `[record]` that concern what is made of a run; the engine has checked them."""

    figures: tuple[str, ...] = ("overview",)
    settled_s: float = 0.0
    spectra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, run: Run) -> "Wanted":
        return plain.load(cls, run.start.settings.get("record", {}), strict=False)


def make(run: Run) -> tuple[list[Path], list[str]]:
    """Draw and write everything into the run folder: the files that were made, and why others were not."""
    made: list[Path] = []
    problems: list[str] = []
    for name in Wanted.of(run).figures:
        try:
            made += _FIGURES[name](run)
        except BadExperiment as error:
            problems.append(f"no {name}: {error.text}")
    return made, problems


def resting(run: Run) -> tuple[Activity, list[Rate], list[Spectrum]]:
    """The spikes of the settled part of a run, mean rates, and the spectra its experiment names."""
    wanted = Wanted.of(run)
    activity = Activity(run, wanted.settled_s)
    return activity, activity.rates(), [activity.spectrum(label, names) for label, names in wanted.spectra.items()]


def _overview(run: Run) -> list[Path]:
    return [overview.draw(run, run.folder / "overview.png")]


def _resting_state(run: Run) -> list[Path]:
    activity, found, spectra = resting(run)
    picture = resting_state.draw(run, activity, found, spectra, run.folder / "resting_state.png")
    return [picture, rates.write(found, run.folder / rates.FILE)]


_FIGURES: dict[str, Callable[[Run], list[Path]]] = {"overview": _overview, "resting_state": _resting_state}
