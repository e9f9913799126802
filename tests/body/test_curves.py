import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.body import curves
from services.body.kernels import ACTIVE, PASSIVE, TENDON, VELOCITY, sample_curve

CURVES = {
    "curve_active_force_length": (curves.active_force_length, ACTIVE),
    "curve_force_velocity": (curves.force_velocity, VELOCITY),
    "curve_passive_fiber": (curves.passive_fiber, PASSIVE),
    "curve_tendon": (curves.tendon, TENDON),
}


def tabulated(place, x):
    x = np.array(x, dtype=float, order="C", ndmin=1)
    value, slope = np.empty_like(x), np.empty_like(x)
    sample_curve(curves.tables()[place], x, value, slope)
    return value, slope


@pytest.fixture(params=CURVES)
def case(request, reference):
    make, place = CURVES[request.param]
    table = reference(request.param)
    return make(), place, *(table[name].copy() for name in table.dtype.names[:3])


def test_the_exact_curves_are_those_of_the_reference(case):
    curve, _, x, value, slope = case
    found_value, found_slope = curve.evaluate(x)
    np.testing.assert_allclose(found_value, value, rtol=0, atol=1e-8)
    np.testing.assert_allclose(found_slope, slope, rtol=0, atol=1e-7)


def test_the_tabulated_curves_are_those_of_the_reference(case):
    _, place, x, value, slope = case
    found_value, found_slope = tabulated(place, x)
    np.testing.assert_allclose(found_value, value, rtol=0, atol=1e-7)
    np.testing.assert_allclose(found_slope, slope, rtol=0, atol=1e-5 * np.abs(slope).max())


@pytest.mark.parametrize("name", CURVES)
@given(share=st.floats(-0.2, 1.2))
def test_between_its_nodes_a_table_stays_within_1e_7_of_the_curve(name, share):
    make, place = CURVES[name]
    curve = make()
    left, right = curve.domain
    x = np.array([left + share * (right - left)])
    exact_value, exact_slope = curve.evaluate(x)
    value, slope = tabulated(place, x)
    assert abs(value - exact_value) < 1e-7
    assert abs(slope - exact_slope) < 1e-5 * max(1.0, curve.end_slope, 5.0) * 2


@pytest.mark.parametrize("name", CURVES)
def test_a_table_joins_its_straight_end_without_a_jump(name):
    make, place = CURVES[name]
    curve = make()
    end = curve.domain[1]
    below, at, above = tabulated(place, [end - 1e-9, end, end + 1e-9])[0]
    assert at == pytest.approx(curve.end_value, abs=1e-12)
    assert abs(above - below) < 1e-7


def test_well_known_points_of_the_curves():
    assert tabulated(ACTIVE, 1.0)[0][0] == pytest.approx(1.0, abs=1e-8)
    assert tabulated(VELOCITY, 0.0)[0][0] == pytest.approx(1.0, abs=1e-8)
    assert tabulated(VELOCITY, [-1.0, 1.0])[0] == pytest.approx([0.0, 1.4], abs=1e-8)
    assert tabulated(PASSIVE, [1.0, 1.7])[0] == pytest.approx([0.0, 1.0], abs=1e-8)
    assert tabulated(TENDON, [1.0, 1.049])[0] == pytest.approx([0.0, 1.0], abs=1e-8)


@pytest.mark.parametrize("place", [VELOCITY, PASSIVE, TENDON])
@given(x=st.floats(-2, 3), dx=st.floats(1e-6, 1.0))
def test_force_never_falls_with_speed_or_strain(place, x, dx):
    low, high = tabulated(place, [x, x + dx])[0]
    assert high >= low - 1e-10
    assert low >= 0
