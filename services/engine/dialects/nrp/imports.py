"""What `import` means in a published file: modules of ROS and of the platform are stood for by shims.

Only published files, and the modules of the experiment that they import, see them: their `__import__` is this one. So
every run has modules of its own, and the rest of the process never hears of ROS.
"""

import builtins
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

from services.engine.script import remember

from . import messages, pictures, ros, transformations
from .framework import Topic
from .house import House
from .refusals import NotShimmed, Shim, refuse_module

_OF_ROS = (
    "actionlib",
    "actionlib_msgs",
    "catkin",
    "controller_manager_msgs",
    "diagnostic_msgs",
    "dynamic_reconfigure",
    "dynamic_vision_sensor",
    "genpy",
    "hbp_nrp_backend",
    "hbp_nrp_cleserver",
    "hbp_nrp_virtual_coach",
    "image_geometry",
    "iba_manager",
    "map_msgs",
    "message_filters",
    "moveit_commander",
    "moveit_msgs",
    "octomap_msgs",
    "robot_state_publisher",
    "rosbag",
    "roslib",
    "rosnode",
    "rospkg",
    "rosservice",
    "rostopic",
    "shape_msgs",
    "smach",
    "smach_ros",
    "std_srvs",
    "stereo_msgs",
    "tf2_geometry_msgs",
    "tf2_msgs",
    "tf2_ros",
    "topic_tools",
    "visualization_msgs",
)
"""Well-known packages of ROS and of the platform of which nothing is here."""


class Imports:
    """The modules of one run."""

    def __init__(self, house: House, framework: Shim) -> None:
        self._folder = house.folder
        self._makers = _makers(house, framework)
        self._modules: dict[str, ModuleType] = {}
        self._roots = {name.split(".")[0] for name in self._makers}
        self.builtins: dict[str, Any] = {**vars(builtins), "__import__": self.module_for}

    def names(self) -> list[str]:
        """All shims there are."""
        return sorted(self._makers)

    def get(self, name: str) -> Any:
        """A shim, with those above and below it: many files import a package and name its modules."""
        if name not in self._modules:
            if name not in self._makers:
                refuse_module(name, self._makers)
            self._modules[name] = self._makers[name]()
            above, _, last = name.rpartition(".")
            if above:
                self.get(above).__dict__[last] = self._modules[name]
            for below in self._makers:
                if below.rpartition(".")[0] == name:
                    self.get(below)
        return self._modules[name]

    def module_for(
        self,
        name: str,
        namespace: Mapping[str, Any] | None = None,
        local: Mapping[str, Any] | None = None,
        wanted: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        """As the built-in `__import__`. Raises NotShimmed."""
        root = name.split(".")[0]
        if level == 0 and root in _OF_ROS:
            refuse_module(name, self._makers)
        if level == 0 and root in self._roots:
            return self._shim(name, wanted)
        if level == 0 and (self._folder / f"{name}.py").is_file():
            return self._beside(name)
        return builtins.__import__(name, namespace, local, wanted or (), level)

    def _shim(self, name: str, wanted: Sequence[str] | None) -> Any:
        found = self.get(name)
        return found if wanted else self.get(name.split(".")[0])

    def _beside(self, name: str) -> ModuleType:
        """A module of the experiment, which sees what the file sees that imports it."""
        if name not in self._modules:
            path = self._folder / f"{name}.py"
            text = path.read_text(encoding="utf-8")
            remember(str(path), text)
            made = self._modules[name] = ModuleType(name)
            made.__dict__.update({"__file__": str(path), "__builtins__": self.builtins})
            try:
                exec(compile(text, str(path), "exec"), made.__dict__)
            except BaseException:
                del self._modules[name]
                raise
        return self._modules[name]


def _makers(house: House, framework: Shim) -> dict[str, Callable[[], ModuleType]]:
    """What makes each shim, by its name."""
    logger = ros.ClientLogger(house)
    library = {"detect_red": pictures.detect_red}
    interface = {"Topic": Topic}
    bridge = {"CvBridge": pictures.CvBridge, "CvBridgeError": pictures.CvBridgeError}
    made: dict[str, Callable[[], ModuleType]] = {
        "rospy": lambda: ros.module(house),
        "cv_bridge": lambda: Shim("cv_bridge", bridge),
        "tf": lambda: Shim("tf", {}),
        "tf.transformations": lambda: Shim("tf.transformations", transformations.names()),
        "hbp_nrp_cle": lambda: Shim("hbp_nrp_cle", {}),
        "hbp_nrp_cle.tf_framework": lambda: framework,
        "hbp_nrp_cle.tf_framework.tf_lib": lambda: Shim("hbp_nrp_cle.tf_framework.tf_lib", library),
        "hbp_nrp_cle.robotsim": lambda: Shim("hbp_nrp_cle.robotsim", {}),
        "hbp_nrp_cle.robotsim.RobotInterface": lambda: Shim("hbp_nrp_cle.robotsim.RobotInterface", interface),
        "hbp_nrp_excontrol": lambda: Shim("hbp_nrp_excontrol", {}),
        "hbp_nrp_excontrol.logs": lambda: Shim("hbp_nrp_excontrol.logs", {"clientLogger": logger}),
    }
    for package in messages.packages():
        made[package] = lambda package=package: Shim(package, {})  # type: ignore[misc]
        made[f"{package}.msg"] = lambda package=package: Shim(f"{package}.msg", messages.types_of(package))  # type: ignore[misc]
    return made


class NotInstalled:
    """A name that published files find without importing it, of a package that is not installed here."""

    def __init__(self, package: str, install: str) -> None:
        self.__dict__.update(_package=package, _install=install)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        package, install = self.__dict__["_package"], self.__dict__["_install"]
        raise NotShimmed(f"{package}.{name}: {package} is not installed here: pip install {install}", name=package)
