"""`reaf`: a thin command over the client. Each command starts the service that does the work."""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from . import __version__, doctor, front_door, job_commands, jsontext, keys
from .errors import BadExperiment, ReafferenceError
from .report import TerminalView, print_result
from .runner import Ended, Runner

_EXIT = """exit status of `reaf run`:
  0  finished; transfer functions that failed were switched off and are named in the summary
  2  something in the experiment or on the command line cannot be run
  3  a transfer function failed and the experiment says on_error = "halt"
  4  the disk is full; the run was stopped, what had been recorded is safe
  5  a service was lost, failed or late
130  stopped by Ctrl-C"""


_RECORDER = (sys.executable, "-m", "services.recorder")
_OF_KERNEL = ("ranks", "threads", "host", "port", "modules", "origins", "call_limit_s")
_IMPORT = (sys.executable, "-m", "services.gateway.published")
_TUNNEL = (sys.executable, "-m", "services.gateway.jobs.tunnel")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    given = _parser().parse_args(arguments)
    console = Console(stderr=True, highlight=False)
    try:
        status: int = given.command(given, console)
    except ReafferenceError as error:
        _complain(console, error.text)
        return error.exit_status
    except KeyboardInterrupt:
        return 130
    return status


def _run(given: argparse.Namespace, console: Console) -> int:
    _check_json(given.json)
    with TerminalView(console) as view:
        ended = Runner(_engine_arguments(given), view).run()
    made = _draw(ended, console) if given.overview else []
    print_result(console, ended.summary, ended.folder, [path for path in made if path.suffix == ".png"])
    if ended.folder and any(path.name == "rates.csv" for path in made):
        console.print()
        subprocess.run([*_RECORDER, "rates", str(ended.folder)], stdout=sys.stderr, check=False)
    if ended.problem:
        _complain(console, _with_recording(ended))
    if given.json and ended.summary:
        given.json.write_text(jsontext.dumps(ended.summary, indent=2) + "\n", encoding="utf-8")
    return ended.exit_status


def _check_json(path: Path | None) -> None:
    """A result that cannot be written should be known before the run, not after it."""
    if path is None:
        return
    try:
        with path.open("a", encoding="utf-8"):
            pass
    except OSError as error:
        raise BadExperiment(f"--json {path} cannot be written: {error.strerror}") from None


def _engine_arguments(given: argparse.Namespace) -> list[str]:
    arguments = [str(given.experiment)]
    for text in given.set:
        arguments += ["--set", text]
    for name in ("steps", "seed", "threads", "ranks", "hostfile", "mpi_args", "out"):
        value = getattr(given, name)
        if value is not None:
            # In one word, because what it says may begin with a dash.
            arguments.append(f"--{name.replace('_', '-')}={value}")
    return arguments


def _draw(ended: Ended, console: Console) -> list[Path]:
    """The figures of a run that has at least one step, and the tables that come with them."""
    if ended.folder is None or not ended.summary.get("steps"):
        return []
    if not (ended.folder / "recording.mcap").is_file():
        return []
    with console.status("drawing"):
        drawn = subprocess.run([*_RECORDER, "figures", str(ended.folder)], capture_output=True, text=True, check=False)
    if drawn.returncode:
        words = drawn.stderr.strip().splitlines() or ["no reason given"]
        console.print(Text("no picture  ", style="bold yellow") + Text(words[-1].removeprefix("reaf: ")))
    return [Path(line) for line in drawn.stdout.splitlines()]


def _with_recording(ended: Ended) -> str:
    steps = ended.summary.get("recording", {}).get("complete_steps", 0)
    kept = f"; the recording holds steps 0 to {steps - 1}" if steps and ended.exit_status in (4, 5) else ""
    return ended.problem if "holds every step" in ended.problem else f"{ended.problem}{kept}"


def _complain(console: Console, text: str) -> None:
    console.print(Text("reaf: ", style="bold red") + Text(text), soft_wrap=True)


def _recorder_tool(name: str) -> object:
    def run(given: argparse.Namespace, console: Console) -> int:
        arguments = [str(given.run)] + (["--out", str(given.out)] if getattr(given, "out", None) else [])
        command = [*_RECORDER, name, *arguments]
        return subprocess.run(command, check=False).returncode

    return run


def _serve(given: argparse.Namespace, console: Console) -> int:
    arguments = [
        f"--{name}={getattr(given, name.replace('-', '_'))}"
        for name in (
            "home",
            "host",
            "port",
            "places",
            "web",
            "origins",
            "mqtt",
            "mqtt-password",
            "cluster",
            "certificate",
            "certificate-key",
        )
        if getattr(given, name.replace("-", "_")) is not None
    ]
    arguments += [f"--name={name}" for name in given.name]
    if not given.tokens:
        arguments.append("--no-tokens")
    return front_door.serve(arguments, console, as_json=given.json)


def _nest_server(given: argparse.Namespace, console: Console) -> int:
    known = {name: getattr(given, name) for name in _OF_KERNEL}
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in known.items() if value is not None]
    for name in ("exec", "exec_unrestricted", "no_token"):
        arguments += [f"--{name.replace('_', '-')}"] if getattr(given, name) else []
    return front_door.serve(arguments, console, as_json=given.json, door="--nest-server")


def _import(given: argparse.Namespace, console: Console) -> int:
    arguments = [str(given.source)] + (["--to", str(given.to)] if given.to else [])
    told = subprocess.run([*_IMPORT, *arguments], stdout=subprocess.PIPE, text=True, check=False)
    if told.returncode == 0:
        made = json.loads(told.stdout)
        for remark in made["remarks"]:
            console.print(Text("note    ", style="yellow") + Text(remark), soft_wrap=True)
        console.print(Text("run it  ", style="bold") + Text(f"reaf run {made['folder']}"), soft_wrap=True)
    return told.returncode


def _keys(given: argparse.Namespace, console: Console) -> int:
    return keys.run(given)


def _tunnel_key(given: argparse.Namespace, console: Console) -> int:
    arguments = [str(given.key)] + ([f"--ports={given.ports}"] if given.ports else [])
    return subprocess.run([*_TUNNEL, *arguments], check=False).returncode


def _doctor(given: argparse.Namespace, console: Console) -> int:
    return doctor.report(Console(highlight=False))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="reaf",
        description="Closed-loop simulation of brain, body and environment.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_EXIT,
    )
    parser.add_argument("--version", action="version", version=f"reaf {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser(
        "run",
        help="run an experiment on this machine",
        epilog=_EXIT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.add_argument("experiment", type=Path, help="its folder, for instance experiments/mouse_reach")
    run.add_argument("--steps", type=int, metavar="N", help="how many CLE steps")
    run.add_argument("--seed", type=int, metavar="N", help="master seed")
    run.add_argument("--ranks", type=int, metavar="N", help="processes of the brain (MPI; make nest-mpi installs it)")
    run.add_argument("--threads", type=int, metavar="N", help="threads in each process of the brain")
    run.add_argument(
        "--hostfile", type=Path, metavar="FILE", help="hosts of the brain's processes, as mpiexec wants it"
    )
    run.add_argument("--mpi-args", metavar="ARGS", help="further arguments of mpiexec, quoted as one")
    run.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a key of experiment.toml, for instance drive_hz=0 or brain.parameters.area_mm2=0.2",
    )
    run.add_argument("--out", type=Path, metavar="DIR", help="the folder of this run (runs/<date and time>)")
    run.add_argument("--json", type=Path, metavar="FILE", help="write the summary of the run there as well")
    run.add_argument("--no-overview", dest="overview", action="store_false", help="draw no figures at the end")
    run.set_defaults(command=_run)

    export = commands.add_parser("export", help="a recorded run as CSV and HDF5")
    export.add_argument("run", type=Path, help="the run folder")
    export.add_argument("--out", type=Path, metavar="DIR", help="where to (RUN/export)")
    export.set_defaults(command=_recorder_tool("export"))

    for name, purpose in (
        ("overview", "draw overview.png of a recorded run"),
        ("figures", "draw the figures that the experiment of a recorded run asks for"),
        ("rates", "mean rate of each recorded population of a run, and rhythms"),
        ("verify", "check that a recording holds exactly what was simulated"),
    ):
        tool = commands.add_parser(name, help=purpose)
        tool.add_argument("run", type=Path, help="the run folder")
        tool.set_defaults(command=_recorder_tool(name))

    serve = commands.add_parser("serve", help="the web page and the REST service, for this machine")
    serve.add_argument("--home", type=Path, metavar="DIR", help="where experiments are kept (./reafference-home)")
    serve.add_argument("--host", metavar="ADDRESS", help="where to listen (127.0.0.1: this machine only)")
    serve.add_argument("--port", type=int, metavar="N", help="0 takes one that is free (8080)")
    serve.add_argument("--name", action="append", default=[], help="a further host name under which it is known")
    serve.add_argument("--places", type=int, metavar="N", help="how many simulations may run at a time (1)")
    serve.add_argument("--certificate", type=Path, metavar="FILE", help="serve https with it (PEM)")
    serve.add_argument("--certificate-key", type=Path, metavar="FILE", help="the key of the certificate (PEM)")
    serve.add_argument("--no-tokens", dest="tokens", action="store_false", help="let everybody on this machine in")
    serve.add_argument("--mqtt", metavar="URL", help="a broker, mqtt://USER@HOST:PORT (or mqtt.toml in DIR)")
    serve.add_argument("--mqtt-password", metavar="FILE", help="where the password of USER stands")
    serve.add_argument("--cluster", type=Path, metavar="FILE", help="the cluster jobs go to (or cluster.toml in DIR)")
    serve.add_argument("--origins", metavar="LIST", help="pages, as NEST Desktop's, that may look at kernels")
    serve.add_argument("--web", type=Path, metavar="DIR", help="read the page anew from here at each request")
    serve.add_argument("--json", action="store_true", help="say where it is in one line of JSON on standard output")
    serve.set_defaults(command=_serve)

    kernel = commands.add_parser("nest-server", help="NEST Server: a kernel for NEST Desktop and NEST clients")
    kernel.add_argument("--ranks", type=int, metavar="N", help="processes of the kernel (1)")
    kernel.add_argument("--threads", type=int, metavar="N", help="threads in each process (1)")
    kernel.add_argument("--host", metavar="ADDRESS", help="where to listen (127.0.0.1: this machine only)")
    kernel.add_argument("--port", type=int, metavar="N", help="0 takes one that is free (52425)")
    kernel.add_argument("--exec", action="store_true", help="run scripts, restricted to NEST and harmless names")
    kernel.add_argument("--exec-unrestricted", action="store_true", help="run scripts that may do anything: beware")
    kernel.add_argument("--modules", metavar="TEXT", help="what scripts find imported ('import nest')")
    kernel.add_argument("--origins", metavar="LIST", help="pages that may use it (http://localhost:* and 127.0.0.1)")
    kernel.add_argument("--no-token", action="store_true", help="let everybody on this machine in")
    kernel.add_argument("--call-limit-s", type=float, metavar="S", help="the longest call, in seconds (a day)")
    kernel.add_argument("--json", action="store_true", help="say where it is in one line of JSON on standard output")
    kernel.set_defaults(command=_nest_server)

    bring = commands.add_parser("import", help="make an experiment of the Neurorobotics Platform 3 runnable here")
    bring.add_argument("source", type=Path, help="a zip file, or a folder, with an .exc and a .bibi file")
    bring.add_argument("--to", type=Path, metavar="FOLDER", help="where to (a folder is completed in its place)")
    bring.set_defaults(command=_import)

    job_commands.add_to(commands)

    locks = commands.add_parser("keys", help="make the keys with which services on other machines are let in")
    keys.add_arguments(locks)
    locks.set_defaults(command=_keys)

    tunnel = commands.add_parser("tunnel-key", help="make the key of the tunnels of jobs, and say how to let it in")
    tunnel.add_argument("key", type=Path, metavar="FILE", help="the private key, made if it is not there")
    tunnel.add_argument("--ports", metavar="FIRST-LAST", help="of the loopback, on which tunnels may listen")
    tunnel.set_defaults(command=_tunnel_key)

    diagnose = commands.add_parser("doctor", help="what is installed, and what to do about what is missing")
    diagnose.set_defaults(command=_doctor)
    return parser


if __name__ == "__main__":
    sys.exit(main())
