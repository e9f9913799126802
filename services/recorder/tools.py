"""What can be done with a recorded run from the command line."""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from reafference.errors import BadExperiment, ReafferenceError
from reafference.process import die_with

from . import mend, store
from .reader import Run


def main(arguments: Sequence[str]) -> int:
    """Run one tool; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m services.recorder")
    parser.add_argument("tool", choices=sorted(_TOOLS))
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--topic", help="the stream that `stream` prints: body/joints")
    parser.add_argument("--stretches", default="", metavar="FROM:TO,…", help="what `cut` keeps, in simulated ns")
    parser.add_argument("--since", type=float, default=0.0, metavar="SECONDS", help="simulated time of its first row")
    given = parser.parse_args(arguments)
    try:
        return _TOOLS[given.tool](given)
    except ReafferenceError as error:
        print(f"reaf: {error.text}", file=sys.stderr)
        return error.exit_status


def _cut(given: argparse.Namespace) -> int:
    """Stretches of a recording as one of their own, with all its tables beside it."""
    from .cut import cut, stretches_in
    from .export import export

    if given.out is None:
        raise BadExperiment("name a folder for the recording with --out")
    given.out.mkdir(parents=True, exist_ok=True)
    steps = cut(given.run, stretches_in(given.stretches), given.out)
    export(Run(given.out), given.out / "export")
    print(f"{given.out}: {steps} steps")
    return 0


def _export(given: argparse.Namespace) -> int:
    from .export import export

    run = Run(given.run)
    for path in export(run, given.out or run.folder / "export"):
        print(path)
    return 0


def _frames(given: argparse.Namespace) -> int:
    """Frames on standard output, as standard input asks for them: see replay.py."""
    from .replay import Wishes, give_out

    die_with(int(os.environ.get("REAF_PARENT_PID", "0")))
    with contextlib.suppress(BrokenPipeError):
        give_out(Run(given.run), Wishes(sys.stdin.fileno()), sys.stdout.buffer)
    return 0


def _overview(given: argparse.Namespace) -> int:
    from .overview import draw

    run = Run(given.run)
    print(draw(run, given.out or run.folder / "overview.png"))
    return 0


def _figures(given: argparse.Namespace) -> int:
    """All that the experiment wants; what cannot be made is said, and does not prevent the rest."""
    from .figures import make

    made, problems = make(Run(given.run))
    for path in made:
        print(path)
    for problem in problems:
        print(f"reaf: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _rates(given: argparse.Namespace) -> int:
    from .figures import resting
    from .rates import table

    activity, rates, spectra = resting(Run(given.run))
    console = Console(highlight=False)
    console.print(table(activity, rates))
    for spectrum in spectra:
        words = f"common rate of {len(spectrum.neurons):,} cells: highest power between 20 and 80 Hz {spectrum.verdict}"
        console.print(f"{spectrum.label}, {words}", soft_wrap=True)
    return 0


def _mend(given: argparse.Namespace) -> int:
    """Make a recording readable whose recorder could not close it, and say in a summary how far it goes."""
    path = store.recording_of(given.run)
    mended = mend.mend(path)
    if not store.read_summary(path.parent):
        from .sink import broken_off_summary

        store.write_summary(path.parent, broken_off_summary(Run(path)))
    print(f"{path}: {'the index was made anew' if mended else 'nothing to mend'}")
    return 0


def _stream(given: argparse.Namespace) -> int:
    """Rows on standard output; whoever reads them may stop at any time."""
    from . import table

    if not given.topic:
        raise BadExperiment("name a stream with --topic, for instance --topic body/joints")
    with contextlib.suppress(BrokenPipeError):
        table.write(given.run, given.topic, given.since, sys.stdout)
        sys.stdout.flush()
    return 0


def _verify(given: argparse.Namespace) -> int:
    from .verify import verify

    verdict = verify(Run(given.run))
    if verdict.broke_off:
        print(f"{given.run}: {verdict.steps} complete steps; the run broke off, so it has no digest to compare with")
    elif verdict.differing:
        print(f"{given.run}: what is recorded of {', '.join(verdict.differing)} is not what was simulated")
    else:
        print(f"{given.run}: all {verdict.steps} steps are recorded exactly as they were simulated")
    return 0 if verdict.good else 1


_TOOLS: dict[str, Callable[[argparse.Namespace], int]] = {
    "cut": _cut,
    "export": _export,
    "figures": _figures,
    "frames": _frames,
    "mend": _mend,
    "overview": _overview,
    "rates": _rates,
    "stream": _stream,
    "verify": _verify,
}
