"""How a run looks in a terminal: bars while it goes, tables when it is over. Everything goes to one console."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    TaskID,
    TextColumn,
)
from rich.progress import (
    Progress as Bars,
)
from rich.table import Table
from rich.text import Text

from .frames import Message, Progress, StateNote

_PARTS = (
    ("brain_run_ms", "brain: NEST"),
    ("brain_readout_ms", "brain: devices"),
    ("body_ms", "body: physics (beside the brain)"),
    ("body_readout_ms", "body: sensors (beside the brain)"),
    ("transfer_ms", "transfer functions"),
    ("overhead_ms", "overhead: step less the longer run"),
    ("step_ms", "whole step"),
)


class TerminalView:
    """Shows a run. Where no terminal is attached, the important lines only."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Bars(
            TextColumn("{task.description:<9}", style="bold"),
            BarColumn(bar_width=28, complete_style="cyan", finished_style="cyan"),
            TextColumn("{task.fields[note]}"),
            console=console,
            transient=False,
        )
        self._tasks: dict[str, TaskID] = {}
        self._finished: set[str] = set()

    def __enter__(self) -> "TerminalView":
        self._bars.start()
        self._tasks["loading"] = self._bars.add_task("loading", total=None, note="starting the services")
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def progress(self, progress: Progress) -> None:
        """A slow task of one service."""
        self._finish("loading", "services are there")
        task = self._tasks.get(progress.service)
        note = progress.detail or progress.task
        if task is None:
            self._tasks[progress.service] = self._bars.add_task(
                progress.service, total=progress.total or None, completed=progress.done, note=note
            )
        else:
            self._bars.update(task, total=progress.total or None, completed=progress.done, note=note)

    def state(self, note: StateNote) -> None:
        """Where the run stands."""
        if note.state in ("lobby", "preparing"):
            return
        self._finish("loading", "services are there")
        self._finish("brain", _network(note.facts))
        self._finish("body", "ready")
        self._finish("recorder", "ready")
        task = self._tasks.get("steps")
        if task is None:
            task = self._tasks["steps"] = self._bars.add_task("steps", total=note.steps or None, note="")
        self._bars.update(task, completed=note.step, total=note.steps or None, note=_steps(note))

    def message(self, message: Message) -> None:
        """Something that went wrong in the user's own code, or that it says."""
        when = f"step {message.step}: " if message.step >= 0 else ""
        if message.severity == "info":
            self._console.print(Text(f"{message.function}  ", style="bold") + Text(f"{when}{message.text}"))
            return
        line = f": {message.line_text}" if message.line_text else ""
        where = f" ({Path(message.file).name}, line {message.line}{line})" if message.file else ""
        self.warning(f"{when}{message.text}{where}")

    def warning(self, text: str) -> None:
        self._console.print(Text("warning  ", style="bold yellow") + Text(text))

    def _finish(self, name: str, note: str) -> None:
        task = self._tasks.get(name)
        if task is not None and name not in self._finished:
            self._finished.add(name)
            self._bars.update(task, total=1, completed=1, note=note)


def print_result(console: Console, summary: Mapping[str, Any], folder: Path | None, pictures: Sequence[Path]) -> None:
    """Where the time went, what was measured, where the run lies."""
    if summary.get("step_ms"):
        console.print()
        console.print(_time_table(summary))
        console.print(Text(_speed(summary)), soft_wrap=True)
    measures = {name: value for name, value in summary.get("measures", {}).items() if value is not None}
    if measures:
        console.print()
        table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
        for name, value in measures.items():
            table.add_row(name, f"{value:.4g}" if isinstance(value, float) else str(value))
        console.print(table)
    for name in summary.get("switched_off", []):
        console.print(Text("switched off  ", style="bold yellow") + Text(f"transfer function {name}"))
    if folder is not None:
        console.print()
        console.print(Text("run folder  ", style="bold") + Text(_short(folder)), soft_wrap=True)
        for picture in pictures:
            console.print(Text("picture     ", style="bold") + Text(_short(picture)), soft_wrap=True)


def _time_table(summary: Mapping[str, Any]) -> Table:
    table = Table(box=None, padding=(0, 3, 0, 0), title=None)
    table.add_column("per step, ms", style="bold")
    for name in ("median", "p99", "mean", "share"):
        table.add_column(name, justify="right")
    whole = summary["step_ms"]["mean"] or 1.0
    for key, label in _PARTS:
        row = summary.get(key)
        if not row:
            continue
        numbers = [f"{row[name]:.3f}" for name in ("median", "p99", "mean")]
        style = "bold" if key in ("overhead_ms", "step_ms") else ""
        table.add_row(label, *numbers, f"{100 * row['mean'] / whole:.1f} %", style=style)
    return table


def _speed(summary: Mapping[str, Any]) -> str:
    factor = summary["real_time_factor"]
    slower = f"{1 / factor:.1f} times slower than real time" if 0 < factor < 1 else f"{factor:.1f} times real time"
    return f"{summary['steps']} steps, {summary['simulated_s']:g} s simulated, real-time factor {factor:.3g} ({slower})"


def _network(facts: Mapping[str, Any]) -> str:
    if not facts.get("neurons"):
        return "ready"
    return f"{facts['neurons']:,} neurons  {facts.get('synapses', 0):,} synapses"


def _steps(note: StateNote) -> str:
    dt_s = float(note.facts.get("dt_ns", 0)) / 1e9
    parts = [f"{note.step}/{note.steps}", f"{note.t_ns / 1e9:.2f} of {note.steps * dt_s:.2f} s"]
    if not note.steps:  # wall time limits it
        parts = [f"{note.step}", f"{note.t_ns / 1e9:.2f} s"]
    if note.mean_step_ns:
        left_s = (note.steps - note.step) * note.mean_step_ns / 1e9
        parts.append(f"real-time factor {dt_s * 1e9 / note.mean_step_ns:.3g}")
        if note.state == "running" and left_s >= 0.5:
            parts.append(f"{_clock(left_s)} left")
    if note.state not in ("running", "stopping"):
        parts.append(note.state)
    return "  ".join(parts)


def _clock(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60}:{whole % 60:02d} min"


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
