import numpy as np
import pytest

from services.body.ergometer import pull

DT_S = 1e-4


def force_error(trace, rows, muscle):
    """Largest deviation from the reference in units of F0."""
    return np.abs(trace.force - rows["tendon_force_N"]).max() / muscle.max_isometric_force


@pytest.mark.parametrize("name", ["Humerus1", "Foot1"])
def test_an_excitation_step_follows_the_reference(name, reference, muscles_by_name):
    rows, muscle = reference(f"isometric_excitation_step_{name}"), muscles_by_name[name]
    trace = pull(muscle, rows["time_s"], rows["path_length_m"], excitation=rows["excitation"], dt_s=DT_S)
    assert force_error(trace, rows, muscle) < 0.0005
    np.testing.assert_allclose(trace.activation, rows["activation"], atol=1e-6)
    np.testing.assert_allclose(trace.fiber_length, rows["fiber_length_m"], atol=1e-3 * muscle.optimal_fiber_length_m)


@pytest.mark.parametrize(
    "case", ["Foot2_v0p5_a1p0", "Foot2_v2p0_a1p0", "Humerus1_v0p5_a1p0", "Humerus1_v2p0_a0p3", "Humerus1_v2p0_a1p0"]
)
@pytest.mark.parametrize(("dt_s", "limit"), [(1e-4, 0.001), (1e-3, 0.03)])
def test_an_isokinetic_ramp_follows_the_reference(dt_s, limit, case, reference, muscles_by_name):
    rows, muscle = reference(f"isokinetic_{case}"), muscles_by_name[case.split("_")[0]]
    trace = pull(muscle, rows["time_s"], rows["path_length_m"], activation=rows["activation"], dt_s=dt_s)
    assert force_error(trace, rows, muscle) < limit


@pytest.mark.parametrize(("dt_s", "limit"), [(1e-4, 0.003), (1e-3, 0.08)])
def test_an_activation_step_follows_the_reference(dt_s, limit, reference, muscles_by_name):
    rows, muscle = reference("isometric_activation_step_Humerus1"), muscles_by_name["Humerus1"]
    trace = pull(muscle, rows["time_s"], rows["path_length_m"], activation=rows["activation"], dt_s=dt_s)
    assert force_error(trace, rows, muscle) < limit


def test_single_numbers_stand_for_constant_courses(muscles_by_name):
    muscle = muscles_by_name["Radius1"]
    times = np.linspace(0, 0.1, 11)
    trace = pull(muscle, times, 0.0067, excitation=0.5, dt_s=1e-3, initial_activation=0.05)
    same = pull(muscle, times, np.full(11, 0.0067), excitation=np.full(11, 0.5), dt_s=1e-3, initial_activation=0.05)
    np.testing.assert_array_equal(trace.force, same.force)
    assert trace.activation[0] == 0.05
    assert (np.diff(trace.force) > 0).all()


def test_a_still_muscle_at_its_own_activation_stays_as_it_is(muscles_by_name):
    trace = pull(muscles_by_name["Humerus4"], [0.0, 0.5], 0.0095, excitation=0.3, dt_s=1e-2)
    assert trace.force[1] == pytest.approx(trace.force[0], rel=1e-9)
    assert abs(trace.fiber_velocity[1]) < 1e-9


@pytest.mark.parametrize("both", [{}, {"excitation": 0.1, "activation": 0.1}])
def test_one_of_excitation_and_activation_is_prescribed(both, muscles_by_name):
    with pytest.raises(ValueError, match="either excitation or activation"):
        pull(muscles_by_name["Foot1"], [0.0, 0.1], 0.0052, dt_s=1e-3, **both)
