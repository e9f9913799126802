import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.body.linkage import WORLD, Hinge, Linkage, Point
from services.body.models.mouse_forelimb.description import load
from services.body.rotation import matrix_from_quaternion


@pytest.fixture(scope="module")
def forelimb():
    description = load()
    paths = [[description.point(p.link, p.at_m) for p in muscle.path] for muscle in description.muscle]
    return Linkage(description.hinges(), paths)


def test_paths_and_moment_arms_are_those_of_the_reference(forelimb, reference):
    names = [muscle.name for muscle in load().muscle]
    arms = ("shoulder_yaw", "shoulder_pitch", "elbow", "wrist")
    for row in reference("geometry_moment_arms"):
        forelimb.place([*(row[f"{name}_rad"] for name in arms), 0.0, 0.0])
        muscle = names.index(row["muscle"])
        assert forelimb.path[muscle] == pytest.approx(row["path_length_m"], abs=1e-9)
        expected = [row[f"moment_arm_{name}_m"] for name in arms]
        np.testing.assert_allclose(-forelimb.slope[muscle, :4], expected, rtol=0, atol=1e-8)


def test_no_muscle_of_the_arm_reaches_the_stick(forelimb):
    forelimb.place([0.1, -0.2, 0.3, -0.1, 0.2, -0.2])
    assert not forelimb.slope[:, 4:].any()


def test_links_stand_at_their_published_rest_poses(forelimb):
    forelimb.place(np.zeros(6))
    children = [hinge.child for hinge in load().hinge]
    at = dict(zip(children, forelimb.position, strict=True))
    np.testing.assert_allclose(at["humerus"], [0.01021, -0.0690000012, 0.0239999967], atol=1e-8)
    np.testing.assert_allclose(at["foot"], [0.0116359767, -0.0753099373, 0.00971906947], atol=1e-8)
    np.testing.assert_allclose(at["stick"], [0.0114080527, -0.0802405186, 0.00886618191], atol=1e-8)
    foot = matrix_from_quaternion((0.4699290088, 0.5073617987, -0.4721216979, -0.5466734256))
    np.testing.assert_allclose(forelimb.rotation[children.index("foot")], foot, atol=1e-8)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_slopes_are_the_derivatives_of_lengths_in_any_tree(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 6))
    hinges = []
    for number in range(n):
        axis = rng.normal(size=3)
        hinges.append(
            Hinge(
                parent=int(rng.integers(WORLD, number)),
                anchor=rng.normal(size=3),
                turn=matrix_from_quaternion(rng.normal(size=4)),
                axis=axis / np.linalg.norm(axis),
                offset=rng.normal(size=3),
            )
        )
    paths = [
        [Point(int(rng.integers(WORLD, n)), rng.normal(size=3)) for _ in range(int(rng.integers(2, 6)))]
        for _ in range(2)
    ]
    linkage = Linkage(hinges, paths)
    q, h = rng.uniform(-2, 2, n), 1e-5
    difference = np.zeros((2, n))
    for j in range(n):
        for sign in (1, -1):
            moved = q.copy()
            moved[j] += sign * h
            linkage.place(moved)
            difference[:, j] += sign * linkage.path / (2 * h)
    linkage.place(q)
    np.testing.assert_allclose(linkage.slope, difference, atol=1e-6)


def test_the_torques_of_a_force_do_the_work_of_the_force(forelimb):
    rng, h = np.random.default_rng(5), 1e-6
    children = [hinge.child for hinge in load().hinge]
    for link in range(len(children)):
        q, at, force = rng.uniform(-0.2, 0.2, 6), rng.normal(scale=0.01, size=3), rng.normal(size=3)

        def point(angles, link=link, at=at):
            forelimb.place(angles)
            return forelimb.position[link] + forelimb.rotation[link] @ at

        work = [force @ (point(q + h * e) - point(q - h * e)) / (2 * h) for e in np.eye(6)]
        forelimb.place(q)
        np.testing.assert_allclose(forelimb.torques(link, at, force), work, atol=1e-9)


def test_a_pendulum_hangs_where_trigonometry_says():
    arm = Hinge(WORLD, np.zeros(3), np.eye(3), np.array([0.0, 0.0, 1.0]), np.zeros(3))
    linkage = Linkage([arm], [[Point(WORLD, np.array([3.0, 0.0, 0.0])), Point(0, np.array([1.0, 0.0, 0.0]))]])
    linkage.place([np.pi / 2])
    np.testing.assert_allclose(linkage.points[1], [0, 1, 0], atol=1e-15)
    assert linkage.path[0] == pytest.approx(np.sqrt(10))
    assert linkage.slope[0, 0] == pytest.approx(3 / np.sqrt(10))


def test_a_parent_must_come_before_its_child():
    z = np.array([0.0, 0.0, 1.0])
    hinges = [Hinge(1, z, np.eye(3), z, z), Hinge(WORLD, z, np.eye(3), z, z)]
    with pytest.raises(ValueError, match="parent"):
        Linkage(hinges, [])
