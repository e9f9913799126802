"""PyNN for brain scripts: the real one, on a kernel that is set up already, and only where a script asks for it.

Scripts of the Neurorobotics Platform 3 reach it as `hbp_nrp_cle.brainsim.simulator`. What would take the kernel out of
the engine's hands (`run`, `reset`, `end`) is refused, and `setup` must agree with the experiment, but for threads and
seeds, which are always those of the experiment.
"""

import importlib
import logging
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType, SimpleNamespace
from typing import Any, NoReturn

import numpy as np

from services.brain.kernel import Delays, KernelSetup, nest
from services.brain.settings import bad

_PYNN = "pyNN.nest"
_PLATFORM = "hbp_nrp_cle"
_CONTROL = "hbp_nrp_excontrol"
_PROVIDED = f"{_PLATFORM}.brainsim.simulator (PyNN) and {_PLATFORM}.tf_framework.config"
_MOST_DELAY_MS = 10.0
"""PyNN's longest delay where a script says only the shortest."""


@contextmanager
def for_script(script: str, root: ModuleType, setup: KernelSetup) -> Iterator[None]:
    """While inside, a script may import PyNN and what the published platform called it.

    `root` is the module that the script runs as, which is `config.brain_root` there.
    """
    finder = _Finder(_Rules(script, setup), root)
    with warnings.catch_warnings():
        # PyNN still speaks to NEST in words of its version 2, and is told so at each call.
        warnings.filterwarnings("ignore", module=r"(nest|pyNN)\b")
        finder.enter()
        try:
            yield
            finder.complete()
        finally:
            finder.leave()


@dataclass(frozen=True, slots=True)
class _Rules:
    """What a script may ask of PyNN beyond building."""

    script: str
    setup: KernelSetup

    def functions(self, pynn: Any) -> dict[str, Callable[..., Any]]:
        """What stands in the place of PyNN's own functions."""

        def set_up(timestep: Any = None, min_delay: Any = "auto", max_delay: Any = "auto", **others: Any) -> int:
            self._check_step(timestep)
            nest.ResetKernel()
            self._check_delays(min_delay, max_delay)
            _clear(pynn.simulator.state)
            for name in ("spike_precision", "recording_precision"):
                if name in others:
                    setattr(pynn.simulator.state, name, others[name])
            return int(nest.Rank())

        refused = {name: self._refusing(name) for name in ("run", "run_until", "run_for", "reset", "end")}
        return {"setup": set_up, **refused}

    def _check_step(self, asked_ms: Any) -> None:
        if asked_ms is not None and not np.isclose(float(asked_ms), self.setup.resolution_ms):
            raise bad(
                "brain.resolution_ms",
                f"{self.script} sets PyNN up with a time step of {asked_ms:g} ms, the experiment says "
                f"{self.setup.resolution_ms:g}: let both say the same",
            )

    def _check_delays(self, least: Any, most: Any) -> None:
        if least == "auto":
            return
        asked = Delays(float(least), _MOST_DELAY_MS if most == "auto" else float(most))
        known = self.setup.delays
        if known is None:
            self.setup.set_delays(asked)
        elif not np.allclose((asked.min_ms, asked.max_ms), (known.min_ms, known.max_ms)):
            raise bad(
                "brain.min_delay_ms",
                f"{self.script} sets PyNN up with delays from {asked.min_ms:g} to {asked.max_ms:g} ms, the experiment "
                f"says {known.min_ms:g} to {known.max_ms:g}: let both say the same",
            )

    def _refusing(self, name: str) -> Callable[..., NoReturn]:
        def refuse(*_: Any, **__: Any) -> NoReturn:
            raise RuntimeError(f"{name}() of PyNN is not for a brain script, which only builds the network: remove it")

        return refuse


class _Finder(MetaPathFinder):
    """Finds PyNN and the modules of the published platform while a script runs."""

    def __init__(self, rules: _Rules, root: ModuleType) -> None:
        self._rules, self._root = rules, root
        self._replaced: dict[str, Any] = {}

    def enter(self) -> None:
        sys.meta_path.insert(0, self)
        if (known := sys.modules.get(_PYNN)) is not None:
            self._take_over(known)

    def complete(self) -> None:
        """Make what PyNN leaves for the moment when it runs by itself."""
        if (known := sys.modules.get(_PYNN)) is None:
            return
        for population in known.simulator.state.populations:
            if population._deferred_parrot_connections:
                population._connect_parrot_neurons()

    def leave(self) -> None:
        sys.meta_path.remove(self)
        for name in [name for name in sys.modules if name.partition(".")[0] in (_PLATFORM, _CONTROL)]:
            del sys.modules[name]
        if (known := sys.modules.get(_PYNN)) is not None and self._replaced:
            vars(known).update(self._replaced)
            nest.SetDefaults("spike_generator", {"precise_times": False})

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name == "pyNN" and PathFinder.find_spec(name, path) is None:
            raise ImportError("PyNN is not installed here: pip install 'reafference[brain]' brings it")
        if name == _PYNN:
            found = PathFinder.find_spec(name, path)
            if found is not None and found.loader is not None:
                found.loader = _WithRules(found.loader, self._take_over)
            return found
        package = name.partition(".")[0]
        if package not in (_PLATFORM, _CONTROL) or PathFinder.find_spec(package) is not None:
            return None
        if name not in _MODULES:
            raise ImportError(f"{name} is not provided here: a brain script may use {_PROVIDED}")
        return ModuleSpec(name, _Platform(self._root), is_package=True)

    def _take_over(self, pynn: Any) -> None:
        """A PyNN without a network, which leaves the kernel to us."""
        functions = self._rules.functions(pynn)
        self._replaced = {name: vars(pynn)[name] for name in functions}
        vars(pynn).update(functions)
        _clear(pynn.simulator.state)


class _WithRules(Loader):
    """Loads PyNN as its own loader does, and hands it on."""

    def __init__(self, own: Any, then: Callable[[Any], None]) -> None:
        self._own, self._then = own, then

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        made: ModuleType | None = self._own.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        core: Any = importlib.import_module("pyNN.core")
        found, core.find = core.find, lambda command: None  # or it compiles extensions of NEST while it is imported
        try:
            self._own.exec_module(module)
        finally:
            core.find = found
        _mend_columns(importlib.import_module("pyNN.connectors"))
        _ask_no_synapses(importlib.import_module("pyNN.nest.projections"))
        self._then(module)


class _Platform(Loader):
    """Makes the modules of the published platform that brain scripts use."""

    def __init__(self, root: ModuleType) -> None:
        self._root = root

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__.update(_MODULES[module.__name__](self._root))


_MODULES: dict[str, Callable[[ModuleType], dict[str, Any]]] = {
    _PLATFORM: lambda root: {},
    f"{_PLATFORM}.brainsim": lambda root: {"simulator": importlib.import_module(_PYNN)},
    f"{_PLATFORM}.tf_framework": lambda root: {"config": SimpleNamespace(brain_root=root)},
    _CONTROL: lambda root: {},
    f"{_CONTROL}.logs": lambda root: {"clientLogger": logging.getLogger("brain script")},
}


def _clear(state: Any) -> None:
    """What PyNN remembers of a network before; the kernel itself is empty already."""
    state.populations, state.current_sources, state.recording_devices = [], [], []
    state.recorders, state.write_on_end = set(), []
    state.running, state.segment_counter = False, 0
    state._time_offset, state.t_flush = 0.0, -1
    state.spike_precision = "off_grid"
    nest.SetDefaults("spike_generator", {"precise_times": True})


def _mend_columns(connectors: Any) -> None:
    """PyNN 0.13 takes a column of one neuron as a number without a dimension, where numpy 2 wants one."""
    own = connectors.MapConnector._standard_connect

    def standard_connect(self: Any, projection: Any, columns: Any, distance_map: Any = None) -> None:
        def with_dimension(*mask: Any) -> Iterator[Any]:
            for column in columns(*mask):
                yield column if column is True else np.atleast_1d(column)

        own(self, projection, with_dimension, distance_map)

    connectors.MapConnector._standard_connect = standard_connect


_ASKING = ("_connect", "_set_attributes", "nest_connections", "__len__")
"""What of a projection asks NEST for its synapses: connecting with its random numbers, setting, getting, counting."""


def _ask_no_synapses(projections: Any) -> None:
    """Let projections ask NEST for no synapses where there are several ranks.

    The question is one that all ranks must ask together, but PyNN asks it on those that have a target; and asked in the
    middle of building it can lead NEST 3.10 to read beyond a buffer (see `kernel.enter_context`).
    """
    projection = projections.Projection

    def common_names(self: Any) -> Any:
        # Its own way to find them is such a question. The models that PyNN chooses have none.
        known = self.__dict__.get("common_names")
        return [] if known is None and nest.num_processes > 1 else known

    projection._common_synapse_property_names = property(
        common_names, lambda self, names: self.__dict__.update(common_names=names)
    )
    for name in _ASKING:
        own = vars(projection)[name]
        if isinstance(own, property):
            setattr(projection, name, property(_on_one_rank(own.fget)))
        else:
            setattr(projection, name, _on_one_rank(own))


def _on_one_rank(own: Any) -> Callable[..., Any]:
    def guarded(self: Any, *arguments: Any, **named: Any) -> Any:
        if nest.num_processes > 1:
            raise RuntimeError(
                "the synapses of a projection cannot be asked for or changed while a brain on several processes is "
                "built: give its synapse_type their values, with random numbers from NumpyRNG"
            )
        return own(self, *arguments, **named)

    return guarded
