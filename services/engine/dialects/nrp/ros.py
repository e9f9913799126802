"""`rospy` for published functions: simulated time, and its log."""

from typing import Any

from .house import House
from .refusals import Shim
from .times import Duration, Time

_LATER = "a transfer function is called in every step, and returns at once"
_INSTEAD = {
    "Publisher": "write @nrp.MapRobotPublisher('name', Topic('/topic', Type)) above the function",
    "Subscriber": "write @nrp.MapRobotSubscriber('name', Topic('/topic', Type)) above the function",
    "ServiceProxy": "there are no services; what a body takes are topics",
    "Service": "there are no services",
    "wait_for_service": "there are no services",
    "wait_for_message": "write @nrp.MapRobotSubscriber('name', Topic('/topic', Type)) above the function",
    "init_node": "a transfer function is no node",
    "spin": _LATER,
    "sleep": _LATER,
    "Rate": _LATER,
    "Timer": _LATER,
    "get_param": "write the value into [parameters] of experiment.toml, or into the file",
    "set_param": "write the value into [parameters] of experiment.toml, or into the file",
}
_LEVELS = {"logdebug": "debug", "loginfo": "info", "logwarn": "warning", "logerr": "error", "logfatal": "critical"}


def module(house: House) -> Shim:
    """`rospy`."""

    class SimulatedTime(Time):
        """`rospy.Time`, whose `now` is simulated."""

        __slots__ = ()

        @staticmethod
        def now() -> Time:
            return Time(0, round(house.t_s * 1e9))

    SimulatedTime.__name__ = SimulatedTime.__qualname__ = "Time"
    names: dict[str, Any] = {
        "Time": SimulatedTime,
        "Duration": Duration,
        "get_time": lambda: house.t_s,
        "get_rostime": SimulatedTime.now,
        "is_shutdown": lambda: False,
        **{name: _teller(house, severity) for name, severity in _LEVELS.items()},
    }
    return Shim("rospy", names, _INSTEAD)


def _teller(house: House, severity: str) -> Any:
    def tell(text: Any, *values: Any) -> None:
        house.say(severity, str(text) % values if values else text)

    return tell


class ClientLogger:
    """`clientLogger`: what functions tell people."""

    def __init__(self, house: House) -> None:
        self._house = house

    def debug(self, *words: Any) -> None:
        self._house.say("debug", *words)

    def info(self, *words: Any) -> None:
        self._house.say("info", *words)

    def warning(self, *words: Any) -> None:
        self._house.say("warning", *words)

    warn = warning

    def error(self, *words: Any) -> None:
        self._house.say("error", *words)

    def critical(self, *words: Any) -> None:
        self._house.say("critical", *words)

    fatal = critical

    def exception(self, *words: Any) -> None:
        self._house.say("exception", *words)

    def advertise(self, *words: Any, duration: float | None = None) -> None:
        """What was shown in the middle of the page, for `duration` ms, is told like everything else."""
        self._house.say("info", *words)
