"""`reaf submit`, `reaf jobs` and `reaf cancel`: jobs on the cluster of a running server, from a terminal."""

import argparse
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from . import client
from .errors import BadExperiment

if TYPE_CHECKING:  # the rest of reaf does without the libraries of the web
    from .client.jobs import Job, Jobs

SERVER = "REAF_SERVER"
_FAILED = 5
_REFUSED = 2
_COLOURS = {
    "waiting": "yellow",
    "starting": "cyan",
    "serving": "bold green",
    "ending": "cyan",
    "ended": "dim",
    "failed": "bold red",
    "aborted": "magenta",
}
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_CLOCK = re.compile(r"(?:(\d+)-)?(\d+):(\d{2})(?::(\d{2}))?")


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The three commands."""
    submit = commands.add_parser("submit", help="send a job to the cluster of a server")
    submit.add_argument("experiment", nargs="?", help="launch this one there; without it the job waits for launches")
    submit.add_argument(
        "--nodes", type=int, required=True, metavar="N", help="nodes of the brain; the job has one more"
    )
    submit.add_argument("--ranks-per-node", type=int, default=1, metavar="R", help="processes of the brain on each (1)")
    submit.add_argument("--threads", type=int, default=1, metavar="T", help="threads in each of them (1)")
    submit.add_argument(
        "--time", type=duration_s, required=True, metavar="TIME", help="1:30 is an hour and a half; 90m"
    )
    submit.add_argument("--memory", type=float, metavar="GB", help="on each node, in GB")
    submit.add_argument("--partition", metavar="NAME")
    submit.add_argument("--account", metavar="NAME")
    submit.add_argument("--runtime", metavar="NAME", help="none, apptainer, charliecloud or sarus")
    submit.add_argument("--image", metavar="IMAGE", help="another image than the site's")
    submit.add_argument("--title", metavar="TEXT")
    submit.add_argument("--wait", type=duration_s, metavar="TIME", help="until it serves, and not longer than this")
    submit.set_defaults(command=_guarded(_submit))

    jobs = commands.add_parser("jobs", help="the jobs of a server, or one of them")
    jobs.add_argument("job", nargs="?", help="its id, for instance j4")
    jobs.add_argument("--log", action="store_true", help="what its script has said")
    jobs.add_argument("--lines", type=int, default=200, metavar="N", help="so many lines of it (200)")
    jobs.set_defaults(command=_guarded(_jobs))

    cancel = commands.add_parser("cancel", help="end a job: runs are stopped and their recordings completed")
    cancel.add_argument("job", help="its id; asked a second time it ends at once")
    cancel.set_defaults(command=_guarded(_cancel))
    for command in (submit, jobs, cancel):
        command.add_argument("--server", metavar="URL", help=f"the server ({SERVER}, or {client.DEFAULT_URL})")
        command.add_argument("--token", metavar="TOKEN", help="or REAF_TOKEN, or ~/.config/reafference/token")


def duration_s(text: str) -> int:
    """A duration in s: HOURS:MINUTES[:SECONDS], DAYS-HOURS:MINUTES, or a number with s, m, h or d."""
    if found := _CLOCK.fullmatch(text):
        days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
        return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    if text and text[:-1].isdigit() and text[-1] in _UNITS_S:
        return int(text[:-1]) * _UNITS_S[text[-1]]
    raise argparse.ArgumentTypeError(f"{text!r} is no duration: write 1:30 (hours:minutes), 90m or 2h")


def _submit(given: argparse.Namespace, console: Console) -> int:
    with _door(given) as jobs:
        job = jobs.submit(
            experiment=given.experiment,
            title=given.title,
            nodes=given.nodes,
            ranks_per_node=given.ranks_per_node,
            threads_per_rank=given.threads,
            memory_gb_per_node=given.memory,
            time_s=given.time,
            partition=given.partition,
            account=given.account,
            runtime=given.runtime,
            image=given.image,
        )
        if given.wait is not None:
            with console.status(f"{job.id} is to serve"):
                job = jobs.serving(job.id, given.wait)
    # The id alone on standard output, for scripts.
    print(job.id, flush=True)
    console.print(_sentence(job), soft_wrap=True)
    return 0


def _jobs(given: argparse.Namespace, console: Console) -> int:
    if given.log and not given.job:
        raise BadExperiment("say whose log: reaf jobs j4 --log")
    with _door(given) as jobs:
        if given.log:
            print(jobs.log(given.job, given.lines), end="", flush=True)
            return 0
        shown = Console(highlight=False)
        if given.job:
            shown.print(_details(jobs.get_one(given.job)))
            return 0
        found = jobs.list()
        if found:
            shown.print(_table(found))
        else:
            cluster = jobs.cluster()
            text = "no jobs yet: reaf submit sends one" if cluster.connected else "this server has no cluster"
            console.print(Text(text, style="dim"))
    return 0


def _cancel(given: argparse.Namespace, console: Console) -> int:
    with _door(given) as jobs:
        before = jobs.get_one(given.job)
        if before.over:
            raise BadExperiment(f"{before.id} has ended already: {before.text or before.state}")
        job = jobs.cancel(given.job) or before
    console.print(_sentence(job), soft_wrap=True)
    return 0


def _guarded(command: Callable[[argparse.Namespace, Console], int]) -> Callable[[argparse.Namespace, Console], int]:
    """What the server refuses ends in one sentence: status 2 for what was asked wrongly, 5 for what failed."""

    def run(given: argparse.Namespace, console: Console) -> int:
        try:
            return command(given, console)
        except ModuleNotFoundError as error:
            raise BadExperiment(f"{error.name} is missing here: pip install 'reafference[client]'") from None
        except client.ServerError as error:
            console.print(Text("reaf: ", style="bold red") + Text(str(error)), soft_wrap=True)
            return _REFUSED if 400 <= error.status < 500 else _FAILED

    return run


@contextmanager
def _door(given: argparse.Namespace) -> "Iterator[Jobs]":
    url = given.server or os.environ.get(SERVER) or client.DEFAULT_URL
    with client.connect(url, given.token) as session:
        yield session.jobs


def _sentence(job: "Job") -> Text:
    words = Text(f"{job.id}  ", style="bold") + Text(job.state, style=_COLOURS[job.state])
    return words + Text(f"  {job.text}") if job.text else words


def _table(jobs: "tuple[Job, ...]") -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for head in ("job", "state", "waited", "ran", "limit"):
        table.add_column(head, no_wrap=True)
    table.add_column("nodes")
    table.add_column("title")
    table.add_column("", style="dim")
    for job in jobs:
        times = (job.waited_s, job.elapsed_s, job.limit_s)
        layout = f"{job.nodes}+1 x {job.ranks_per_node} x {job.threads_per_rank}"
        state = Text(job.state, style=_COLOURS[job.state])
        table.add_row(Text(job.id, style="bold"), state, *map(_clock, times), layout, Text(job.title), Text(job.text))
    return table


def _details(job: "Job") -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    memory = "" if job.memory_gb_per_node is None else f", {job.memory_gb_per_node:g} GB each"
    ranks = f"{job.ranks_per_node} ranks of {job.threads_per_rank} threads"
    layout = f"{job.nodes} for the brain and one more{memory}; {ranks}"
    ran = f"{_clock(job.elapsed_s)} of {_clock(job.limit_s)}, after waiting {_clock(job.waited_s)}"
    rows = {
        "job": f"{job.id}  ({job.scheduler_id or 'not known to the scheduler yet'})",
        "title": job.title,
        "owner": job.owner,
        "state": f"{job.state}  {job.text}".strip(),
        "nodes": layout,
        "on": " ".join(job.node_names),
        "ran": ran,
        "partition": " ".join(filter(None, (job.partition, job.account))),
        "runtime": " ".join(filter(None, (job.runtime, job.image))),
        "server": job.server or "",
        "exit status": "" if job.exit_status is None else str(job.exit_status),
        "folder": job.folder,
    }
    for name, value in rows.items():
        if value:
            table.add_row(name, Text(value))
    for step in job.steps:
        facts = [f"{step.elapsed_s:g} s", _of(step.peak_rss_mb, "MB"), _of(step.cpu_s, "s of cores")]
        table.add_row(f"step {step.name}", ", ".join(filter(None, [*facts, _of(step.energy_J, "J")])))
    return table


def _of(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:g} {unit}"


def _clock(seconds: float) -> str:
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}"
