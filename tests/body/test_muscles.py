import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reafference.plain import Misfit
from services.body import curves
from services.body.muscles import MAX_PENNATION_RAD, MuscleParameters, Muscles

activations = st.floats(0.01, 1.0)
steps_s = st.sampled_from([1e-5, 1e-4, 1e-3, 5e-3, 2e-2])


@st.composite
def parameters(draw, pennate=True):
    """Muscles unlike those of the forelimb, from a mouse's to a human's."""
    l_opt = draw(st.floats(2e-3, 0.3))
    return MuscleParameters(
        name="any",
        max_isometric_force=draw(st.floats(0.1, 5000)),
        optimal_fiber_length_m=l_opt,
        tendon_slack_length_m=l_opt * draw(st.floats(0.1, 5)),
        pennation_rad=draw(st.floats(0, 0.7)) if pennate else 0.0,
        fiber_damping=draw(st.floats(0.01, 0.5)),
        max_contraction_velocity=draw(st.floats(4, 15)),
    )


def path_at(muscle, stretch):
    """A path length: slack tendon plus a fibre of `stretch` optimal lengths."""
    return muscle.tendon_slack_length_m + stretch * muscle.optimal_fiber_length_m


def forces(muscle, activation, fiber_m, path_m, speed=0.0):
    """Fibre force along the tendon and tendon force in N, from the exact curves and the textbook formula."""

    def at(curve, x):
        return float(curve.evaluate(np.array([x]))[0][0])

    sine = muscle.optimal_fiber_length_m * math.sin(muscle.pennation_rad) / fiber_m
    cosine = math.sqrt(1 - sine**2)
    stretch = fiber_m / muscle.optimal_fiber_length_m
    active = at(curves.active_force_length(), stretch) * at(curves.force_velocity(), speed)
    passive = at(curves.passive_fiber(), stretch)
    fiber = (activation * active + passive + muscle.fiber_damping * speed) * cosine
    tendon = at(curves.tendon(), (path_m - fiber_m * cosine) / muscle.tendon_slack_length_m)
    return fiber * muscle.max_isometric_force, tendon * muscle.max_isometric_force


# --- against the reference ---------------------------------------------------------------------------


def test_static_forces_are_those_of_the_reference(reference, muscles_by_name):
    rows = reference("static_equilibrium")
    assert len(rows) == 616
    muscles = Muscles([muscles_by_name[name] for name in rows["muscle"]])
    muscles.settle(rows["path_length_m"], rows["activation"])
    largest = np.array([m.max_isometric_force for m in muscles.muscles])
    optimal = np.array([m.optimal_fiber_length_m for m in muscles.muscles])
    np.testing.assert_array_less(np.abs(muscles.force - rows["tendon_force_N"]) / largest, 1e-7)
    np.testing.assert_array_less(np.abs(muscles.fiber_length - rows["fiber_length_m"]) / optimal, 1e-6)


def test_the_error_of_a_step_falls_with_the_square_of_the_step(muscles_by_name):
    muscle = muscles_by_name["Humerus1"]
    found = {}
    for substeps in (20, 40, 80, 1280):
        muscles = Muscles([muscle])
        muscles.settle(path_at(muscle, 1.0), 0.5)
        for i in range(substeps):
            share = (i + 1) / substeps
            muscles.advance(path_at(muscle, 1.0 + 0.1 * math.sin(2 * share)), 0.2, 0.02 / substeps)
        found[substeps] = muscles.force[0]
    errors = [abs(found[n] - found[1280]) for n in (20, 40, 80)]
    assert 3.0 < errors[0] / errors[1] < 5.0
    assert 3.0 < errors[1] / errors[2] < 5.0


# --- properties --------------------------------------------------------------------------------------


@given(muscle=parameters(), stretch=st.floats(0.5, 1.6), activation=activations)
def test_at_rest_fibre_and_tendon_pull_alike(muscle, stretch, activation):
    muscles = Muscles([muscle])
    path = path_at(muscle, stretch)
    muscles.settle(path, activation)
    fiber, tendon = forces(muscle, activation, muscles.fiber_length[0], path)
    held = muscles.fiber_length[0] <= muscle.min_fiber_length_m * (1 + 1e-9)
    if not held:
        assert abs(fiber - tendon) < 1e-6 * muscle.max_isometric_force
        assert muscles.force[0] == pytest.approx(tendon, abs=1e-6 * muscle.max_isometric_force)


@given(muscle=parameters(), stretch=st.floats(0.6, 1.5), activation=activations)
def test_more_activation_never_pulls_less(muscle, stretch, activation):
    muscles = Muscles([muscle, muscle])
    muscles.settle(path_at(muscle, stretch), [activation, min(1.0, activation + 0.1)])
    assert muscles.force[1] >= muscles.force[0] - 1e-9 * muscle.max_isometric_force


@given(
    muscle=parameters(),
    stretch=st.floats(0.6, 1.4),
    activation=activations,
    rate=st.floats(-3, 3),
    dt_s=st.sampled_from([1e-5, 1e-4]),
)
def test_in_motion_fibre_and_tendon_pull_alike(muscle, stretch, activation, rate, dt_s):
    muscles = Muscles([muscle])
    path = path_at(muscle, stretch)
    muscles.settle(path, activation)
    for i in range(20):
        path = path_at(muscle, stretch + rate * dt_s * (i + 1))
        muscles.advance_activated(path, activation, dt_s)
    if muscles.fiber_length[0] > muscle.min_fiber_length_m * (1 + 1e-9):
        fiber, tendon = forces(muscle, activation, muscles.fiber_length[0], path, muscles.fiber_speed[0])
        assert abs(fiber - tendon) < 1e-6 * muscle.max_isometric_force
        assert muscles.force[0] == pytest.approx(tendon, abs=1e-6 * muscle.max_isometric_force)


@settings(deadline=None)
@given(
    muscle=parameters(),
    dt_s=steps_s,
    course=st.lists(st.tuples(st.floats(-0.5, 3.0), st.floats(0, 1)), min_size=1, max_size=30),
)
def test_whatever_happens_the_state_stays_in_bounds(muscle, dt_s, course):
    muscles = Muscles([muscle])
    muscles.settle(path_at(muscle, 1.0), 0.05)
    for stretch, excitation in course:
        muscles.advance(path_at(muscle, stretch), excitation, dt_s)
        assert np.isfinite([muscles.force[0], muscles.fiber_length[0], muscles.fiber_speed[0]]).all()
        assert muscles.force[0] >= 0
        assert 0.01 <= muscles.activation[0] <= 1
        assert muscles.fiber_length[0] >= muscle.min_fiber_length_m
        assert muscles.pennation[0] <= MAX_PENNATION_RAD + 1e-9


@given(muscle=parameters(), activation=activations)
def test_a_slack_muscle_does_not_pull(muscle, activation):
    muscles = Muscles([muscle])
    muscles.settle(0.9 * muscle.tendon_slack_length_m, activation)
    assert muscles.force[0] == 0
    assert muscles.fiber_length[0] == pytest.approx(muscle.min_fiber_length_m)
    muscles.advance_activated(0.9 * muscle.tendon_slack_length_m, activation, 1e-3)
    assert muscles.force[0] == 0


@settings(deadline=None, max_examples=30)
@given(muscle=parameters(), start=st.floats(0.7, 1.3), end=st.floats(0.7, 1.3), activation=st.floats(0.3, 1.0))
def test_a_held_muscle_comes_to_its_static_equilibrium(muscle, start, end, activation):
    moved, settled = Muscles([muscle]), Muscles([muscle])
    moved.settle(path_at(muscle, start), activation)
    for _ in range(1000):
        moved.advance_activated(path_at(muscle, end), activation, 1e-2)
    settled.settle(path_at(muscle, end), activation)
    assert moved.force[0] == pytest.approx(settled.force[0], abs=1e-4 * muscle.max_isometric_force)


@settings(deadline=None, max_examples=30)
@given(muscle=parameters(), activation=activations, amplitude=st.floats(0.02, 0.2), hz=st.floats(1, 20))
def test_a_muscle_at_constant_activation_gives_no_work_over_a_cycle(muscle, activation, amplitude, hz):
    muscles = Muscles([muscle])
    n = 400
    dt_s = 1 / hz / n
    swing = [path_at(muscle, 1.05 + amplitude * math.sin(2 * math.pi * i / n)) for i in range(n + 1)]
    muscles.settle(swing[0], activation)
    for path in swing[1:]:  # the first round forgets the start
        muscles.advance_activated(path, activation, dt_s)
    work, force = 0.0, muscles.force[0]
    for before, path in itertools.pairwise(swing):
        muscles.advance_activated(path, activation, dt_s)
        work += 0.5 * (force + muscles.force[0]) * (path - before)
        force = muscles.force[0]
    assert work > -1e-6 * muscle.max_isometric_force * muscle.optimal_fiber_length_m


def test_a_faster_shortening_muscle_pulls_less(muscles_by_name):
    muscle = muscles_by_name["Humerus1"]
    forces_n = []
    for rate in (-4.0, -2.0, -1.0, 0.0, 1.0, 2.0):
        muscles = Muscles([muscle])
        muscles.settle(path_at(muscle, 1.1), 1.0)
        for i in range(200):
            muscles.advance_activated(path_at(muscle, 1.1 + rate * 1e-4 * (i + 1)), 1.0, 1e-4)
        forces_n.append(muscles.force[0])
    assert forces_n == sorted(forces_n)


def test_a_pennate_muscle_pulls_with_the_cosine_of_its_angle():
    straight = MuscleParameters(
        name="straight", max_isometric_force=100, optimal_fiber_length_m=0.05, tendon_slack_length_m=0.2
    )
    pennate = MuscleParameters(
        name="pennate",
        max_isometric_force=100,
        optimal_fiber_length_m=0.05,
        tendon_slack_length_m=0.2,
        pennation_rad=0.5,
    )
    muscles = Muscles([straight, pennate])
    # Both fibres near their optimal length; the pennate one lies along the tendon with the cosine of that only.
    muscles.settle([0.2 * 1.049 + 0.05, 0.2 * 1.045 + 0.05 * math.cos(0.5)], 1.0)
    angle = muscles.pennation[1]
    assert muscles.pennation[0] == 0
    assert angle == pytest.approx(0.5, abs=0.02)
    assert muscles.force[0] == pytest.approx(100, rel=1e-4)
    assert muscles.force[1] == pytest.approx(100 * math.cos(angle), rel=2e-3)


def test_activation_rises_and_falls_with_its_time_constants(muscles_by_name):
    muscle = muscles_by_name["Radius1"]
    # The two rates have closed solutions: t(a) from separating variables, for constant excitation u.
    up, down = Muscles([muscle]), Muscles([muscle])
    up.settle(0.0067, 0.01)
    down.settle(0.0067, 1.0)
    for _ in range(15):
        up.advance(0.0067, 1.0, 1e-3)
        down.advance(0.0067, 0.01, 1e-3)
    a = up.activation[0]
    rise_s = 0.010 * (-(0.5 + 1.5) * math.log((1 - a) / (1 - 0.01)) - 1.5 * (a - 0.01))
    assert rise_s == pytest.approx(0.015, rel=2e-5)
    a, u = down.activation[0], 0.01
    c = 0.5 + 1.5 * u
    fall_s = 0.040 / c * math.log((1 - u) / (0.5 + 1.5) * (0.5 + 1.5 * a) / (a - u))
    assert fall_s == pytest.approx(0.015, rel=1e-5)


@given(start=activations, excitation=st.floats(0, 1), dt_s=steps_s)
def test_activation_goes_towards_excitation_and_not_beyond(start, excitation, dt_s):
    muscle = MuscleParameters(
        name="any", max_isometric_force=1, optimal_fiber_length_m=0.01, tendon_slack_length_m=0.01
    )
    muscles = Muscles([muscle])
    muscles.settle(0.02, start)
    muscles.advance(0.02, excitation, dt_s)
    target = max(excitation, 0.01)
    low, high = sorted([start, target])
    assert low - 1e-12 <= muscles.activation[0] <= high + 1e-12


def test_muscles_do_not_disturb_each_other(muscles_by_name):
    together = Muscles(list(muscles_by_name.values()))
    paths = np.array([path_at(m, 1.1) for m in together.muscles])
    together.settle(paths, 0.2)
    together.advance(0.99 * paths, 0.9, 1e-3)
    for i, muscle in enumerate(together.muscles):
        alone = Muscles([muscle])
        alone.settle(paths[i], 0.2)
        alone.advance(0.99 * paths[i], 0.9, 1e-3)
        assert alone.force[0] == together.force[i]
        assert alone.fiber_length[0] == together.fiber_length[i]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("max_isometric_force", 0.0),
        ("optimal_fiber_length_m", -1.0),
        ("tendon_slack_length_m", math.nan),
        ("pennation_rad", 1.5),
        ("min_activation", 1.0),
    ],
)
def test_impossible_muscles_are_refused_by_name_of_the_key(key, value):
    good = {"max_isometric_force": 1.0, "optimal_fiber_length_m": 0.01, "tendon_slack_length_m": 0.01}
    with pytest.raises(Misfit, match=key):
        MuscleParameters(name="bad", **{**good, key: value})


def test_time_does_not_stand_still_or_run_backwards(muscles_by_name):
    muscles = Muscles([muscles_by_name["Foot1"]])
    muscles.settle(0.0052, 0.05)
    with pytest.raises(ValueError, match="forward"):
        muscles.advance(0.0052, 0.5, 0.0)
