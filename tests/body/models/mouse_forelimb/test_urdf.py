import numpy as np
import pybullet
import pytest

from services.body.models.mouse_forelimb.description import load
from services.body.models.mouse_forelimb.limb import Limb
from services.body.models.mouse_forelimb.parameters import Parameters


@pytest.fixture
def limb():
    made = Limb(load(), Parameters(), 1_000_000)
    yield made
    made.close()


def test_pybullet_places_the_hinges_where_our_kinematics_do(limb):
    skeleton = limb._skeleton
    rng = np.random.default_rng(3)
    for _ in range(20):
        limb.advance(rng.random(8), 10)
        for i, number in enumerate(skeleton._hinges):
            state = pybullet.getLinkState(
                skeleton._body, number, computeForwardKinematics=True, physicsClientId=skeleton._client
            )
            np.testing.assert_allclose(state[4], limb.linkage.anchor[i], rtol=0, atol=2e-8)


def test_pybullet_has_the_masses_and_inertias_of_the_description(limb):
    skeleton = limb._skeleton
    links = {link.name: link for link in load().link}
    for hinge, number in zip(load().hinge, skeleton._hinges, strict=True):
        link = links[hinge.child]
        info = pybullet.getDynamicsInfo(skeleton._body, number, physicsClientId=skeleton._client)
        xx, yy, zz, xy, xz, yz = link.inertia_kgm2
        principal = np.linalg.eigvalsh([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
        assert info[0] == pytest.approx(link.mass_kg, rel=1e-6)
        np.testing.assert_allclose(np.sort(info[2]), principal, rtol=1e-4)
