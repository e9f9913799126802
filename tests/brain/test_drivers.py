"""Every source against its formula, and a new value of each in the very next step, at several step lengths."""

from typing import Any

import numpy as np
import pytest

from reafference.errors import BadExperiment
from reafference.frames import Array
from services.brain.device_kinds import FixedFrequency
from services.brain.devices import Devices
from services.brain.kernel import KernelSetup, nest
from services.brain.selection import Population
from services.brain.settings import BrainSettings

H_MS = 0.1
DELAY_MS = 1.0
STEPS_MS = (1.0, 2.0, 5.0, 20.0)

# Cells that only integrate, looked at in every time step.
CELLS = """
    import nest
    def build(n=2):
        never_fires = {"V_th": float("inf"), "E_L": 0.0, "V_m": 0.0, "C_m": 100.0, "tau_m": 8.0}
        cell = nest.Create("iaf_psc_alpha", n, never_fires)
        scope = nest.Create("multimeter", params={"record_from": ["V_m"], "interval": nest.resolution})
        nest.Connect(scope, cell, syn_spec={"delay": 1.0})
        return {"cell": cell}
"""

RELAYS = """
    import nest
    def build(n=2):
        return {"relay": nest.Create("parrot_neuron", n)}
"""
RASTER = {"raster": {"kind": "spike_recorder", "sources": ["relay"]}}


def prepare_current(bench: Any, dt_ms: float = 5.0, n: int = 2, **source: Any) -> None:
    device = {"targets": ["each cell"], "delay_ms": DELAY_MS, **source}
    bench.prepare({"sources": {"drive": device}, "parameters": {"n": n}}, script=CELLS, dt_ms=dt_ms)


def prepare_spikes(bench: Any, dt_ms: float = 5.0, **source: Any) -> None:
    device = {"targets": ["each relay"], "delay_ms": DELAY_MS, **source}
    bench.prepare({"sources": {"drive": device}, "sinks": RASTER}, script=RELAYS, dt_ms=dt_ms)


def received() -> tuple[Array, Array]:
    """Ends of the time steps in which currents were sent (ms), and the currents (pA) by cell, from the voltages."""
    events = nest.GetNodes({"model": "multimeter"}).get("events")
    order = np.lexsort((events["times"], events["senders"]))
    n = len(np.unique(events["senders"]))
    voltage = events["V_m"][order].reshape(n, -1)
    times = events["times"][order].reshape(n, -1)[0]
    decay = np.exp(-H_MS / 8.0)
    current = (voltage[:, 1:] - decay * voltage[:, :-1]) / (8.0 / 100.0 * (1 - decay))
    # Under way for the delay, then felt for the one time step that follows.
    return times[1:] - DELAY_MS - H_MS, current


def relayed(bench: Any) -> list[Array]:
    """Times (ms) at which the source of each relay sent a spike."""
    sender, time_ms = bench.spikes()
    return [time_ms[sender == relay] - DELAY_MS for relay in bench.ids("relay")]


@pytest.mark.parametrize("dt_ms", STEPS_MS)
def test_a_new_direct_current_acts_in_the_very_next_step(dt_ms: float, bench: Any) -> None:
    prepare_current(bench, dt_ms, kind="dc", amplitude_pA=0.0)
    bench.run(2)
    bench.run(1, drive=[30.0, -70.0])
    bench.run(40, drive=[0.0, 20.0])
    t_ms, current = received()
    inside = (t_ms > 2 * dt_ms + H_MS / 2) & (t_ms < 3 * dt_ms + H_MS / 2)
    after = t_ms > 3 * dt_ms + H_MS / 2
    expected = np.stack([30.0 * inside, -70.0 * inside + 20.0 * after])
    np.testing.assert_allclose(current, expected, atol=1e-6)


@pytest.mark.parametrize("dt_ms", STEPS_MS)
def test_a_sine_follows_its_formula_and_new_values_act_in_the_very_next_step(dt_ms: float, bench: Any) -> None:
    prepare_current(bench, dt_ms, kind="ac", amplitude_pA=0.0)
    bench.run(2)
    bench.run(1, drive=[500.0, 0.0], drive_offset=[0.0, 40.0], drive_frequency=[37.0, 10.0], drive_phase=[25.0, 0.0])
    later = {"drive_offset": [-5.0, 40.0], "drive_frequency": [80.0, 10.0], "drive_phase": [0.0, 0.0]}
    bench.run(30, drive=[100.0, 0.0], **later)
    t_ms, current = received()
    first = t_ms < 2 * dt_ms + H_MS / 2
    second = ~first & (t_ms < 3 * dt_ms + H_MS / 2)
    sine = np.where(
        second,
        500.0 * np.sin(2 * np.pi * 37.0 * t_ms / 1000.0 + np.deg2rad(25.0)),
        -5.0 + 100.0 * np.sin(2 * np.pi * 80.0 * t_ms / 1000.0),
    )
    np.testing.assert_allclose(current, np.stack([np.where(first, 0.0, sine), np.where(first, 0.0, 40.0)]), atol=1e-6)


def test_a_sine_is_that_of_nest_in_a_plain_simulation(bench: Any) -> None:
    sine = {"amplitude": 700.0, "offset": 30.0, "frequency": 23.0, "phase": 70.0}
    options = {"amplitude_pA": 700.0, "offset_pA": 30.0, "frequency_hz": 23.0, "phase_deg": 70.0}
    prepare_current(bench, 5.0, n=1, kind="ac", start_ms=10.0, stop_ms=60.0, **options)
    bench.run(20)
    ours = nest.GetNodes({"model": "multimeter"}).get("events")["V_m"]
    bench.brain.close()
    parameters = {"V_th": float("inf"), "E_L": 0.0, "V_m": 0.0, "C_m": 100.0, "tau_m": 8.0}
    cell = nest.Create("iaf_psc_alpha", params=parameters)
    scope = nest.Create("multimeter", params={"record_from": ["V_m"], "interval": H_MS})
    generator = nest.Create("ac_generator", params={**sine, "start": 10.0, "stop": 60.0})
    nest.Connect(scope, cell, syn_spec={"delay": DELAY_MS})
    nest.Connect(generator, cell, syn_spec={"delay": DELAY_MS})
    nest.Simulate(100.0)
    theirs = scope.get("events")["V_m"]
    assert np.abs(theirs).max() > 10.0
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dt_ms", STEPS_MS)
def test_a_new_noise_acts_in_the_very_next_step(dt_ms: float, bench: Any) -> None:
    prepare_current(bench, dt_ms, kind="noise_current", std_pA=0.0)
    bench.run(2)
    bench.run(1, drive=[30.0, 0.0], drive_std=[0.0, 500.0])
    bench.run(10, drive=[0.0, 0.0], drive_std=[0.0, 0.0])
    t_ms, current = received()
    inside = (t_ms > 2 * dt_ms + H_MS / 2) & (t_ms < 3 * dt_ms + H_MS / 2)
    np.testing.assert_allclose(current[0], 30.0 * inside, atol=1e-6)
    assert ((np.abs(current[1]) > 1e-6) == inside).all()


def test_noise_has_its_mean_and_deviation_in_every_interval_and_neuron(bench: Any) -> None:
    device = {"kind": "noise_current", "targets": ["cell"], "mean_pA": 200.0, "std_pA": 50.0, "interval_ms": 0.5}
    settings = {"sources": {"drive": {**device, "delay_ms": DELAY_MS}}, "parameters": {"n": 40}}
    bench.prepare(settings, script=CELLS, dt_ms=10.0)
    bench.run(51)
    _, current = received()
    drawn = current[:, -5 * 1000 :].reshape(40, 1000, 5)
    phase = next(k for k in range(5) if np.allclose(np.ptp(np.roll(drawn.reshape(40, -1), k, 1)[:, 5:10], axis=1), 0))
    values = np.roll(drawn.reshape(40, -1), phase, axis=1).reshape(40, 1000, 5)[:, 1:]
    np.testing.assert_allclose(np.ptp(values, axis=2), 0.0, atol=1e-6)
    draws = values[:, :, 0]
    # 40 x 999 numbers: within five standard errors; two neurons have nothing in common.
    assert abs(draws.mean() - 200.0) < 5 * 50.0 / np.sqrt(draws.size)
    assert abs(draws.std() - 50.0) < 5 * 50.0 / np.sqrt(2 * draws.size)
    assert np.abs(np.corrcoef(draws) - np.eye(40)).max() < 5 / np.sqrt(999)


def test_currents_keep_to_start_and_stop(bench: Any) -> None:
    sources = {
        kind: {"kind": kind, "targets": ["cell[0]"], "delay_ms": DELAY_MS, "start_ms": 20.0, "stop_ms": 40.0, **more}
        for kind, more in (
            ("dc", {"amplitude_pA": 7.0}),
            ("ac", {"amplitude_pA": 0.0, "offset_pA": 30.0}),
            ("noise_current", {"mean_pA": 100.0, "std_pA": 0.0}),
        )
    }
    bench.prepare({"sources": sources}, script=CELLS, dt_ms=10.0)
    bench.run(7)
    t_ms, current = received()
    # NEST opens and closes the window of a current a time step early: it is felt from 20 to 40 ms after the delay.
    inside = (t_ms > 20.0 - H_MS / 2) & (t_ms < 40.0 - H_MS / 2)
    np.testing.assert_allclose(current[0], 137.0 * inside, atol=1e-6)


def test_weight_and_receptor_scale_a_current(bench: Any) -> None:
    prepare_current(bench, kind="dc", amplitude_pA=20.0, weight=3.0, receptor="inhibitory")
    bench.run(2)
    t_ms, current = received()
    np.testing.assert_allclose(current, np.stack([-60.0 * (t_ms > H_MS / 2)] * 2), atol=1e-6)


@pytest.mark.parametrize(("rate_hz", "current"), [(5.0, 276.1), (20.0, 1029.2), (100.0, 5127.1), (0.0, 0.0)])
def test_the_current_of_a_rate_has_its_known_values(rate_hz: float, current: float) -> None:
    assert FixedFrequency(targets=()).current(rate_hz) == pytest.approx(current, abs=0.05)


def test_the_current_of_a_rate_follows_its_formula_where_reset_and_rest_are_one() -> None:
    spec = FixedFrequency(targets=(), C_m_pF=250.0, tau_m_ms=30.0, t_ref_ms=1.0, V_th_mV=-40.0)
    expected = 250.0 / 30.0 * 60.0 / (1 - np.exp((1.0 - 25.0) / 30.0))
    assert spec.current(40.0) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("dt_ms", STEPS_MS)
def test_a_regular_train_has_its_rate_from_the_very_next_step_on(dt_ms: float, bench: Any) -> None:
    prepare_spikes(bench, dt_ms, kind="fixed_frequency")
    bench.run(2)
    bench.run(int(400 / dt_ms), drive=[100.0, 333.0])
    for rate_hz, times in zip((100.0, 333.0), relayed(bench), strict=True):
        period = 1000.0 / rate_hz
        first = 2 * dt_ms + period - 0.2
        expected = first + period * np.arange(len(times))
        # A target on the grid has it at the end of the time step.
        assert len(times) >= 0.39 * rate_hz
        assert (times - expected > -1e-6).all()
        assert (times - expected < H_MS + 1e-6).all()


@pytest.mark.parametrize(("reset", "rest"), [(-100.0, -70.0), (-60.0, -90.0)])
def test_a_regular_train_keeps_its_rate_with_other_parameters(reset: float, rest: float, bench: Any) -> None:
    options = {"V_reset_mV": reset, "E_L_mV": rest, "tau_m_ms": 20.0, "t_ref_ms": 1.0, "rate_hz": 70.0}
    prepare_spikes(bench, 20.0, kind="fixed_frequency", **options)
    bench.run(100)
    for times in relayed(bench):
        assert np.diff(times).mean() == pytest.approx(1000.0 / 70.0, abs=2e-3)
        assert np.ptp(np.diff(times)) <= H_MS + 1e-6


def test_a_rate_of_zero_stops_a_regular_train(bench: Any) -> None:
    prepare_spikes(bench, 20.0, kind="fixed_frequency", rate_hz=100.0)
    bench.run(5)
    bench.run(5, drive=[0.0, 0.0])
    assert all(len(times) == 10 and times.max() <= 100.1 for times in relayed(bench))


@pytest.mark.parametrize(("t_ref_ms", "highest"), [(0.2, 500.0), (1.0, 100.0)])
def test_a_period_below_ten_refractory_times_is_refused(t_ref_ms: float, highest: float, bench: Any) -> None:
    prepare_spikes(bench, kind="fixed_frequency", t_ref_ms=t_ref_ms)
    assert bench.port("drive").high == highest
    bench.run(1, drive=[highest, 0.0])
    with pytest.raises(BadExperiment, match=rf"a rate of {highest + 1:g} Hz: expected a number from 0 to {highest:g}"):
        bench.run(1, drive=[highest + 1, 0.0])


@pytest.mark.parametrize("dt_ms", STEPS_MS)
def test_a_spike_is_injected_in_the_time_step_that_holds_its_moment(dt_ms: float, bench: Any) -> None:
    prepare_spikes(bench, dt_ms, kind="spike_injector")
    assert bench.port("drive").resting().tolist() == [-1.0, -1.0]
    bench.run(2)
    now = 2 * dt_ms
    bench.run(1, drive=[now / 1e3, (now + 0.63) / 1e3])
    bench.run(3)
    np.testing.assert_allclose(np.concatenate(relayed(bench)), [now + 0.1, now + 0.7])


def test_a_moment_that_nobody_writes_again_acts_once(bench: Any) -> None:
    prepare_spikes(bench, 5.0, kind="spike_injector")
    bench.run(10, drive=[0.0123, 0.0])
    np.testing.assert_allclose(np.concatenate(relayed(bench)), [12.4, 0.1])


def test_a_list_of_moments_may_have_equal_ones_in_any_order(bench: Any) -> None:
    prepare_spikes(bench, 20.0, kind="spike_injector", times=4)
    assert bench.port("drive").shape == (2, 4)
    bench.run(1)
    bench.run(1, drive=[[0.0391, 0.0205, 0.0205, 0.1], [-1.0, -1.0, 0.0399, -1.0]])
    bench.run(8, drive=[[0.0391, 0.0205, 0.0205, 0.1], [-1.0, 0.051, 0.0399, -1.0]])
    left, right = relayed(bench)
    np.testing.assert_allclose(left, [20.6, 20.6, 39.2, 100.1])
    np.testing.assert_allclose(right, [40.0, 51.1])


def test_a_new_moment_that_has_just_passed_acts_at_once_and_an_older_one_never(bench: Any) -> None:
    prepare_spikes(bench, 10.0, kind="spike_injector")
    bench.run(4)
    bench.run(4, drive=[0.035, 0.025])
    left, right = relayed(bench)
    np.testing.assert_allclose(left, [40.1])
    assert len(right) == 0


def test_a_brain_that_begins_later_keeps_the_time_of_the_run() -> None:
    second_ns = 1_000_000_000
    KernelSetup(resolution_ns=100_000, seed=1, threads=1).apply()
    relays = nest.Create("parrot_neuron", 3)
    found = nest.Create("spike_recorder")
    nest.Connect(relays, found, syn_spec={"delay": DELAY_MS})
    cell = nest.Create("iaf_psc_alpha", 1, {"V_th": np.inf, "E_L": 0.0, "V_m": 0.0, "C_m": 100.0, "tau_m": 8.0})
    scope = nest.Create("multimeter", params={"record_from": ["V_m"], "interval": H_MS})
    nest.Connect(scope, cell, syn_spec={"delay": DELAY_MS})
    window = {"kind": "poisson", "rate_hz": 9000.0}
    sources = {
        "inject": {"kind": "spike_injector", "targets": ["relay[0]"]},
        "late": {**window, "targets": ["relay[1]"], "start_ms": 1005.0, "stop_ms": 1010.0},
        "early": {**window, "targets": ["relay[2]"], "start_ms": 5.0, "stop_ms": 1003.0},
        "sine": {"kind": "ac", "targets": ["cell"], "frequency_hz": 13.7},
    }
    populations = {"relay": Population("relay", np.arange(1, 4)), "cell": Population("cell", np.array([5]))}
    settings = BrainSettings.load({"model": "cbct", "sources": sources})
    devices = Devices.create(settings, populations, seed=1, delay_ms=DELAY_MS, begin_ns=second_ns)
    values = {port.name: np.array(port.resting()) for port in devices.input_ports()} | {"inject": np.array([1.0123])}
    nest.Prepare()
    for step in range(4):
        devices.write(values, second_ns + step * 5_000_000, 5_000_000)
        nest.Run(5.0)
    events = found.get("events")
    inject, late, early = (events["times"][events["senders"] == n] - DELAY_MS for n in (1, 2, 3))
    np.testing.assert_allclose(inject, [12.4])
    assert (late.min(), late.max()) == pytest.approx((5.1, 10.0), abs=0.31)
    assert (early.min(), early.max()) == pytest.approx((0.1, 3.0), abs=0.31)
    t_ms, current = received()
    sine = 1000.0 * np.sin(2 * np.pi * 13.7 * (1000.0 + t_ms) / 1000.0)
    np.testing.assert_allclose(current[0], np.where(t_ms > H_MS / 2, sine, 0.0), atol=1e-6)
