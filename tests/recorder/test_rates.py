import csv

import numpy as np
import pytest

from reafference.errors import BadExperiment
from services.recorder import rates
from services.recorder.rates import Activity, spectrum_of
from services.recorder.reader import Run
from tests.recorder import tape

STEPS = 40  # 0.8 s
NEURONS = np.arange(500)


def spikes_per_ms(seconds, rhythm_hz=0.0, depth=0.0):
    """Of 500 cells at 5 spikes per second, which a rhythm may modulate."""
    t_s = np.arange(round(1000 * seconds)) / 1000
    mean = 2.5 * (1 + depth * np.cos(2 * np.pi * rhythm_hz * t_s))
    return np.random.default_rng(3).poisson(mean).astype(float)


@pytest.mark.parametrize("rhythm_hz", [24, 40, 60])
def test_a_rhythm_is_found_where_it_is(rhythm_hz):
    found = spectrum_of("x", NEURONS, spikes_per_ms(1.0, rhythm_hz, 0.7))
    assert found.peak_hz == rhythm_hz
    assert found.over_background > 2 * found.by_chance
    assert found.at(rhythm_hz) == found.power.max()
    assert f"at {rhythm_hz} Hz" in found.verdict


def test_independent_spikes_have_the_power_1_and_no_rhythm():
    found = spectrum_of("x", NEURONS, spikes_per_ms(20.0))
    assert np.mean(found.power) == pytest.approx(1.0, rel=0.05)
    assert found.over_background < 1.3 * found.by_chance
    # More segments leave less to chance.
    assert found.by_chance < spectrum_of("x", NEURONS, spikes_per_ms(1.0)).by_chance


def test_a_spectrum_of_too_short_a_time_is_refused():
    with pytest.raises(BadExperiment, match="needs 250 ms after the run has settled, there are 100"):
        spectrum_of("x", NEURONS, spikes_per_ms(0.1))


def test_no_spikes_have_no_power():
    found = spectrum_of("x", NEURONS, np.zeros(1000))
    assert not found.power.any()
    assert found.over_background == 0.0


@pytest.fixture
def run(tmp_path):
    tape.record(tmp_path, STEPS)
    return Run(tmp_path)


def test_rates_count_the_settled_spikes_of_each_population(run):
    found = {rate.population.name: rate for rate in Activity(run, 0.2).rates()}
    assert {name: len(rate.population.neurons) for name, rate in found.items()} == {"M1_L1": 3, "M1_L23": 4}
    spikes = [s.arrays for s in run.samples(["brain/spikes"])]
    sender = np.concatenate([s["sender"] for s in spikes])
    late = np.concatenate([s["time_ns"] for s in spikes]) > 200_000_000
    assert found["M1_L1"].rate_hz == pytest.approx((late & (sender <= 3)).sum() / 3 / 0.6)
    assert found["M1_L23"].rate_hz == pytest.approx((late & np.isin(sender, [4, 7, 8, 9])).sum() / 4 / 0.6)
    assert 0 < found["M1_L1"].rate_hz < Activity(run, 0.0).rates()[0].rate_hz * 2


def test_the_table_has_a_row_for_each_population(run, tmp_path):
    found = Activity(run, 0.0).rates()
    with rates.write(found, tmp_path / rates.FILE).open() as file:
        rows = list(csv.DictReader(file))
    assert [row["population"] for row in rows] == ["M1_L1", "M1_L23"]
    assert [float(row["rate_hz"]) for row in rows] == pytest.approx([rate.rate_hz for rate in found], abs=1e-3)


def test_a_run_that_has_not_settled_is_refused(run):
    with pytest.raises(BadExperiment, match=r"ends at 0\.8 s, .*record\.settled_s = 0\.8\): run more steps"):
        Activity(run, 0.8)


def test_a_group_that_names_nobody_is_refused(run):
    with pytest.raises(BadExperiment, match=r"record\.spectra: no recorded population is called S1_\*"):
        Activity(run, 0.0).spectrum("S1", ["S1_*"])
