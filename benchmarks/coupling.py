"""What does the coupling cost? The same network three ways, in one run, on the same cores.

    (a) NEST alone: the network with all its devices, simulated in one piece
    (b) the closed loop: experiments/mouse_reach through `reaf run`, with body, engine, recorder and gateway
    (c) the stock nest-server: the same network and devices, four HTTP calls per step of 20 ms (write all sources,
        simulate, read all integrators, read the spike recorder), one call each however many devices there are

(a) and (b) are interleaved, because a shared machine is not equally fast all the time. Printed and written with
--json: `efficiency` = time of (a) / time of (b) for the same simulated time; `overhead_ms` = median of our CLE step
minus the longer of NEST's run and the body's; `nest_server_overhead_ms` = median of (c)'s step minus NEST's own
simulation time in it, as its kernel tells it.

With --ranks the question is another one: what do several ranks cost, and many devices? The closed loop (b) on a small
cortex at each number of ranks, with the 23 devices it has, with 207 integrators of one neuron more, and with 1000 more;
all are read in every step, by the extension module for NEST and by NEST's own calls.

    .venv/bin/python benchmarks/coupling.py [--steps 100] [--repeats 3] [--server-steps 30] [--json FILE]
    .venv/bin/python benchmarks/coupling.py --ranks 1 2 4 [--steps 100] [--repeats 3] [--json FILE]
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ranks

HERE = Path(__file__).resolve().parent
EXPERIMENT = HERE.parent / "experiments" / "mouse_reach"
STEP_MS = 20.0
_QUIET = ("drive_hz=0",)  # the same activity in all three: no drive, whatever the step


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=100, help="CLE steps of each run of (a) and (b)")
    parser.add_argument("--repeats", type=int, default=3, help="how often (a) and (b) are measured in turn")
    parser.add_argument("--server-steps", type=int, default=30, help="steps of (c)")
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--ranks", type=int, nargs="+", help="measure ranks and devices instead, at these numbers")
    parser.add_argument("--nest-alone", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.nest_alone:
        _nest_alone_here(given.nest_alone)
        return 0
    if given.ranks:
        figures = ranks.measure(given.ranks, steps=given.steps, repeats=given.repeats)
        ranks.report(figures)
        _write(given.json, {"figures": [asdict(figure) for figure in figures], "cores": len(os.sched_getaffinity(0))})
        return 0
    alone, closed = [], []
    for turn in range(given.repeats):
        alone.append(nest_alone(given.steps))
        closed.append(closed_loop(given.steps))
        _say(f"turn {turn + 1}: NEST alone {alone[-1]:.2f} s, closed loop {closed[-1]['total_s']:.2f} s")
    nest_step_ms = 1e3 * statistics.median(alone) / given.steps
    server = nest_server(given.server_steps)
    overhead_ms = statistics.median(run["overhead_ms"]["median"] for run in closed)
    server_overhead_ms = statistics.median(step - simulated for step, simulated in server)
    result = {
        "efficiency": statistics.median(a / run["total_s"] for a, run in zip(alone, closed, strict=True)),
        "overhead_ms": overhead_ms,
        "overhead_p99_ms": statistics.median(run["overhead_ms"]["p99"] for run in closed),
        "nest_server_overhead_ms": server_overhead_ms,
        "nest_server_to_ours": server_overhead_ms / overhead_ms,
        "nest_alone_step_ms": nest_step_ms,
        "closed_loop_step_ms": statistics.median(run["step_ms"]["median"] for run in closed),
        "nest_server_step_ms": statistics.median(step for step, _ in server),
        "efficiencies": [a / run["total_s"] for a, run in zip(alone, closed, strict=True)],
        "steps": given.steps,
        "repeats": given.repeats,
        "cores": len(os.sched_getaffinity(0)),
    }
    _report(result)
    _write(given.json, result)
    return 0


def _write(file: Path | None, result: dict[str, Any]) -> None:
    if file:
        file.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


# --- (a) NEST alone ---------------------------------------------------------------------------------------


def nest_alone(steps: int) -> float:
    """Seconds that NEST needs for `steps` x 20 ms in one piece, in a process of its own."""
    return float(json.loads(_python("--nest-alone", str(steps)).splitlines()[-1]))


def _nest_alone_here(steps: int) -> None:
    """Runs in a process of its own: the network is built as the experiment builds it, then simulated once."""
    brain = _built_brain()  # keeps the kernel prepared
    import nest

    nest.Run(STEP_MS)  # the first step sets up tables; (b) leaves it out as well
    began = time.perf_counter()
    nest.Run(STEP_MS * (steps - 1))
    print(json.dumps(time.perf_counter() - began))
    brain.close()


def _built_brain() -> Any:
    from services.brain.nest_brain import NestBrain
    from services.engine import documents, experiment

    wanted = experiment.load(EXPERIMENT, [experiment.parse_override(text) for text in _QUIET])
    brain = NestBrain()
    brain.prepare(documents.plans(wanted, "benchmark")["brain"], lambda *args, **more: None)
    return brain


# --- (b) the closed loop ------------------------------------------------------------------------------------


def closed_loop(steps: int) -> dict[str, Any]:
    """The summary of a run of the experiment, with `total_s` of all its steps but the first."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = [sys.executable, "-m", "reafference.cli", "run", str(EXPERIMENT), "--no-overview"]
        for text in _QUIET:
            command += ["--set", text]
        command += ["--steps", str(steps), "--out", str(out)]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        summary: dict[str, Any] = json.loads((out / "summary.json").read_text())
    summary["total_s"] = summary["step_ms"]["mean"] * (summary["steps"] - 1) / 1e3
    return summary


# --- (c) the stock nest-server --------------------------------------------------------------------------------


def nest_server(steps: int) -> list[tuple[float, float]]:
    """For each step but the first through the server that comes with NEST: its milliseconds, and NEST's own."""
    with _server() as address:
        built = _call(f"{address}/exec", {"source": _BUILD_IN_SERVER, "return": "ids"})
        sources, integrators, recorders = built["data"]
        times = []
        for step in range(steps):
            write = f"{_nodes(sources)}.set(rate_times=[{step * STEP_MS + 0.1}], rate_values=[0.0])"
            began = time.perf_counter()
            _call(f"{address}/exec", {"source": write})
            _call(f"{address}/api/Simulate", {"t": STEP_MS})
            _call(f"{address}/exec", {"source": f"v = {_nodes(integrators)}.get('V_m')", "return": "v"})
            _call(f"{address}/exec", {"source": f"e = {_nodes(recorders)}.get('events')", "return": "e"})
            took = time.perf_counter() - began
            simulated = _call(f"{address}/api/GetKernelStatus", {"keys": "time_simulate"})
            times.append((1e3 * took, 1e3 * simulated))
        return times[1:]


def _nodes(ids: list[int]) -> str:
    """A collection by its ids. The server's own SetStatus and GetStatus take no lists of ids in NEST 3.10."""
    return f"nest.NodeCollection({ids})"


# The server drops lines that begin with an import.
_BUILD_IN_SERVER = f"""
importlib = __import__("importlib")
sys = __import__("sys")
sys.path.insert(0, {str(HERE)!r})
brain = importlib.import_module("coupling")._built_brain()
nest.Cleanup()
ids = [nest.GetNodes({{"model": model}}).tolist() for model in
       ("inhomogeneous_poisson_generator", "iaf_psc_alpha", "spike_recorder")]
"""


@contextmanager
def _server() -> Iterator[str]:
    """The server as its own command starts it, with the network built in it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "NEST_SERVER_DISABLE_AUTH": "true",
        "NEST_SERVER_DISABLE_RESTRICTION": "true",
        "NEST_SERVER_ENABLE_EXEC_CALL": "true",
        "OMP_NUM_THREADS": "1",
        ranks.MODULE_SWITCH: "off",  # the server reads the recorder as NEST's own is read
    }
    command = [str(Path(sys.executable).with_name("nest-server")), "start", "-p", str(port), "-t", "600"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}"
        _await(address)
        yield address
    finally:
        process.terminate()
        process.wait(20)


def _await(address: str) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            urllib.request.urlopen(address, timeout=5).read()
            return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.2)
    raise SystemExit("nest-server did not answer within 60 s")


def _call(url: str, arguments: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        url, json.dumps(arguments).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=600) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        raise SystemExit(f"nest-server refused {url}: {error.read().decode(errors='replace')}") from None


# --- the rest -----------------------------------------------------------------------------------------------------


def _python(*arguments: str) -> str:
    command = [sys.executable, str(Path(__file__)), *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return done.stdout


def _report(result: dict[str, Any]) -> None:
    print(f"NEST alone, one piece      {result['nest_alone_step_ms']:9.2f} ms per {STEP_MS:g} ms")
    print(f"closed loop                {result['closed_loop_step_ms']:9.2f} ms, efficiency {result['efficiency']:.3f}")
    print(f"  of which overhead        {result['overhead_ms']:9.2f} ms (p99 {result['overhead_p99_ms']:.2f})")
    print(f"stock nest-server          {result['nest_server_step_ms']:9.2f} ms")
    ratio = result["nest_server_to_ours"]
    print(f"  of which overhead        {result['nest_server_overhead_ms']:9.2f} ms, {ratio:.0f} times ours")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
