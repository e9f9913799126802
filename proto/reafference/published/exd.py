"""The configuration of a published experiment (`*.exc`): what it is called, where it plays, when it ends."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from .xmltree import Element, parse

_UNREAD = {
    "configuration": "settings of the published web page are not used here",
    "visualModel": "another model for the display is not used: what is simulated is shown",
    "rosLaunch": "a ROS launch file is not run: there is no ROS here",
    "gzbridgesettings": "settings of the Gazebo bridge are not used",
    "experimentEvaluation": "evaluating state machines are not run",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """Where a robot begins: metres, and roll, pitch, yaw in radians."""

    position_m: tuple[float, float, float]
    angles_rad: tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class StateMachine:
    """A text that would steer the experiment; `src` is as written."""

    name: str
    src: str
    place: Element


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentConfiguration:
    """All of an `.exc` file that matters here. `timeout_s` is None where there is none; `step_ms`, `seed` likewise."""

    name: str
    description: str
    tags: tuple[str, ...]
    maturity: str
    thumbnail: str
    timeout_s: float | None
    timeout_kind: Literal["real", "simulated"]
    bibi: str
    bibi_place: Element
    processes: int
    seed: int | None
    step_ms: float | None
    environment: str
    poses: dict[str, Pose]
    state_machines: tuple[StateMachine, ...]
    remarks: tuple[str, ...]


def read(data: bytes, file: str) -> ExperimentConfiguration:
    """The configuration in an `.exc` file. Raises BadExperiment that names file, line and element."""
    root = parse(data, file)
    if root.name.casefold() not in ("exd", "experiment", "exdconfiguration"):
        root.refuse("the experiment configuration must begin with <ExD>")
    conf = root.child("bibiConf")
    if conf is None:
        root.refuse('there is no <bibiConf src="…">, which names the file of brain, body and transfer functions')
    bibi = conf.get("src") or conf.words()
    if not bibi:
        conf.refuse("it must name the BIBI file in its attribute src")
    timeout_s, kind = _timeout(root.child("timeout"))
    environment = root.child("environmentModel")
    seed = root.child("rngSeed")
    return ExperimentConfiguration(
        name=_words(root, "name"),
        description=_words(root, "description"),
        tags=tuple(_words(root, "tags").replace(",", " ").split()),
        maturity=_words(root, "maturity"),
        thumbnail=_words(root, "thumbnail"),
        timeout_s=timeout_s,
        timeout_kind=kind,
        bibi=bibi,
        bibi_place=conf,
        processes=_processes(conf),
        seed=None if seed is None else seed.whole(seed.words(), "the seed"),
        step_ms=_step_ms(root),
        environment="" if environment is None else environment.get("src") or environment.get("model"),
        poses=dict(_poses(environment)) if environment is not None else {},
        state_machines=tuple(_state_machines(root)),
        remarks=tuple(_remarks(root)),
    )


def step_ms_of(place: Element | None) -> float | None:
    """The time step in ms that an element holds; raises BadExperiment for one that is not above 0."""
    if place is None or not place.words():
        return None
    value = place.number(place.words(), "the time step in ms")
    if not value > 0:
        place.refuse("the time step must be above 0 ms")
    return value


def _step_ms(root: Element) -> float | None:
    inner = root.child("cle")
    return step_ms_of(root.child("timestep") or (inner.child("timestep") if inner else None))


def _timeout(place: Element | None) -> tuple[float | None, Literal["real", "simulated"]]:
    """Seconds, of wall time unless the attribute `time` says that they are simulated."""
    if place is None or not place.words():
        return None, "real"
    seconds = place.number(place.words(), "the timeout in seconds")
    if not seconds > 0:
        place.refuse("the timeout must be above 0 seconds")
    kind = place.get("time", "real").casefold()
    if kind in ("simulation", "simulated", "sim"):
        return seconds, "simulated"
    if kind not in ("real", "realtime", "wall"):
        place.refuse(f'time="{kind}" is neither "real" nor "simulation"')
    return seconds, "real"


def _processes(conf: Element) -> int:
    text = conf.get("processes")
    number = conf.whole(text, "the number of processes") if text else 1
    if number < 1:
        conf.refuse("the number of processes must be 1 or more")
    return number


def _poses(environment: Element) -> Iterator[tuple[str, Pose]]:
    """Poses by the id of the robot; "" where none is given."""
    for place in environment.all("robotPose"):
        x, y, z, roll, pitch, yaw = (
            place.number(place.get(name, "0") or "0", name) for name in ("x", "y", "z", "roll", "pitch", "yaw")
        )
        yield place.get("robotId"), Pose(position_m=(x, y, z), angles_rad=(roll, pitch, yaw))


def _state_machines(root: Element) -> Iterator[StateMachine]:
    for group in ("experimentControl", "experimentEvaluation"):
        for control in root.all(group):
            for place in control.all("stateMachine"):
                src = place.get("src") or place.words()
                if not src:
                    place.refuse("it must name its file in the attribute src")
                yield StateMachine(name=place.get("id"), src=src, place=place)


def _remarks(root: Element) -> Iterator[str]:
    for name, words in _UNREAD.items():
        if (place := root.child(name)) is not None:
            yield f"<{place.name}>: {words}"
    engine = _words(root, "physicsEngine")
    if engine:
        yield f"<physicsEngine>: the body moves in PyBullet instead of {engine}"


def _words(root: Element, name: str) -> str:
    place = root.child(name)
    return "" if place is None else place.words()
