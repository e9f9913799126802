"""Scripts that use the published client of NRP-core, run as a laboratory would run them, and experiments for them."""

import json
import os
import subprocess
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

from tests.ports import free_port

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".compat" / "nrp-client" / "bin" / "python"
BIN = ROOT / ".venv" / "bin"
PATIENCE_S = 240
MARK = "REAF_TEST_MARK"

HEAD = """\
import gc
import json
import os
import signal
import threading
import time
import warnings

warnings.simplefilter("ignore")
from nrp_client import NrpCore
from nrp_protobuf import dump_pb2, enginetest_pb2, nrpgenericproto_pb2, wrappers_pb2


def tell(**found):
    print("FOUND " + json.dumps(found), flush=True)


def failure(call, *arguments):
    \"\"\"What a call raises, in words, with what it came from.\"\"\"
    try:
        call(*arguments)
    except Exception as error:
        return f"{type(error).__name__}: {error} | {error.__cause__}"
    return ""


def client(**more):
    return NrpCore(ADDRESS, experiment_folder=FOLDER, **{"server_timeout": 120, **more})
"""


@dataclass(frozen=True)
class Said:
    """What a script has printed, what it has logged, and what it told by name with `tell(...)`."""

    status: int
    printed: str
    logged: str

    @property
    def found(self):
        lines = [line.removeprefix("FOUND ") for line in self.printed.splitlines() if line.startswith("FOUND ")]
        return {name: value for line in lines for name, value in json.loads(line).items()}


def environment(mark):
    """Every process that comes of it, however far down, has the mark."""
    return {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "PYTHONUNBUFFERED": "1", MARK: str(mark)}


def free_address():
    return f"localhost:{free_port()}"


def begun(script, folder, address):
    """The script, running."""
    assert PYTHON.exists(), "the published client is not installed: make compat"
    head = f"ADDRESS = {address!r}\nFOLDER = {str(folder)!r}\n{HEAD}"
    return subprocess.Popen(
        [PYTHON, "-c", head + textwrap.dedent(script)],
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def attempt(script, folder, address=None):
    """Run a script to its end, whatever comes of it."""
    return ended(begun(script, folder, address or free_address()))


def ended(process):
    """What a script has said, when it has ended."""
    try:
        printed, logged = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
    return Said(process.returncode, printed, logged)


def run(script, folder, address=None):
    """What a script that goes well has told."""
    said = attempt(script, folder, address)
    assert said.status == 0, f"{said.printed}\n{said.logged}\n{log_of(folder)}"
    return said.found


def program(folder, *arguments):
    """NRPCoreSim itself, run to its end for the experiment in this folder."""
    return subprocess.run(
        [BIN / "NRPCoreSim", "-d", str(folder), *map(str, arguments)],
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )


def log_of(folder):
    file = Path(folder) / ".console_output.log"
    return file.read_text(encoding="utf-8") if file.exists() else ""


def written(folder, files):
    """The folder with these files in it; what is no text is written as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        text = textwrap.dedent(content) if isinstance(content, str) else json.dumps(content, indent=1)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def processes_of(folder):
    """Services that were started for the experiment in this folder, as their command lines."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            marks = (entry / "environ").read_bytes().split(b"\0") if entry.name.isdigit() else []
            command = (entry / "cmdline").read_bytes().decode(errors="replace") if marks else ""
        except OSError:
            continue
        if f"{MARK}={folder}".encode() in marks and "services." in command:
            found.append(command.replace("\0", " "))
    return found


def none_left(folder):
    """Whether all processes of the experiment end within a while."""
    end = time.monotonic() + 60
    while processes_of(folder):
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def engine(name, file, step_s, kind="python_json"):
    file_key = "NestInitFileName" if kind.startswith("nest") else "PythonFileName"
    return {"EngineType": kind, "EngineName": name, file_key: file, "EngineTimestep": step_s}


def config(engines, functions=(), status="", timeout_s=1, **more):
    """A simulation_config.json."""
    made = {
        "SimulationName": "a test",
        "SimulationTimeout": timeout_s,
        "EngineConfigs": engines,
        "DataPackProcessingFunctions": [{"Name": name.removesuffix(".py"), "FileName": name} for name in functions],
        **more,
    }
    return made | ({"StatusFunction": {"Name": "status", "FileName": status}} if status else {})


COUNTER = """\
from nrp_core.engines.python_json import EngineScript


class Script(EngineScript):
    def initialize(self):
        print("the counter begins")
        self._registerDataPack("orders")
        self._registerDataPack("count")
        self.begin(0)

    def begin(self, first):
        self.count = first
        self._setDataPack("count", {"count": self.count, "time": self._time_ns, "name": self._name})

    def runLoop(self, timestep_ns):
        orders = self._getDataPack("orders")
        self.count += orders["by"] if orders else 1
        self._setDataPack("count", {"count": self.count, "time": self._time_ns, "step": timestep_ns})

    def reset(self):
        orders = self._getDataPack("orders") or {}
        self._setDataPack("orders", None)
        self.begin(orders.get("first", -1))
"""
LISTENER = """\
from nrp_core.engines.python_json import EngineScript


class Script(EngineScript):
    def initialize(self):
        self._registerDataPack("heard")
        self._registerDataPack("all")
        self._setDataPack("all", [])

    def runLoop(self, timestep_ns):
        self._setDataPack("all", self._getDataPack("all") + [self._getDataPack("heard")["count"]])

    def reset(self):
        self._setDataPack("all", [])
"""
PASS_ON = """\
from nrp_core import *
from nrp_core.data.nrp_json import *


@EngineDataPack(keyword="count", id=DataPackIdentifier("count", "counter"))
@TransceiverFunction("listener")
def pass_on(count):
    print("passing on", count.data["count"])
    heard = JsonDataPack("heard", "listener")
    heard.data["count"] = count.data["count"]
    return [heard]
"""
STATUS = """\
from nrp_core import *
from nrp_core.data.nrp_json import JsonRawData


@EngineDataPack(keyword="count", id=DataPackIdentifier("count", "counter"))
@EngineDataPack(keyword="heard", id=DataPackIdentifier("all", "listener"))
@SimulationTime(keyword="t")
@SimulationIteration(keyword="iteration")
@StatusFunction()
def status(count, heard, t, iteration):
    seen = JsonRawData()
    seen.data["count"] = count.data["count"]
    seen.data["heard"] = [number for number in heard.data]
    seen.data["new"] = [count.isUpdated(), heard.isUpdated()]
    seen.data["at"] = [iteration, t]
    return True, [seen]
"""
ENGINES = [engine("counter", "counter.py", 0.01), engine("listener", "listener.py", 0.02)]
TWO = {
    "simulation_config.json": config(ENGINES, ["pass_on.py"], "status.py"),
    "counter.py": COUNTER,
    "listener.py": LISTENER,
    "pass_on.py": PASS_ON,
    "status.py": STATUS,
}
LIMB = {
    "experiment.toml": """\
        [experiment]
        name = "limb"
        steps = 20

        [body]
        model = "mouse_forelimb"

        [measures]
        strongest = { reads = "body.muscles.activation.Foot2", over = "max" }
        """,
}
