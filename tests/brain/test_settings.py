from typing import Any

import pytest

from reafference.errors import BadExperiment
from services.brain.device_kinds import LeakyIntegratorAlpha, Poisson
from services.brain.settings import BrainSettings

FULL: dict[str, Any] = {
    "model": "cbct",
    "resolution_ms": 0.1,
    "threads": 2,
    "parameters": {"regions": ["M1"]},
    "populations": {"control": "M1_L1_ENGC[0:10]", "one": 3, "some": [3, 5]},
    "sources": {"drive": {"kind": "poisson", "targets": ["M1_L1_ENGC"], "weight": 0.2}},
    "sinks": {"readout": {"kind": "leaky_integrator_alpha", "sources": ["M1_*"]}},
}


def edited(changes: dict[tuple[str, ...], Any]) -> dict[str, Any]:
    """The full table with some entries replaced; None removes one."""

    def copy(table: dict[str, Any], at: tuple[str, ...]) -> dict[str, Any]:
        new = {k: copy(v, (*at, k)) if isinstance(v, dict) else v for k, v in table.items()}
        for path, value in changes.items():
            if path[:-1] == at:
                new.pop(path[-1], None)
                if value is not None:
                    new[path[-1]] = value
        return new

    return copy(FULL, ())


def test_a_table_becomes_a_value() -> None:
    settings = BrainSettings.load(FULL)
    assert settings.resolution_ns == 100_000
    assert settings.sources["drive"] == Poisson(targets=("M1_L1_ENGC",), weight=0.2)
    assert settings.sinks["readout"] == LeakyIntegratorAlpha(sources=("M1_*",))
    assert settings.populations == {"control": "M1_L1_ENGC[0:10]", "one": 3, "some": (3, 5)}


@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        ({("modell",): "cbct"}, "brain.modell", "did you mean 'model'?"),
        ({("model",): None}, "brain.model", "neither"),
        ({("script",): "brain.py"}, "brain.model", "both"),
        ({("threads",): "two"}, "brain.threads", "a whole number"),
        ({("resolution_ms",): 1e-8}, "brain.resolution_ms", "a multiple of"),
        ({("min_delay_ms",): 1.0}, "brain.max_delay_ms", "both ends"),
        ({("sources", "drive", "kind"): "poison"}, "brain.sources.drive.kind", "did you mean 'poisson'?"),
        ({("sources", "drive", "kind"): None}, "brain.sources.drive.kind", "nothing"),
        ({("sources", "drive", "targets"): None}, "brain.sources.drive.targets", "missing"),
        ({("sources", "drive", "targets"): "A"}, "brain.sources.drive.targets", "a list"),
        ({("sources", "drive", "delay"): 1.0}, "brain.sources.drive.delay", "did you mean 'delay_ms'?"),
        ({("sources", "drive", "delay_ms"): 0.0}, "brain.sources.drive.delay_ms", "above 0"),
        ({("sources", "drive", "weight"): -1.0}, "brain.sources.drive.weight", 'receptor = "inhibitory"'),
        ({("sources", "drive", "weight"): "a"}, "brain.sources.drive.weight", "a number"),
        ({("sources", "drive", "receptor"): "exitatory"}, "brain.sources.drive.receptor", "'excitatory'"),
        ({("sources", "drive", "rate_hz"): -2.0}, "brain.sources.drive.rate_hz", "0 or more"),
        ({("sources", "drive", "rate_hz"): float("nan")}, "brain.sources.drive.rate_hz", "0 or more"),
        ({("sources", "drive", "n"): 0}, "brain.sources.drive.n", "1 or more"),
        ({("sources", "drive", "stop_ms"): 0.0}, "brain.sources.drive.start_ms", "before stop_ms"),
        ({("sources", "a b"): {"kind": "poisson", "targets": ["A"]}}, "brain.sources.a b", "a name of"),
        ({("sinks", "readout", "tau_m_ms"): 0.0}, "brain.sinks.readout.tau_m_ms", "above 0"),
        ({("sinks", "readout", "reduce"): "mean"}, "brain.sinks.readout.reduce", "one of the keys"),
        (
            {("sinks", "r"): {"kind": "population_rate", "sources": ["A"], "reduce": "men"}},
            "brain.sinks.r.reduce",
            "did you mean 'mean'?",
        ),
        (
            {("sinks", "r"): {"kind": "spike_recorder", "sources": ["A"], "sample": 0}},
            "brain.sinks.r.sample",
            "1 or more",
        ),
        ({("sinks", "r"): 3}, "brain.sinks.r", "a table"),
    ],
)
def test_a_mistake_is_named_with_its_key(changes: dict[Any, Any], key: str, words: str) -> None:
    with pytest.raises(BadExperiment) as error:
        BrainSettings.load(edited(changes))
    assert error.value.detail == {"file": "experiment.toml", "key": key}
    assert error.value.text.startswith(f"{key}: ")
    assert words in error.value.text
