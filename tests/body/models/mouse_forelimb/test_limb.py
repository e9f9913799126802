import numpy as np
import pybullet
import pytest

from reafference.plain import Misfit
from services.body.models.mouse_forelimb.description import load
from services.body.models.mouse_forelimb.limb import Limb
from services.body.models.mouse_forelimb.parameters import Parameters

HINGES = [hinge.name for hinge in load().hinge]
MUSCLES = [muscle.name for muscle in load().muscle]
MS = 1_000_000
ROW_NS = 10 * MS


@pytest.fixture
def make_limb():
    """Limbs that are closed after the test."""
    made = []

    def make(substep_ns=MS, **parameters):
        made.append(Limb(load(), Parameters(**parameters), substep_ns))
        return made[-1]

    yield make
    for limb in made:
        limb.close()


def run(limb, rows, excitation):
    """Move along the rows of a reference run; angle errors (n,), largest grip error, time of the first stop hit."""
    errors, grip_m, hit_s = [], 0.0, np.inf
    substeps = round(ROW_NS / 1e9 / limb.dt_s)
    for row in rows:
        errors.append(max(abs(limb.q[i] - row[f"{name}_rad"]) for i, name in enumerate(HINGES)))
        u = excitation(row["time_s"] + 1e-9)
        for _ in range(substeps):
            limb.advance(u, 1)
            grip_m = max(grip_m, limb.grip_error_m)
            if np.isinf(hit_s) and ((limb.q > limb.law[:, 1]) | (limb.q < limb.law[:, 0])).any():
                hit_s = row["time_s"]
    return np.array(errors), grip_m, hit_s


def test_the_script_without_stops_follows_the_reference(make_limb, reference, script):
    errors, grip_m, _ = run(make_limb(MS // 2, stops=False), reference("limb_script_nostops"), script)
    assert errors.max() < 0.0005
    assert grip_m < 1e-6


def test_the_script_follows_the_reference_at_1_ms_to_its_end(make_limb, reference, script):
    rows = reference("limb_script_experiment")
    errors, grip_m, _ = run(make_limb(MS), rows, script)
    assert rows["time_s"][-1] == 1.5
    assert errors.max() < 0.004
    assert grip_m < 1e-6


def test_the_script_follows_the_reference_at_half_a_millisecond(make_limb, reference, script):
    errors, grip_m, _ = run(make_limb(MS // 2), reference("limb_script_experiment"), script)
    assert errors.max() < 0.002
    assert grip_m < 1e-6


def test_forces_lengths_and_activations_of_the_script_are_those_of_the_reference(make_limb, reference, script):
    limb = make_limb(MS // 2, stops=False)
    for row in reference("limb_script_nostops"):
        for i, name in enumerate(MUSCLES):
            assert limb.muscles.activation[i] == pytest.approx(row[f"{name}_activation"], abs=1e-5)
            assert limb.muscles.force[i] == pytest.approx(row[f"{name}_force_N"], abs=0.005)
            assert limb.muscles.path[i] == pytest.approx(row[f"{name}_length_m"], abs=1e-6)
        for i, name in enumerate(HINGES):
            assert limb.qd[i] == pytest.approx(row[f"{name}_rad_per_s"], abs=0.01)
        tip = [row[f"stick_tip_{axis}_m"] for axis in "xyz"]
        np.testing.assert_allclose(limb.tip, tip, rtol=0, atol=1e-5)
        limb.advance(script(row["time_s"] + 1e-9), 20)


@pytest.mark.parametrize("substep_ns", [MS, MS // 2])
def test_the_passive_limb_follows_the_reference(substep_ns, make_limb, reference):
    limb = make_limb(substep_ns, muscles=False)
    errors, grip_m, _ = run(limb, reference("limb_passive_effort"), lambda t_s: np.zeros(0))
    assert errors.max() < 0.001
    assert grip_m < 1e-6


@pytest.mark.parametrize("name", ["Foot1", "Humerus1", "Humerus3", "Humerus4", "Radius2"])
def test_a_twitch_follows_the_reference_up_to_the_first_stop(name, make_limb, reference):
    def excitation(t_s):
        u = np.full(len(MUSCLES), 0.01)
        u[MUSCLES.index(name)] = 1.0 if 0.05 <= t_s < 0.15 else 0.01
        return u

    limb = make_limb(MS // 2, initial_activation=0.01)
    limb.load(np.zeros(6))
    rows = reference(f"limb_twitch_{name}")
    errors, grip_m, hit_s = run(limb, rows, excitation)
    assert errors[rows["time_s"] <= hit_s].max() < 0.0005
    assert errors.max() < 0.006
    assert grip_m < 1e-6


@pytest.mark.parametrize("variant", ["experiment", "base"])
@pytest.mark.parametrize("stops", [True, False])
def test_the_grip_holds_and_the_stops_stop_whatever_the_muscles_do(variant, stops, make_limb):
    limb = make_limb(MS, variant=variant, stops=stops)
    rng = np.random.default_rng(7)
    grip_m = beyond = 0.0
    for _ in range(60):
        u = np.where(rng.random(8) < 0.4, rng.random(8) ** 0.3, 0.0)
        for _ in range(60):
            limb.advance(u, 1)
            grip_m = max(grip_m, limb.grip_error_m)
            beyond = max(beyond, (limb.q - limb.law[:, 1]).max(), (limb.law[:, 0] - limb.q).max())
    assert grip_m < 1e-6
    assert beyond < 0.015 or not stops


def test_the_variants_differ_in_the_wrist_and_the_stick(make_limb, script):
    experiment, base = make_limb(), make_limb(variant="base")
    np.testing.assert_array_equal(experiment.law[:3], base.law[:3])
    wrist = HINGES.index("wrist")
    np.testing.assert_array_equal(experiment.law[wrist, :2], [-0.2, 0.2])
    np.testing.assert_array_equal(base.law[wrist, :2], [-0.8722, 0.6])
    np.testing.assert_array_equal(experiment.law[4:, 2] / base.law[4:, 2], [100, 100])
    for limb in (experiment, base):
        limb.advance(script(0.6), 200)
    assert np.abs(experiment.q - base.q).max() > 0.01


def mechanical_energy(limb):
    """Kinetic and potential energy in J, from PyBullet's own masses and centres of mass."""
    skeleton, description = limb._skeleton, limb.description
    mass = pybullet.calculateMassMatrix(skeleton._body, limb.q.tolist(), physicsClientId=skeleton._client)
    kinetic = 0.5 * limb.qd @ np.array(mass) @ limb.qd
    links = {link.name: link for link in description.link}
    heights = [
        limb.linkage.position[i, 2] + (limb.linkage.rotation[i] @ links[hinge.child].com_m)[2]
        for i, hinge in enumerate(description.hinge)
    ]
    weights = [9.8 * links[hinge.child].mass_kg for hinge in description.hinge]
    return kinetic + float(np.dot(weights, heights))


def test_energy_goes_only_where_forces_move_something(make_limb, script):
    limb = make_limb(MS // 4, stops=False)
    damping = limb.law[:, 2]
    effort = np.array([hinge.constant_effort for hinge in limb.description.hinge])

    def power():
        lengthening = limb.linkage.slope @ limb.qd
        return effort @ limb.qd - damping @ limb.qd**2 - limb.muscles.force @ lengthening

    start, work, flow, before = mechanical_energy(limb), 0.0, 0.0, power()
    for i in range(1600):
        limb.advance(script(i * limb.dt_s + 1e-9), 1)
        now = power()
        work += 0.5 * (before + now) * limb.dt_s
        flow += 0.5 * abs(before + now) * limb.dt_s
        before = now
    assert flow > 1e-6
    assert mechanical_energy(limb) - start == pytest.approx(work, abs=2e-3 * flow)


def test_it_rests_with_fibres_in_equilibrium_and_the_grip_closed(make_limb):
    limb = make_limb()
    assert not limb.q.any()
    assert not limb.qd.any()
    assert limb.grip_error_m < 1e-9
    before = limb.muscles.force.copy()
    limb.advance(np.full(8, 0.05), 1)
    np.testing.assert_allclose(limb.muscles.force, before, rtol=1e-3)


def test_gravity_bends_a_passive_limb_a_little(make_limb):
    limb = make_limb(muscles=False)
    limb.load(np.zeros(6))
    limb.advance(np.zeros(0), 300)
    assert 1e-6 < np.abs(limb.q).max() < 0.02


def test_too_stiff_stops_are_refused_and_leave_no_world(make_limb):
    with pytest.raises(Misfit, match=r"stop_stiffness: expected at most .* found 100"):
        make_limb(stop_stiffness=100.0)
    make_limb(MS // 10, stop_stiffness=100.0)


def test_too_long_substeps_are_refused():
    with pytest.raises(Misfit, match="substep_ms"):
        Limb(load(), Parameters(stops=False), 20 * MS)


@pytest.mark.parametrize("side", [1, -1])
def test_stops_push_and_never_pull(side, make_limb):
    limb = make_limb(muscles=False)
    yaw, depth_rad = 0, 0.01
    limb.q[yaw] = side * (0.3 + depth_rad)
    against = np.zeros(6)
    against[yaw] = side * depth_rad  # k = 1 N m/rad: just what the stop can hold
    limb.load(against)
    assert limb.torque[yaw] == pytest.approx(0.0, abs=1e-15)
    limb.load(np.zeros(6))
    assert side * limb.torque[yaw] < 0
    limb._skeleton.v[yaw] = -2.0 * side  # it leaves the stop faster than the stop can follow
    limb.load(np.zeros(6))
    assert limb.torque[yaw] == 0.0


def test_without_stops_nothing_pushes(make_limb):
    limb = make_limb(muscles=False, stops=False)
    limb.q[0] = 1.0
    limb.load(np.zeros(6))
    assert not limb.torque.any()
