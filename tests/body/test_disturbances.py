import numpy as np
import pytest

from reafference.plain import Misfit
from services.body.disturbances import Disturbances, LoadOrder, PushOrder, Reach

REACH = Reach(
    links={"arm": (0.0, 0.1, 0.0), "hand": (0.0, 0.0, 0.0)},
    joints=("stick",),
    most_N=10.0,
    most_Nm=0.5,
    most_m=1.0,
    fixed=("rig",),
    why_not={"elbow": "nothing reaches it"},
)
MS = 1_000_000


@pytest.fixture
def outside():
    return Disturbances(REACH)


def order(**changes):
    return PushOrder(**{"link": "arm", "force_N": (1.0, 0.0, 2.0), "duration_s": 0.005} | changes)


def test_a_push_gives_its_exact_impulse_whatever_the_substep(outside):
    for substep_ns in (MS, 3 * MS, 700_001, 8 * MS):
        outside.push(order(duration_s=0.0045))
        impulse = np.zeros(3)
        while outside.pushing:
            for force in outside.forces(substep_ns):
                impulse += force.force_N * substep_ns / 1e9
        np.testing.assert_allclose(impulse, [0.0045, 0.0, 0.009], rtol=1e-12)


def test_a_push_ends_by_itself_after_its_time(outside):
    assert outside.push(order(duration_s=0.003)) == 3 * MS
    acting = [len(list(outside.forces(MS))) for _ in range(5)]
    assert acting == [1, 1, 1, 0, 0]


def test_pushes_add_up_and_each_ends_for_itself(outside):
    outside.push(order(duration_s=0.001))
    outside.push(order(link="hand", duration_s=0.002))
    assert [[f.link for f in outside.forces(MS)] for _ in range(3)] == [["arm", "hand"], ["hand"], []]


def test_a_push_is_at_the_centre_of_mass_unless_a_point_is_given(outside):
    outside.push(order())
    outside.push(order(at_m=(0.0, 0.0, 0.3)))
    first, second = outside.forces(MS)
    assert first.at_m.tolist() == [0.0, 0.1, 0.0]
    assert second.at_m.tolist() == [0.0, 0.0, 0.3]


def test_a_load_stays_until_it_is_set_again_and_clearing_takes_all_away(outside):
    assert not outside.loading
    outside.load(LoadOrder(torque_Nm={"stick": -0.25}))
    outside.push(order())
    assert outside.facts()["loads"] == {"stick": -0.25}
    assert outside.facts()["pushes"] == [
        {"link": "arm", "force_N": [1.0, 0.0, 2.0], "at_m": [0.0, 0.1, 0.0], "left_s": 0.005}
    ]
    outside.clear()
    assert outside.facts() == {"loads": {"stick": 0.0}, "pushes": []}
    assert not outside.loading
    assert not outside.pushing


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"link": "rig"}, r"link: expected a link that moves \(arm, hand\), found 'rig', which stands fast"),
        ({"link": "harm"}, "did you mean 'arm'"),
        ({"force_N": (9.0, 9.0, 0.0)}, "at most 10 N"),
        ({"force_N": (float("nan"), 0.0, 0.0)}, "at most 10 N"),
        ({"force_N": (float("inf"), 0.0, 0.0)}, "at most 10 N"),
        ({"at_m": (0.0, 2.0, 0.0)}, "at most 1 m"),
        ({"at_m": (float("nan"), 2.0, 0.0)}, "at most 1 m"),
        ({"duration_s": 0.0}, "above 0"),
        ({"duration_s": -1.0}, "above 0"),
        ({"duration_s": float("nan")}, "above 0"),
        ({"duration_s": float("inf")}, "up to 3600 s"),
    ],
)
def test_a_push_that_makes_no_sense_is_refused(outside, changes, words):
    with pytest.raises(Misfit, match=words):
        outside.push(order(**changes))
    assert not outside.pushing


@pytest.mark.parametrize(
    ("torque_Nm", "words"),
    [
        ({"elbow": 0.1}, "nothing reaches it"),
        ({"stck": 0.1}, "did you mean 'stick'"),
        ({"stick": 0.6}, "at most 0.5 N m"),
        ({"stick": float("nan")}, "at most 0.5 N m"),
        ({"stick": 0.1, "elbow": 0.1}, "nothing reaches it"),
    ],
)
def test_a_load_that_makes_no_sense_is_refused(outside, torque_Nm, words):
    with pytest.raises(Misfit, match=words):
        outside.load(LoadOrder(torque_Nm=torque_Nm))
    assert not outside.loading
