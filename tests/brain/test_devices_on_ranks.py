"""Every device over 1, 2 and 4 ranks: against its formula, and bit for bit against one rank."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reafference.frames import Array
from tests import mpiexec

pytestmark = mpiexec.ranks_wanted()
PROGRAM = Path(__file__).with_name("devices_on_ranks.py")
LIMIT_S = 120
RANKS = (1, 2, 4)

# The constants of the program; it cannot be imported here, for that would start MPI in this process.
H_MS, DT_MS, STEPS, WARM_UP = 0.1, 5.0, 40, 2
TAU_MS, C_PF = 8.0, 100.0
DELAY_MS = 1.0
BEGIN_MS = WARM_UP * DT_MS

Results = dict[str, Array]


def run(ranks: int, out: Path) -> Results:
    """What the program writes; whatever it started is gone afterwards."""
    job = mpiexec.run(ranks, PROGRAM, out, limit_s=LIMIT_S)
    assert job.returncode == 0, job.stdout
    with np.load(out) as file:
        return dict(file)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Results]:
    folder = tmp_path_factory.mktemp("ranks")
    return {ranks: run(ranks, folder / f"{ranks}.npz") for ranks in RANKS}


@pytest.fixture(params=RANKS)
def found(request: pytest.FixtureRequest, results: dict[int, Results]) -> Results:
    chosen: Results = results[request.param]
    assert (chosen["processes"], chosen["virtual_processes"]) == (request.param, 4)
    return chosen


def currents(found: Results) -> tuple[Array, Array]:
    """When the cells were sent currents (ms), and the currents (pA), from their voltages."""
    voltage = found["voltage"]
    decay = np.exp(-H_MS / TAU_MS)
    current = (voltage[:, 1:] - decay * voltage[:, :-1]) / (TAU_MS / C_PF * (1 - decay))
    return found["time_ms"][1:] - DELAY_MS - H_MS, current


def train(found: Results, relay: int) -> Array:
    """Times (ms) at which the source of a relay sent spikes."""
    times = found["spikes.time_ns"][found["spikes.sender"] == found["ids.relay"][relay]]
    return times / 1e6 - DELAY_MS


def exponential(s_ms: Array, tau_syn: float, tau_m: float) -> Array:
    """Response of a leaky integrator to one spike of 1 pA, times C_m."""
    return (np.exp(-s_ms / tau_m) - np.exp(-s_ms / tau_syn)) / (1 / tau_syn - 1 / tau_m)


def alpha(s_ms: Array, tau_syn: float, tau_m: float) -> Array:
    """The same with alpha-shaped synapses."""
    late = s_ms * np.exp(-s_ms / tau_syn)
    return np.e / tau_syn * (exponential(s_ms, tau_syn, tau_m) - late) / (1 / tau_syn - 1 / tau_m)


def filtered(found: Results, ids: Array, weight: float, response: Any, delay_ms: float = DELAY_MS) -> Array:
    """A sink at the ends of the steps, from the recorded spikes of its neurons."""
    ends = DT_MS * np.arange(1, STEPS + 1)
    arrivals = found["spikes.time_ns"][np.isin(found["spikes.sender"], ids)] / 1e6 + delay_ms
    s_ms = np.maximum(ends[:, np.newaxis] - arrivals, 0.0)
    total: Array = weight / 1000.0 * response(s_ms).sum(axis=1)
    return total


@pytest.mark.parametrize("ranks", RANKS[1:])
def test_more_ranks_change_no_bit(ranks: int, results: dict[int, Results]) -> None:
    one, several = results[1], results[ranks]
    assert set(one) == set(several)
    for name in set(one) - {"processes"}:
        np.testing.assert_array_equal(several[name], one[name], err_msg=name)
    net = np.isin(one["spikes.sender"], one["ids.net"])
    assert net.sum() > 500
    assert len(np.unique(one["spikes.sender"][net])) == 60


def test_currents_follow_their_formulas(found: Results) -> None:
    t_ms, current = currents(found)
    on = t_ms > BEGIN_MS + H_MS / 2
    np.testing.assert_allclose(current[0], -70.0 * on, atol=1e-6)
    np.testing.assert_allclose(current[1], 20.0 * on, atol=1e-6)
    sine = 40.0 + 500.0 * np.sin(2 * np.pi * 37.0 * t_ms / 1000.0 + np.deg2rad(25.0))
    np.testing.assert_allclose(current[2], np.where(on, sine, 0.0), atol=1e-6)
    noise = current[3:, 100:]
    assert abs(noise.std() - 300.0) < 5 * 300.0 / np.sqrt(2 * 3 * 190)
    assert np.abs(np.corrcoef(noise) - np.eye(3)).max() < 5 / np.sqrt(190)


def test_spike_trains_follow_their_formulas(found: Results) -> None:
    run_ms = STEPS * DT_MS - BEGIN_MS - DELAY_MS
    driven = [len(train(found, relay)) for relay in range(4)]
    assert abs(sum(driven[:2]) - 2 * 0.4 * run_ms) < 5 * np.sqrt(2 * 0.4 * run_ms)
    assert driven[2:] == [0, 0]
    assert not np.array_equal(train(found, 0), train(found, 1))
    regular = train(found, 4)
    expected = BEGIN_MS - 0.2 + 12.5 * np.arange(1, len(regular) + 1)
    assert len(regular) == 15
    assert ((regular - expected > -1e-6) & (regular - expected < H_MS + 1e-6)).all()
    np.testing.assert_array_equal(train(found, 5), regular)
    np.testing.assert_allclose(train(found, 6), [12.4, 57.8])
    assert len(train(found, 7)) == 0


def test_sinks_follow_their_equations(found: Results) -> None:
    relay, net = found["ids.relay"], found["ids.net"]
    close = {"rtol": 1e-9, "atol": 1e-9}
    for column, ids in enumerate((relay[6:7], net, *(net[k : k + 1] for k in range(5)))):
        expected = filtered(found, ids, 10.0, partial(alpha, tau_syn=2.0, tau_m=10.0))
        np.testing.assert_allclose(found["sinks.alpha"][:, column], expected, **close)
    rate = partial(exponential, tau_syn=10.0, tau_m=20.0)
    for column, ids in enumerate((relay[6:7], net, relay[:4])):
        expected = filtered(found, ids, 5000.0 / len(ids), rate)
        np.testing.assert_allclose(found["sinks.rate"][:, column], expected, **close)
    total = filtered(found, relay[4:6], 5000.0, rate)
    total[-1] = 0.0  # switched off in the last step
    np.testing.assert_allclose(found["sinks.sum"][:, 0], total, **close)


def test_a_drawn_delay_is_within_its_range_and_holds(found: Results) -> None:
    response = partial(exponential, tau_syn=0.5, tau_m=20.0)
    drawn = []
    for column in (0, 1, 4, 5, 6):
        ids = found["ids.relay"][column : column + 1]
        fits = [
            delay_ms
            for delay_ms in np.linspace(1.0, 3.0, 21)
            if np.allclose(found["sinks.exp"][:, column], filtered(found, ids, 10.0, response, delay_ms), atol=1e-9)
        ]
        assert len(fits) == 1
        drawn += fits
    assert len(set(drawn)) > 1


def test_readouts_are_those_of_the_spikes(found: Results) -> None:
    order = np.concatenate([found["ids.relay"], found["ids.net"]])
    step = (found["spikes.time_ns"] - 1) // round(DT_MS * 1e6)
    spiked = found["spiked.raster"].reshape(STEPS, len(order))
    expected = [np.isin(order, found["spikes.sender"][step == number]) for number in range(STEPS)]
    np.testing.assert_array_equal(spiked, expected)
    np.testing.assert_array_equal(
        found["times.raster"], np.column_stack([found["spikes.sender"], found["spikes.time_ns"] / 1e6])
    )
