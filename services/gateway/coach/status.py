"""A simulation in the words of the published platform: its record, its status message, its errors. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from reafference.frames import Message

from ..simulation import Simulation
from .servers import id_of

_STATES = {"initialised": "initialized"}
_WARNING, _ERROR, _CRITICAL = 0, 1, 2
_LEVELS = {"info": 0, "warning": 1, "error": 2}
_DECIMALS = 6


def number_of(simulation: Simulation) -> int:
    """What published clients call simulationID: `s7` is 7."""
    return int(simulation.id.removeprefix("s"))


def sid_of(number: str) -> str:
    """The id of the simulation with this number."""
    return f"s{number}"


def state_of(simulation: Simulation) -> str:
    """Its state, as the published platform spells it."""
    return _STATES.get(simulation.status.state, simulation.status.state)


def record(simulation: Simulation) -> dict[str, Any]:
    """The record of a simulation, as it is answered when one is created and when they are listed."""
    return {
        "simulationID": number_of(simulation),
        "state": state_of(simulation),
        "owner": simulation.owner,
        "creationDate": simulation.status.created_at,
        "creationUniqueID": simulation.status.run,
        "experimentID": simulation.experiment,
        "experimentConfiguration": simulation.experiment,
        "environmentConfiguration": "",
        "gzserverHost": "local",
        "server": id_of(simulation.place),
        "private": True,
        "reservation": None,
        "brainProcesses": simulation.launched.get("ranks") or 1,
        "playbackPath": simulation.launched.get("recording"),
    }


def status(told: Mapping[str, Any]) -> dict[str, Any]:
    """The status message, from API.md's Simulation; all times in seconds, `timeout` is what is left until the limit."""
    limit = told["limit"] or {}
    left_s = limit.get("left_s") or 0.0
    return {
        "state": _STATES.get(told["state"], told["state"]),
        "simulationTime": round(told["t_s"], _DECIMALS),
        "realTime": round(told["real_s"], _DECIMALS),
        "timeout": round(left_s, _DECIMALS),
        "timeoutType": limit.get("kind", "simulated"),
        "simulationTimeLeft": round(left_s, _DECIMALS),
        "transferFunctionsElapsedTime": dict(told["function_s"]),
        "brainsimElapsedTime": told["spent_s"]["brain"],
        "robotsimElapsedTime": told["spent_s"]["body"],
    }


def progress(told: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A progress message for each service that is being built."""
    for service, work in told["progress"].items():
        subtask = f"{service}: {work['task']}" + (f" ({work['detail']})" if work["detail"] else "")
        yield {
            "progress": {
                "task": "Loading the simulation",
                "subtask": subtask,
                "number_of_subtasks": work["total"],
                "subtask_index": work["done"],
                "block_ui": False,
            }
        }


def loaded() -> dict[str, Any]:
    """What ends the progress messages."""
    return {"progress": {"task": "Loading the simulation", "done": True}}


def error(message: Message) -> dict[str, Any]:
    """A message of the run as cle_ros_msgs/CLEError."""
    return {
        "severity": _WARNING if message.severity == "warning" else _ERROR,
        "sourceType": message.source.title(),
        "errorType": message.type.title(),
        "message": message.text,
        "functionName": message.function,
        "lineNumber": message.line or -1,
        "offset": message.column or -1,
        "lineText": message.line_text,
        "fileName": message.file,
    }


def failure(problem: Mapping[str, Any]) -> dict[str, Any]:
    """Why a simulation failed or halted, as cle_ros_msgs/CLEError."""
    return {
        "severity": _CRITICAL,
        "sourceType": str(problem["source"]).title(),
        "errorType": str(problem["type"]).title(),
        "message": problem["detail"],
        "functionName": "",
        "lineNumber": problem["line"] or -1,
        "offset": problem["column"] or -1,
        "lineText": problem["line_text"] or "",
        "fileName": problem["file"] or "",
    }


def log_line(message: Message) -> dict[str, Any]:
    """What a transfer function said, as cle_ros_msgs/ClientLoggerMessage."""
    return {"level": _LEVELS[message.severity], "message": f"{message.function}: {message.text}", "duration": 0.0}
