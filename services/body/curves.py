"""The four curves of the Millard muscle: built as quintic Bezier corners, evaluated exactly, tabulated.

Shapes and default parameters follow Millard, Uchida, Seth & Delp, "Flexing computational muscle", J. Biomech.
Eng. 135, 021005 (2013), and the theory pages of OpenSim's `SmoothSegmentedFunctionFactory`.
All curves are zero left of their domain; right of it they go on in a straight line.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from reafference.frames import Array

MIN_ACTIVE_LENGTH = 0.4441
"""Normalised fibre length below which a fibre can bear no active force; a fibre is never shorter."""

Knot = tuple[float, float, float]
"""A point of a curve and its slope there: x, y, dy/dx."""


@dataclass(frozen=True)
class Curve:
    """A chain of Bezier corners; `control` has shape (n_corners, 2, 6): the x and y of P0 to P5."""

    control: Array
    end_slope: float

    @property
    def domain(self) -> tuple[float, float]:
        return float(self.control[0, 0, 0]), float(self.control[-1, 0, 5])

    @property
    def end_value(self) -> float:
        return float(self.control[-1, 1, 5])

    def evaluate(self, x: Array) -> tuple[Array, Array]:
        """Value and slope at each of `x`, shape (n,), solved from the Bezier polynomials themselves."""
        x = np.asarray(x, dtype=float)
        left, right = self.domain
        starts = self.control[:, 0, 0]
        corner = np.clip(np.searchsorted(starts, x, side="right") - 1, 0, len(starts) - 1)
        px, py = self.control[corner, 0], self.control[corner, 1]
        t = _solve_parameter(px, np.clip(x, left, right))
        value, slope = _bezier(py, t), _bezier_rate(py, t) / _bezier_rate(px, t)
        value = np.where(x <= left, 0.0, np.where(x >= right, self.end_value + self.end_slope * (x - right), value))
        slope = np.where(x <= left, 0.0, np.where(x >= right, self.end_slope, slope))
        return value, slope


def _bezier(p: Array, t: Array) -> Array:
    """Quintic Bezier polynomials with control values `p` (n, 6) at parameters `t` (n,)."""
    s = 1.0 - t
    first = p[:, 0] * s**5 + 5 * p[:, 1] * s**4 * t + 10 * p[:, 2] * s**3 * t**2
    last = 10 * p[:, 3] * s**2 * t**3 + 5 * p[:, 4] * s * t**4 + p[:, 5] * t**5
    return np.asarray(first + last)


def _bezier_rate(p: Array, t: Array) -> Array:
    """Derivatives by the parameter of the polynomials `p` (n, 6) at `t` (n,)."""
    d = 5 * np.diff(p, axis=1)
    s = 1.0 - t
    first = d[:, 0] * s**4 + 4 * d[:, 1] * s**3 * t + 6 * d[:, 2] * s**2 * t**2
    return np.asarray(first + 4 * d[:, 3] * s * t**3 + d[:, 4] * t**4)


def _solve_parameter(px: Array, x: Array) -> Array:
    """The t in [0, 1] with x(t) = x for each row: Newton's method, kept inside a shrinking bracket."""
    low, high = np.zeros_like(x), np.ones_like(x)
    t: Array = (x - px[:, 0]) / (px[:, 5] - px[:, 0])
    for _ in range(60):
        excess = _bezier(px, t) - x
        low, high = np.where(excess <= 0, t, low), np.where(excess >= 0, t, high)
        newton = t - excess / _bezier_rate(px, t)
        inside = (newton > low) & (newton < high)
        following = np.where(excess == 0, t, np.where(inside, newton, 0.5 * (low + high)))
        if np.max(np.abs(following - t), initial=0.0) < 1e-15:
            break
        t = following
    return t


def _corner(start: Knot, end: Knot, curviness: float) -> Array:
    """Control points (2, 6) of the corner from `start` to `end`; curviness runs from 0 to 1."""
    x0, y0, s0 = start
    x1, y1, s1 = end
    xc = 0.5 * (x0 + x1) if s0 == s1 else (y1 - y0 - x1 * s1 + x0 * s0) / (s0 - s1)
    yc = y1 + s1 * (xc - x1)
    k = 0.1 + 0.8 * curviness
    ax, ay = x0 + k * (xc - x0), y0 + k * (yc - y0)
    bx, by = x1 + k * (xc - x1), y1 + k * (yc - y1)
    return np.array([[x0, ax, ax, bx, bx, x1], [y0, ay, ay, by, by, y1]])


def _chain(knots: Sequence[Knot], curviness: Sequence[float]) -> Curve:
    """The curve through `knots`, one curviness per corner."""
    corners = [_corner(a, b, c) for a, b, c in zip(knots[:-1], knots[1:], curviness, strict=True)]
    return Curve(control=np.array(corners), end_slope=knots[-1][2])


@cache
def active_force_length() -> Curve:
    """Active force over normalised fibre length, in units of the largest isometric force."""
    x0, x1, x2, x3, plateau_slope = MIN_ACTIVE_LENGTH, 0.73, 1.0, 1.8123, 0.8616
    delta = 0.05 * x2
    xs = x2 - delta
    y1 = 1.0 - plateau_slope * (xs - x1)
    rise = 1.25 * y1 / (x1 - x0)
    xd = x2 + delta + 0.5 * (x3 - x2 - delta)
    fall = -1.0 / ((x3 - delta) - (x2 + delta))
    knots = [
        (x0, 0.0, 0.0),
        (0.5 * (x0 + x1), 0.5 * y1, rise),
        (0.5 * (x1 + xs), 0.5 * (1.0 + y1), plateau_slope),
        (x2, 1.0, 0.0),
        (xd, 0.5, fall),
        (x3, 0.0, 0.0),
    ]
    return _chain(knots, [1.0] * 5)


@cache
def force_velocity() -> Curve:
    """Force multiplier over normalised fibre speed; -1 is the fastest shortening."""
    shortening_far, shortening_near = 0.0, 0.25
    lengthening_near, lengthening_far = 0.15, 0.0
    largest, isometric_slope = 1.4, 5.0
    knots = [
        (-1.0, 0.0, shortening_far),
        (-0.9, 0.5 * shortening_near * 0.1, shortening_near),
        (0.0, 1.0, isometric_slope),
        (0.9, largest - 0.5 * lengthening_near * 0.1, lengthening_near),
        (1.0, largest, lengthening_far),
    ]
    return _chain(knots, [0.6, 0.6, 0.9, 0.9])


@cache
def passive_fiber() -> Curve:
    """Passive fibre force over normalised fibre length, in units of the largest isometric force."""
    strain_at_f0, low_slope = 0.7, 0.2
    stiffness = 2.0 / strain_at_f0
    dx = min(0.1 / stiffness, 0.1 * strain_at_f0)
    knots = [
        (1.0, 0.0, 0.0),
        (1.0 + dx, 0.5 * low_slope * dx, low_slope),
        (1.0 + strain_at_f0, 1.0, stiffness),
    ]
    return _chain(knots, [0.75, 0.75])


@cache
def tendon() -> Curve:
    """Tendon force over tendon length in slack lengths, in units of the largest isometric force."""
    strain_at_f0, toe_force = 0.049, 2.0 / 3.0
    stiffness = 1.375 / strain_at_f0
    toe_end = 1.0 + strain_at_f0 + (toe_force - 1.0) / stiffness
    foot = 1.0 + (toe_end - 1.0) / 10.0
    middle_y = 0.5 * toe_force
    middle_x = 1.0 + strain_at_f0 + (middle_y - 1.0) / stiffness
    middle_slope = middle_y / (middle_x - foot)
    joint_x = 0.5 * (foot + middle_x)
    knots = [
        (1.0, 0.0, 0.0),
        (joint_x, middle_slope * (joint_x - foot), middle_slope),
        (toe_end, toe_force, stiffness),
    ]
    return _chain(knots, [0.5, 0.5])


def tabulate(curve: Curve, spacing: float) -> Array:
    """The curve as cubic Hermite polynomials on n equal intervals no wider than `spacing`.

    Shape (2 + n, 4). Row 0: x of the first node, intervals per unit of x, n, 0. Row 1: value and slope at the
    right end, 0, 0. Row 2 + i: c0 to c3 of c0 + c1 u + c2 u^2 + c3 u^3, where u goes from 0 to 1 across interval i.
    """
    left, right = curve.domain
    n = int(np.ceil((right - left) / spacing))
    value, slope = curve.evaluate(np.linspace(left, right, n + 1))
    rate = slope * (right - left) / n
    rise = np.diff(value)
    table = np.zeros((2 + n, 4))
    table[0, :3] = left, n / (right - left), n
    table[1, :2] = curve.end_value, curve.end_slope
    table[2:, 0] = value[:-1]
    table[2:, 1] = rate[:-1]
    table[2:, 2] = 3 * rise - 2 * rate[:-1] - rate[1:]
    table[2:, 3] = rate[:-1] + rate[1:] - 2 * rise
    return table


@cache
def tables() -> Array:
    """All four curves, shape (4, rows, 4): active, velocity, passive, tendon; errors stay below 1e-8.

    Shorter tables are filled up with zeros, which are never read.
    """
    made = [
        tabulate(active_force_length(), 1e-3),
        tabulate(force_velocity(), 1e-3),
        tabulate(passive_fiber(), 1e-3),
        tabulate(tendon(), 1e-4),
    ]
    rows = max(len(table) for table in made)
    return np.array([np.pad(table, ((0, rows - len(table)), (0, 0))) for table in made])
