import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest

from reafference.plain import Misfit, load
from services.brain import device_kinds
from services.brain.device_kinds import (
    AC,
    DC,
    SINK_KINDS,
    SOURCE_KINDS,
    FixedFrequency,
    LeakyIntegratorAlpha,
    LeakyIntegratorExp,
    NoiseCurrent,
    Poisson,
    PopulationRate,
    SpikeInjector,
    SpikeRecorder,
    port_of,
    signed,
)


def test_the_weight_of_a_rate_follows_its_formula() -> None:
    assert PopulationRate(sources=("a",)).weight_for(1, None) == 5000.0
    assert PopulationRate(sources=("a",)).weight_for(8, None) == 625.0
    assert PopulationRate(sources=("a",), reduce="sum").weight_for(8, None) == 5000.0
    assert PopulationRate(sources=("a",), tau_rise_ms=5.0).weight_for(1, None) == 10_000.0


def test_a_weight_is_scaled_only_on_request() -> None:
    assert LeakyIntegratorAlpha(sources=("a",)).weight_for(50, 10.24) == 10.0
    scaled = LeakyIntegratorAlpha(sources=("a",), weight_scaled_to_full_size=True)
    assert scaled.weight_for(50, 10.24) == 102.4
    with pytest.raises(Misfit):
        scaled.weight_for(50, None)


def test_the_defaults_are_the_usual_ones() -> None:
    alpha, exponential = LeakyIntegratorAlpha(sources=()).parameters(), LeakyIntegratorExp(sources=()).parameters()
    assert (alpha["tau_m"], alpha["tau_syn_ex"], alpha["tau_syn_in"], alpha["C_m"]) == (10.0, 2.0, 2.0, 1000.0)
    assert (exponential["tau_m"], exponential["tau_syn_ex"], exponential["C_m"]) == (20.0, 0.5, 1000.0)
    assert alpha["V_th"] == exponential["V_th"] == float("inf")
    assert SpikeRecorder(sources=()).sample is None


def test_receptors_become_a_sign_or_a_port() -> None:
    assert [signed(2.0, r) for r in ("excitatory", "inhibitory", 3)] == [2.0, -2.0, 2.0]
    assert [port_of(r) for r in ("excitatory", "inhibitory", 3)] == [0, 0, 3]


@pytest.mark.parametrize(
    ("spec", "ports"),
    [
        (Poisson(targets=()), {"": (0.0, "Hz")}),
        (FixedFrequency(targets=()), {"": (0.0, "Hz")}),
        (DC(targets=()), {"": (1000.0, "pA")}),
        (
            AC(targets=()),
            {"": (1000.0, "pA"), "_offset": (0.0, "pA"), "_frequency": (10.0, "Hz"), "_phase": (0.0, "deg")},
        ),
        (NoiseCurrent(targets=()), {"": (0.0, "pA"), "_std": (1000.0, "pA")}),
        (SpikeInjector(targets=()), {"": (-1.0, "s")}),
    ],
)
def test_sources_rest_at_the_usual_values(spec: Any, ports: dict[str, tuple[float, str]]) -> None:
    assert {q.suffix: (q.rest, q.unit) for q in spec.quantities} == ports
    assert spec.weight == (0.15 if spec.spikes else 1.0)
    assert (spec.delay_ms, spec.receptor, spec.rule) == (None, "excitatory", "all_to_all")


def test_every_kind_is_known_by_the_name_it_has() -> None:
    assert [load(cls, {"targets": []}).kind for cls in SOURCE_KINDS.values()] == list(SOURCE_KINDS)


@pytest.mark.parametrize(
    ("cls", "options", "key"),
    [
        (Poisson, {"rate_hz": -1.0}, "rate_hz"),
        (Poisson, {"rate_hz": math.nan}, "rate_hz"),
        (Poisson, {"n": 0}, "n"),
        (Poisson, {"start_ms": 5.0, "stop_ms": 5.0}, "start_ms"),
        (FixedFrequency, {"rate_hz": 501.0}, "rate_hz"),
        (FixedFrequency, {"V_th_mV": math.inf}, "V_th_mV"),
        (FixedFrequency, {"V_reset_mV": -40.0}, "V_reset_mV"),
        (FixedFrequency, {"E_L_mV": -50.0}, "E_L_mV"),
        (FixedFrequency, {"t_ref_ms": 0.0}, "t_ref_ms"),
        (DC, {"amplitude_pA": math.inf}, "amplitude_pA"),
        (AC, {"frequency_hz": -10.0}, "frequency_hz"),
        (NoiseCurrent, {"std_pA": -1.0}, "std_pA"),
        (NoiseCurrent, {"interval_ms": 0.0}, "interval_ms"),
        (SpikeInjector, {"times": 0}, "times"),
        (DC, {"weight": -2.0}, "weight"),
    ],
)
def test_options_that_cannot_be_are_refused_by_name(cls: Any, options: dict[str, Any], key: str) -> None:
    with pytest.raises(Misfit) as misfit:
        cls(targets=("a",), **options)
    assert misfit.value.key == key


def test_an_integrator_has_an_infinite_threshold_unless_given() -> None:
    given = load(LeakyIntegratorAlpha, {"sources": ["a"], "V_th_mV": math.inf})
    assert given == LeakyIntegratorAlpha(sources=("a",))
    assert LeakyIntegratorExp(sources=(), V_th_mV=20.0).parameters()["V_th"] == 20.0


def test_a_drawn_part_of_the_neurons_stands_for_all() -> None:
    some = PopulationRate(sources=("a",), rule="pairwise_bernoulli", p=0.25)
    assert some.weight_for(8, None) == 2500.0
    few = PopulationRate(sources=("a",), rule="fixed_total_number", number=4, reduce="sum")
    assert few.weight_for(8, None) == 10_000.0
    assert PopulationRate(sources=("a",), weight=3.0).weight_for(1, None) == 15_000.0


@pytest.mark.parametrize("kind", [*SOURCE_KINDS, *SINK_KINDS])
def test_the_page_for_users_shows_every_option_with_its_default(kind: str) -> None:
    page = Path(device_kinds.__file__).with_name("DEVICES.md").read_text(encoding="utf-8")
    assert f"| `{kind}` |" in page
    for option in dataclasses.fields({**SOURCE_KINDS, **SINK_KINDS}[kind]):
        name, default = option.name, option.default
        if name not in ("kind", "targets", "sources", "sample"):
            value = f"{default:g}" if type(default) is float else str(default).lower()
            shown = [f"`{name} = {value}`", f'`{name} = "{value}"`', f"| `{name}` |", f"with `{name}`"]
            assert any(text in page for text in shown), name
