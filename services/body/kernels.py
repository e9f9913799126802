"""Everything of the body that is compiled: muscle dynamics, hinge kinematics, muscle paths, joint torques.

All of it is in one file because numba's cache on disk notices changes only in the file of the function that it
stores, not in the functions which that one calls. No kernel allocates; each writes into arrays it is given.
Floating-point arithmetic is strict (no `fastmath`), so equal inputs give equal bits in every process.
"""

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numba

from reafference.frames import Array

F = TypeVar("F", bound=Callable[..., Any])

# Columns of the muscle parameter array.
F0, L_OPT, L_SLACK, WIDTH, L_MIN, V_MAX, DAMPING, TAU_ACT, TAU_DEACT, A_MIN = range(10)
N_PARAMETERS = 10

# Alexander's two-stage, stiffly accurate, L-stable Runge-Kutta method of order 2.
_GAMMA = 1.0 - math.sqrt(0.5)
_TOLERANCE = 1e-12
_MAX_ITERATIONS = 100
_ACTIVATION_STEP_S = 5e-4


_KINDS = {
    "f": "float64",
    "i": "int64[::1]",
    "v": "float64[::1]",
    "m": "float64[:,::1]",
    "c": "float64[:,:,::1]",
}


def compiled(arguments: str = "") -> Callable[[F], F]:
    """Compile in numba's nopython mode, and keep the result on disk where some folder can be written.

    `arguments` has one letter per argument of a kernel that returns nothing: f for a float, i for integers, v, m
    and c for float arrays of one, two and three dimensions. Without it, the first caller decides.
    """
    compilation: Any = numba.njit
    signature = (f"void({', '.join(_KINDS[letter] for letter in arguments)})",) if arguments else ()

    def decorate(function: F) -> F:
        try:
            made: F = compilation(*signature, cache=True)(function)
        except RuntimeError as problem:
            if "no locator available" not in str(problem):
                raise
            made = compilation(*signature)(function)
        return made

    return decorate


# --- curves ------------------------------------------------------------------------------------------

# Places of the curves in the array of tables.
ACTIVE, VELOCITY, PASSIVE, TENDON = range(4)


@compiled()
def _curve(table: Array, x: float) -> tuple[float, float]:
    """Value and slope at `x` of one curve of `curves.tables`."""
    u = (x - table[0, 0]) * table[0, 1]
    n = table[0, 2]
    if u <= 0.0:
        return 0.0, 0.0
    if u >= n:
        return table[1, 0] + table[1, 1] * (u - n) / table[0, 1], table[1, 1]
    i = int(u)
    u -= i
    c0, c1, c2, c3 = table[i + 2, 0], table[i + 2, 1], table[i + 2, 2], table[i + 2, 3]
    # Close to a foot of a curve rounding may leave a trace below zero; no curve goes there.
    return max(c0 + u * (c1 + u * (c2 + u * c3)), 0.0), (c1 + u * (2.0 * c2 + u * 3.0 * c3)) * table[0, 1]


@compiled("mvvv")
def sample_curve(table: Array, x: Array, value: Array, slope: Array) -> None:
    """Write value and slope at each of `x` (n,) of one tabulated curve."""
    for i in range(x.shape[0]):
        value[i], slope[i] = _curve(table, x[i])


# --- muscles -----------------------------------------------------------------------------------------


@compiled()
def _activation_rate(p: Array, excitation: float, activation: float) -> float:
    half = 0.5 + 1.5 * activation
    if excitation > activation:
        return float((excitation - activation) / (p[TAU_ACT] * half))
    return float((excitation - activation) * half / p[TAU_DEACT])


@compiled("mvfv")
def advance_activation(parameters: Array, excitation: Array, dt: float, activation: Array) -> None:
    """Move activations (n,) by `dt` seconds under constant excitation (n,); Millard 2013, section 5.1.

    Classic Runge-Kutta steps of at most 0.5 ms, against time constants of 5 ms and more.
    """
    n = math.ceil(dt / _ACTIVATION_STEP_S - 1e-9)
    h = dt / max(n, 1)
    for i in range(activation.shape[0]):
        p = parameters[i]
        u = min(max(excitation[i], p[A_MIN]), 1.0)
        a = activation[i]
        for _ in range(n):
            k1 = _activation_rate(p, u, a)
            k2 = _activation_rate(p, u, a + 0.5 * h * k1)
            k3 = _activation_rate(p, u, a + 0.5 * h * k2)
            k4 = _activation_rate(p, u, a + h * k3)
            a += h * (k1 + 2.0 * k2 + 2.0 * k3 + k4) / 6.0
        activation[i] = min(max(a, p[A_MIN]), 1.0)


@compiled()
def _imbalance(
    p: Array, curves: Array, a: float, path: float, length: float, v: float, h: float
) -> tuple[float, float, float]:
    """Fibre force along the tendon minus tendon force, its derivative by v, and tendon force, all in F0.

    `length` is the fibre length reached after `h` seconds at the normalised speed `v`.
    """
    l_opt, width = p[L_OPT], p[WIDTH]
    along = math.sqrt(length * length - width * width)
    cosine = along / length
    fl, fl_slope = _curve(curves[ACTIVE], length / l_opt)
    fv, fv_slope = _curve(curves[VELOCITY], v)
    fp, fp_slope = _curve(curves[PASSIVE], length / l_opt)
    ft, ft_slope = _curve(curves[TENDON], (path - along) / p[L_SLACK])
    fiber = a * fl * fv + fp + p[DAMPING] * v
    by_length = (a * fl_slope * fv + fp_slope) / l_opt * cosine
    by_length += fiber * width * width / (along * length * length) + ft_slope / (p[L_SLACK] * cosine)
    by_speed = (a * fl * fv_slope + p[DAMPING]) * cosine
    return fiber * cosine - ft, by_speed + by_length * h * p[V_MAX] * l_opt, ft


@compiled()
def _implicit_speed(
    p: Array, curves: Array, a: float, path: float, start: float, h: float, guess: float
) -> tuple[float, float, float]:
    """Normalised fibre speed v that balances forces at the length `start` + `h` v_max l_opt v.

    Returns v, that length and the tendon force in F0. Newton's method inside a bracket: at the low end the
    fibre has its lowest length, at the high end the tendon is slack (or the fibre rests), so that the
    imbalance is not positive at one and not negative at the other.
    """
    scale = h * p[V_MAX] * p[L_OPT]
    low = (p[L_MIN] - start) / scale
    at_low, _, ft = _imbalance(p, curves, a, path, p[L_MIN], low, h)
    if at_low >= 0.0:
        # Held at its lowest length; a fibre that would shorten further bears no force.
        return low, p[L_MIN], ft if low > 0.0 else 0.0
    loose = max(path - p[L_SLACK], 0.0)
    high = max((math.sqrt(loose * loose + p[WIDTH] * p[WIDTH]) - start) / scale, 0.0, low)
    v = guess if low < guess < high else 0.5 * (low + high)
    for _ in range(_MAX_ITERATIONS):
        length = max(start + scale * v, p[L_MIN])
        off, slope, ft = _imbalance(p, curves, a, path, length, v, h)
        if off < 0.0:
            low = v
        else:
            high = v
        if abs(off) < _TOLERANCE:
            break
        following = v - off / slope
        if not low < following < high:
            following = 0.5 * (low + high)
            if following in (low, high):
                break
        v = following
    return v, max(start + scale * v, p[L_MIN]), ft


@compiled("mcvvvvfvvv")
def advance_fibers(
    parameters: Array,
    curves: Array,
    a_from: Array,
    a_to: Array,
    path_from: Array,
    path_to: Array,
    dt: float,
    length: Array,
    speed: Array,
    force: Array,
) -> None:
    """Move fibre lengths (n,) by `dt` seconds while activation and path length go linearly from..to.

    `speed` (normalised, n) is the first guess of the solver and becomes the new speed; `force` (n,) in N.
    """
    for i in range(length.shape[0]):
        p = parameters[i]
        unit = p[V_MAX] * p[L_OPT]
        a = a_from[i] + _GAMMA * (a_to[i] - a_from[i])
        path = path_from[i] + _GAMMA * (path_to[i] - path_from[i])
        v, _, _ = _implicit_speed(p, curves, a, path, length[i], _GAMMA * dt, speed[i])
        start = length[i] + (1.0 - _GAMMA) * dt * unit * v
        v, length[i], tension = _implicit_speed(p, curves, a_to[i], path_to[i], start, _GAMMA * dt, v)
        speed[i] = v
        force[i] = p[F0] * tension


@compiled("mcvvvv")
def equilibrate(parameters: Array, curves: Array, activation: Array, path: Array, length: Array, force: Array) -> None:
    """Fibre lengths (n,) and forces (n,) at which every muscle rests; v = 0, found by bisection."""
    for i in range(length.shape[0]):
        p = parameters[i]
        low = p[L_MIN]
        loose = max(path[i] - p[L_SLACK], 0.0)
        high = max(math.sqrt(loose * loose + p[WIDTH] * p[WIDTH]), low)
        middle = 0.5 * (low + high)
        tension = 0.0
        for _ in range(_MAX_ITERATIONS):
            off, _, tension = _imbalance(p, curves, activation[i], path[i], middle, 0.0, 0.0)
            if off < 0.0:
                low = middle
            else:
                high = middle
            following = 0.5 * (low + high)
            if following == middle:
                break
            middle = following
        length[i] = middle
        force[i] = p[F0] * tension


# --- hinges and paths --------------------------------------------------------------------------------

# Columns of the hinge array: where the hinge sits on its parent, how the child is turned at angle 0, the axis and
# the hinge's place in the child's axes.
ANCHOR, TURN, AXIS, OFFSET = 0, 3, 12, 15
N_HINGE_COLUMNS = 18


@compiled("imvcmmm")
def place_links(
    parent: Array, hinges: Array, q: Array, rotation: Array, position: Array, axis: Array, anchor: Array
) -> None:
    """Poses of the links of a hinge tree at angles `q` (n,): parents come first, parent -1 is the world.

    Writes `rotation` (n, 3, 3) from link axes to the world, link origins `position`, hinge axes `axis` and hinge
    places `anchor` (n, 3), all in the world.
    """
    for j in range(q.shape[0]):
        h, up, turned = hinges[j], parent[j], rotation[j]
        c, s = math.cos(q[j]), math.sin(q[j])
        x, y, z = h[AXIS], h[AXIS + 1], h[AXIS + 2]
        d = 1.0 - c
        for r in range(3):
            place = 0.0 if up < 0 else position[up, r]
            if up < 0:
                place += h[ANCHOR + r]
                t0, t1, t2 = h[TURN + 3 * r], h[TURN + 3 * r + 1], h[TURN + 3 * r + 2]
            else:
                t0 = t1 = t2 = 0.0
                for k in range(3):
                    w = rotation[up, r, k]
                    place += w * h[ANCHOR + k]
                    t0 += w * h[TURN + 3 * k]
                    t1 += w * h[TURN + 3 * k + 1]
                    t2 += w * h[TURN + 3 * k + 2]
            anchor[j, r] = place
            axis[j, r] = t0 * x + t1 * y + t2 * z
            # Rodrigues' formula, column by column.
            turned[r, 0] = t0 * (c + d * x * x) + t1 * (d * x * y + s * z) + t2 * (d * x * z - s * y)
            turned[r, 1] = t0 * (d * x * y - s * z) + t1 * (c + d * y * y) + t2 * (d * y * z + s * x)
            turned[r, 2] = t0 * (d * x * z + s * y) + t1 * (d * y * z - s * x) + t2 * (c + d * z * z)
        for r in range(3):
            position[j, r] = anchor[j, r]
            for k in range(3):
                position[j, r] -= turned[r, k] * h[OFFSET + k]


@compiled("imcmm")
def place_points(link: Array, local: Array, rotation: Array, position: Array, points: Array) -> None:
    """World places (n, 3) of points given in the axes of their link; link -1 is the world."""
    for i in range(link.shape[0]):
        b = link[i]
        for r in range(3):
            if b < 0:
                points[i, r] = local[i, r]
            else:
                turned = rotation[b, r, 0] * local[i, 0] + rotation[b, r, 1] * local[i, 1]
                points[i, r] = position[b, r] + turned + rotation[b, r, 2] * local[i, 2]


@compiled("iiimmmmvm")
def measure_paths(
    parent: Array,
    first: Array,
    link: Array,
    points: Array,
    axis: Array,
    anchor: Array,
    work: Array,
    length: Array,
    slope: Array,
) -> None:
    """Lengths (m,) of polylines through `points` and their derivatives by hinge angle, `slope` (m, n).

    Polyline i takes the points from first[i] to first[i + 1]. `work` (n, 6) is scratch: for each link the sum of
    dL/dp and of p x dL/dp over its points, then over all links that hang on it.
    """
    n = parent.shape[0]
    for i in range(length.shape[0]):
        length[i] = 0.0
        for j in range(n):
            for r in range(6):
                work[j, r] = 0.0
        for k in range(first[i], first[i + 1] - 1):
            dx, dy, dz = (
                points[k + 1, 0] - points[k, 0],
                points[k + 1, 1] - points[k, 1],
                points[k + 1, 2] - points[k, 2],
            )
            piece = math.sqrt(dx * dx + dy * dy + dz * dz)
            length[i] += piece
            if piece == 0.0:
                continue
            ex, ey, ez = dx / piece, dy / piece, dz / piece
            # p x e is the same for both ends: they lie on the line of e.
            px, py, pz = points[k, 0], points[k, 1], points[k, 2]
            mx, my, mz = py * ez - pz * ey, pz * ex - px * ez, px * ey - py * ex
            for end in range(2):
                b = link[k + end]
                if b >= 0:
                    sign = 1.0 if end else -1.0
                    work[b, 0] += sign * ex
                    work[b, 1] += sign * ey
                    work[b, 2] += sign * ez
                    work[b, 3] += sign * mx
                    work[b, 4] += sign * my
                    work[b, 5] += sign * mz
        for j in range(n - 1, -1, -1):
            gx, gy, gz = work[j, 0], work[j, 1], work[j, 2]
            ox, oy, oz = anchor[j, 0], anchor[j, 1], anchor[j, 2]
            tx, ty, tz = (
                work[j, 3] - (oy * gz - oz * gy),
                work[j, 4] - (oz * gx - ox * gz),
                work[j, 5] - (ox * gy - oy * gx),
            )
            slope[i, j] = axis[j, 0] * tx + axis[j, 1] * ty + axis[j, 2] * tz
            if parent[j] >= 0:
                for r in range(6):
                    work[parent[j], r] += work[j, r]


# Columns of the hinge law.
LOWER, UPPER, VISCOSITY, STIFFNESS, DISSIPATION, COMPLIANCE = range(6)


@compiled("mmvvvvvv")
def sum_torques(
    law: Array, slope: Array, force: Array, q: Array, qd: Array, v: Array, load: Array, torque: Array
) -> None:
    """Torques (n,) in N m on hinges: muscles (-dL/dq F), viscous damping, one-sided stops, and `load`.

    A stop pushes back with k x (1 + d dx/dt), x the penetration, and never pulls (Hunt & Crossley 1975). Its dx/dt
    is that at the end of the last step, which the stop itself changes: `v`, the speed in the middle of that step,
    plus COMPLIANCE (speed gained until its end per N m) times the torque on the hinge, solved for the push.
    """
    for j in range(q.shape[0]):
        p = law[j]
        total = load[j] - p[VISCOSITY] * qd[j]
        for i in range(force.shape[0]):
            total -= slope[i, j] * force[i]
        depth = max(q[j] - p[UPPER], p[LOWER] - q[j])
        if depth > 0.0:
            side = 1.0 if q[j] > p[UPPER] else -1.0
            spring = p[STIFFNESS] * depth
            damper = spring * p[DISSIPATION]
            inward = side * (v[j] + p[COMPLIANCE] * total)
            total -= side * max((spring + damper * inward) / (1.0 + damper * p[COMPLIANCE]), 0.0)
        torque[j] = total


# --- one substep of a limb ---------------------------------------------------------------------------


@compiled("immimimcfvvvvvcmmmmmmvvvvvvvvv")
def advance_limb(
    parent: Array, hinges: Array, law: Array, link: Array, local: Array, first: Array, parameters: Array, curves: Array,
    dt: float,
    q: Array, v: Array, v_last: Array, load: Array, excitation: Array,
    rotation: Array, position: Array, axis: Array, anchor: Array, points: Array, work: Array, slope: Array,
    path: Array, path_last: Array, activation: Array, activation_last: Array,
    fiber_length: Array, fiber_speed: Array, force: Array, qd: Array, torque: Array,
) -> None:  # fmt: skip
    """After a rigid-body step of `dt` seconds has come to `q`: move the muscles along, sum the torques there.

    `v` are the speeds in the middle of the step, `v_last` those of the step before.
    """
    for j in range(q.shape[0]):
        # Second order, where the speed of the middle alone would be first.
        qd[j] = 1.5 * v[j] - 0.5 * v_last[j]
        v_last[j] = v[j]
    for i in range(path.shape[0]):
        path_last[i] = path[i]
        activation_last[i] = activation[i]
    place_links(parent, hinges, q, rotation, position, axis, anchor)
    place_points(link, local, rotation, position, points)
    measure_paths(parent, first, link, points, axis, anchor, work, path, slope)
    advance_activation(parameters, excitation, dt, activation)
    advance_fibers(
        parameters, curves, activation_last, activation, path_last, path, dt, fiber_length, fiber_speed, force
    )
    sum_torques(law, slope, force, q, qd, v, load, torque)
