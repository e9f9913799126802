"""The shipped brain models in their experiments: they run, and show what they do."""

import csv

import pytest
import reaf

RODENT = reaf.EXPERIMENTS / "rodent_brain"
BALANCED = reaf.EXPERIMENTS / "balanced_network"
# A sheet that is built in seconds, its inputs started early, and 0.25 s of rest for the spectra.
QUICK = ("--set", "transient_ms=60", "--set", "settled_s=0.1", "--set", "base_steps=5", "--steps", "18")


def rates_of(folder):
    with (folder / "rates.csv").open() as file:
        return {row["population"]: row for row in csv.DictReader(file)}


@pytest.mark.timeout(600)
def test_the_whole_rodent_brain_moves_a_limb_and_shows_its_resting_state(session, tmp_path):
    session.start("run", RODENT, *reaf.SMALL, *QUICK, "--threads", "1", "--out", "out")
    result = session.finish(540)
    assert result.status == 0, result.said
    assert result.summary["neurons"] == 23_786
    rates = rates_of(result.folder)
    assert len(rates) == 74
    assert {row["region"] for row in rates.values()} == {"S1", "M1", "TH", "CB_S1", "CB_M1", "BG"}
    # Purkinje cells run on a constant current, so they do the same at any size and time.
    assert float(rates["CB_M1_PKJ"]["rate_hz"]) == pytest.approx(33.8, abs=3.0)
    assert sum(float(row["rate_hz"]) > 0.5 for row in rates.values()) > 40
    for name in ("overview.png", "resting_state.png"):
        assert (result.folder / name).read_bytes().startswith(b"\x89PNG")
    assert "mean rates from 0.1 to 0.36 s" in result.said
    assert "S1 layer 5, common rate of" in result.said
    assert result.summary["measures"]["tip_y_mm_at_0.4_s"] is None
    again = reaf.tool(tmp_path, "rates", "out")
    assert again.returncode == 0
    assert "TH_M1_IZ_TC" in again.stdout


def test_the_balanced_network_runs_beside_the_husky(session):
    session.start(
        "run", BALANCED, "--set", "scale=0.2", "--set", "indegree_fraction=0.1", "--steps", "20", "--out", "out"
    )
    result = session.finish()
    assert result.status == 0, result.said
    assert (result.summary["neurons"], result.summary["synapses"]) == (2250, 2_531_250)
    # Nothing links the two: the robot stays where it stands.
    assert abs(result.summary["measures"]["x_m"]) < 1e-3
    for row in rates_of(result.folder).values():
        assert 5 < float(row["rate_hz"]) < 25


def test_a_network_for_no_machine_is_refused_at_once_with_its_numbers(tmp_path):
    result = reaf.run(tmp_path, BALANCED, "--set", "scale=1000", "--set", "indegree_fraction=1")
    assert result.status == 2
    assert "11,250,000 neurons and 126,562.5 M synapses, which need about" in " ".join(result.said.split())


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_a_tenth_of_the_rodent_brain_rests_as_its_readme_says(tmp_path):
    result = reaf.run(tmp_path, RODENT, timeout_s=3500)
    assert result.status == 0, result.said
    assert (result.summary["neurons"], result.summary["synapses"]) == (98_616, pytest.approx(28.85e6, rel=1e-3))
    assert reaf.tool(tmp_path, "figures", "out").returncode == 0
    rates = {name: float(row["rate_hz"]) for name, row in rates_of(result.folder).items()}
    assert all(rate < 100 for rate in rates.values())
    assert 7.8 * 0.5 < rates["BG_FSI"] < 14.0 * 1.5
    assert 0.5 < rates["TH_M1_IZ_TC"] < 10
    assert rates["CB_S1_GR"] == 0.0
