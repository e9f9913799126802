"""Our extension module for NEST, in C++: spikes and voltages out of a running network at almost no cost.

It adds to the kernel a recording backend that hands out spikes without leaving the Prepare/Cleanup context, and a
synapse to recorders that takes 80 bytes where NEST's own take 32 KB; and it reads voltages without building a
dictionary of all parameters for each node. `deploy/make-nest-module` compiles it, which takes a compiler and the
headers of libraries; without it everything works by NEST's own calls, with the same results.

The name of the compiled file tells for which sources and which NEST it was made, so that another one is never loaded.
"""

import ctypes
import functools
import hashlib
import importlib.util
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from reafference.errors import SimulatorFailed

__all__ = ["BACKEND", "SYNAPSE", "VARIABLE", "Reader", "compiled", "headers", "install", "installed", "take", "target"]

BACKEND = "reafference_stream"
SYNAPSE = "reafference_tap"
VARIABLE = "REAF_NEST_MODULE"
"""Environment variable: the folder in which the compiled module lies if not in `build` beside this file, or `off`."""

_HERE = Path(__file__).resolve().parent

Int64s = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]


def headers() -> Path:
    """Where the NEST of this interpreter keeps its headers, if it has any."""
    return _nest() / "include" / "nest"


def target(environ: Mapping[str, str] = os.environ) -> Path:
    """The file that the module for this NEST is compiled into and loaded from."""
    given = environ.get(VARIABLE, "")
    folder = Path(given) if given not in ("", "off") else _HERE / "build"
    return folder / f"reafference_nest-{_fingerprint()}.so"


def compiled(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The compiled module, if there is one for this NEST and it is not switched off."""
    if environ.get(VARIABLE) == "off":
        return None
    path = target(environ)
    return path if path.is_file() else None


def install(nest_install: Callable[[str], Any]) -> None:
    """Add the module to an empty kernel, by `nest.Install`, where it is compiled. A reset of the kernel removes it."""
    path = compiled()
    if path is not None and not installed():
        # NEST unloads what it loaded when it is reset; that we hold the file too keeps it in the process.
        _load(path)
        nest_install(str(path.with_suffix("")))


def installed() -> bool:
    """Whether the kernel has the module now."""
    path = compiled()
    return path is not None and bool(_load(path).reafference_installed())


def take(resolution_ns: int) -> tuple[Int64s, Int64s]:
    """Senders and times (ns) of all spikes in the backend since the last call, by time, then sender.

    Raises SimulatorFailed if the module is not installed.
    """
    library = _library()
    held = library.reafference_held()
    sender, time_ns = np.empty(max(held, 0), np.int64), np.empty(max(held, 0), np.int64)
    if library.reafference_take(resolution_ns, sender.ctypes.data, time_ns.ctypes.data, len(sender)) < 0:
        raise SimulatorFailed("the extension module was removed from the kernel: NEST has been reset behind our back")
    return sender, time_ns


class Reader:
    """Reads one recordable (as "V_m") of nodes of this process, in their order."""

    def __init__(self, recordable: str, node_ids: Int64s) -> None:
        """Raises SimulatorFailed if there is no module for this NEST."""
        self._ids = np.ascontiguousarray(node_ids, np.int64)
        self._values = np.empty(len(self._ids))
        # Made once: each of these addresses takes longer to ask for than a value to read.
        addresses = self._ids.ctypes.data, self._values.ctypes.data
        self._read = functools.partial(_library().reafference_read, recordable.encode(), *addresses, len(self._ids))

    def read(self) -> Values | None:
        """Shape (n,); None if one of the nodes does not live here or is of a model unknown to the module."""
        return self._values.copy() if self._read() == len(self._ids) else None


def _library() -> ctypes.CDLL:
    path = compiled()
    if path is None:
        raise SimulatorFailed("there is no extension module for this NEST: run deploy/make-nest-module")
    return _load(path)


@functools.cache
def _load(path: Path) -> ctypes.CDLL:
    """The library, which finds NEST's own functions in the process: `nest` is imported first."""
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise SimulatorFailed(
            f"the extension module cannot be loaded ({error}): compile it on this machine (deploy/make-nest-module), "
            f"or do without it ({VARIABLE}=off)"
        ) from None
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    for name, kinds, result in (
        ("reafference_installed", [], ctypes.c_int),
        ("reafference_held", [], number),
        ("reafference_take", [number, pointer, pointer, number], number),
        ("reafference_read", [ctypes.c_char_p, pointer, pointer, number], number),
    ):
        function = getattr(library, name)
        function.argtypes, function.restype = kinds, result
    return library


@functools.cache
def _fingerprint() -> str:
    """Of our sources and of NEST's library."""
    digest = hashlib.sha256()
    for path in (*sorted(_HERE.glob("*.h")), *sorted(_HERE.glob("*.cpp")), _nest() / "nestkernel_api.so"):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _nest() -> Path:
    found = importlib.util.find_spec("nest")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("NEST is not installed for this Python")
    return Path(next(iter(found.submodule_search_locations)))
