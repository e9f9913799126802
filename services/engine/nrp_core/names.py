"""The modules that scripts of NRP-core import: `nrp_core` and what lies below it, as far as there is anything.

They exist in processes that run such scripts, and nowhere else. What is not offered is refused with its name.
"""

import sys
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from . import engines, functions, messages
from .packs import JsonDataPack, JsonRawData, message_classes

_ROOT = "nrp_core"
_WHY = {
    "nrp_core.event_loop": "computational graphs and the event loop are not offered: use the FTILoop",
    "nrp_core.engines.py_sim": "the engine py_sim is not offered: write an engine of the type python_json",
    "nrp_core.engines.opensim": "the engine opensim is not offered: write an engine of the type python_json",
    "nrp_core.client": "the client is the package nrp_client, and runs in an environment of its own",
}


def install() -> None:
    """Let scripts in this process import these modules from now on."""
    if getattr(sys.modules.get(_ROOT), "EngineDataPack", None) is functions.engine_datapack:
        return
    for name, content in _modules().items():
        module = ModuleType(name)
        module.__dict__.update(content)
        module.__path__ = []
        sys.modules[name] = module
        parent, _, last = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], last, module)
    if not any(isinstance(finder, _Refusing) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Refusing())


def _modules() -> dict[str, dict[str, Any]]:
    """The content of each module, parents first."""
    json_engine = {"EngineScript": engines.EngineScript, "RegisterEngine": engines.register_engine}
    return {
        _ROOT: _exported(functions.NAMES),
        f"{_ROOT}.data": {},
        f"{_ROOT}.data.nrp_json": _exported({"JsonDataPack": JsonDataPack, "JsonRawData": JsonRawData}),
        f"{_ROOT}.data.nrp_protobuf": _exported(message_classes()) | _message_modules(),
        f"{_ROOT}.engines": {},
        f"{_ROOT}.engines.python_json": _exported(json_engine),
        f"{_ROOT}.engines.python_json.engine_script": _exported(json_engine),
        f"{_ROOT}.engines.python_grpc": _exported({"GrpcEngineScript": engines.GrpcEngineScript}),
    }


def _exported(names: Mapping[str, Any]) -> dict[str, Any]:
    return {**names, "__all__": list(names)}


def _message_modules() -> dict[str, Any]:
    return {module.__name__.rpartition(".")[2]: module for module in messages.modules()}


class _Refusing(MetaPathFinder):
    """Says of a module below `nrp_core` that there is none, and why."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(f"{_ROOT}."):
            return None
        known = ", ".join(name for name in sys.modules if name.startswith(f"{_ROOT}."))
        why = next((why for name, why in _WHY.items() if fullname.startswith(name)), f"there are {known}")
        raise ModuleNotFoundError(f"there is no module {fullname!r} here: {why}", name=fullname)
