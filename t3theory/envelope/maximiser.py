"""The maximiser of one atom's part of a Lagrangian, for all atoms at once.

Everything that a bound on all classifiers needs from an atom is the maximiser of

    φ(f) = c f^s + A log f + B log(1−f)

over the values f that the risk budget alone allows it. For s = 1 it is a root of a
quadratic, both f and 1−f come out without cancellation; for other s its log-odds are found.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from t3theory.envelope.atoms import ROOM, Atoms, Point, log_rest, parts_of
from t3theory.envelope.powers import power_roots

__all__ = ["lagrangian", "maximise"]

Vector = NDArray[np.float64]

_HELD = 1e-290  # below it a root has lost digits, or is 0
_SQUARED = 1e150  # of rewards and multipliers: their squares are floats
_LOST = 1e-280  # above it a sum of two squares has kept its digits
_LARGEST = 2e307  # of a reward: c + a − b and the root below add up to a float64


def maximise(
    atoms: Atoms, c: Vector, co_multiplier: float, multiplier: float, everywhere: bool = True
) -> Point:
    """Maximiser of c f^s + λ' f* log f + λ (1−f*) log(1−f) over each atom's box.

    Args:
        c: shape (k,).
        co_multiplier, multiplier: λ' (any sign) and λ > 0.
        everywhere: False leaves out the low end of a box, where log f may win although its fall costs.
    Returns:
        the maximisers; f^s is nan where c, λ' or λ is so large that a root may have overflowed:
        no bound may then be read off it.
    """
    a, b = co_multiplier * atoms.oracle, multiplier * atoms.co_oracle
    plain, largest = atoms.scale == 1, max(np.abs(c).max(), abs(co_multiplier), multiplier)
    # 0/0 only where a pure atom is indifferent; roots beyond the floats are told by their logs.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if plain:
            root = _quadratic(c, a, b, largest < _SQUARED)
            candidates = [_logarithms(atoms, c, root, (co_multiplier, multiplier))]
        else:
            log_a = np.log(abs(co_multiplier)) + atoms.log_oracle
            log_b = np.log(multiplier) + atoms.log_co_oracle
            roots = power_roots(c, log_a, log_b, atoms.scale, co_multiplier < 0)
            candidates = [_of_log_odds(x) for x in roots]
        points = [_into_box(atoms, *pair) for pair in candidates]
        if (
            everywhere and co_multiplier < 0
        ):  # a fall of log f is then paid for: the low end may win
            points.append(_point(atoms.scale, atoms.log_low, log_rest(atoms.log_low)))
        best = points[0]
        for other in points[1:]:
            worth = [lagrangian(atoms, c, co_multiplier, multiplier, x) for x in (other, best)]
            better = worth[0] > worth[1]
            pairs = zip(parts_of(other), parts_of(best), strict=True)
            best = Point(*(np.where(better, x, y) for x, y in pairs))
        if not largest < ROOM / 2:
            lost = ~((np.abs(c) < _LARGEST) & (abs(co_multiplier) + multiplier < ROOM))
            best.power[lost] = np.nan
    return best


def lagrangian(
    atoms: Atoms, c: Vector, co_multiplier: float, multiplier: float, point: Point
) -> Vector:
    """What `maximise` maximises, at a point, shape (k,)."""
    a, b = co_multiplier * atoms.oracle, multiplier * atoms.co_oracle
    with np.errstate(invalid="ignore", over="ignore"):
        left = np.where(a == 0, 0.0, a * point.log_f)
        right = np.where(b == 0, 0.0, b * point.log_g)
        return c * point.power + left + right


def _point(scale: float, log_f: Vector, log_g: Vector) -> Point:
    return Point(np.exp(log_f) if scale == 1 else np.exp(scale * log_f), log_f, log_g)


def _logarithms(
    atoms: Atoms, c: Vector, root: tuple[Vector, Vector], multipliers: tuple[float, float]
) -> tuple[Vector, Vector]:
    """log f and log(1−f) of a root (f, 1−f).

    From the smaller of the two, so that log f keeps its digits where f is near 1.
    """
    f, g = root
    smaller = np.minimum(f, g)
    falls, log_small, log_large = f < g, np.log(smaller), np.log1p(-smaller)
    log_f, log_g = np.where(falls, log_small, log_large), np.where(falls, log_large, log_small)
    if not smaller.min() >= _HELD:
        near = (smaller < _HELD) & np.where(falls, *atoms.finite)
        if near.any():
            _leading_terms(atoms, c, multipliers, (log_f, log_g), (near, falls))
    return log_f, log_g


def _leading_terms(
    atoms: Atoms,
    c: Vector,
    multipliers: tuple[float, float],
    logs: tuple[Vector, Vector],
    masks: tuple[Any, Any],
) -> None:
    """Roots closer to an end than float64 holds, told by their leading terms, for s = 1.

    1−f = b/(c + a) near 1, and f = a/(b − c) near 0.
    """
    (log_f, log_g), (near, falls) = logs, masks
    a, b = multipliers[0] * atoms.oracle, multipliers[1] * atoms.co_oracle
    ends = (
        (log_g, ~falls, c + a, multipliers[1], atoms.log_co_oracle),
        (log_f, falls, b - c, multipliers[0], atoms.log_oracle),
    )
    for log, side, rise, multiplier, log_share in ends:
        which = near & side & (rise > 0)
        if multiplier > 0 and which.any():
            log[which] = np.log(multiplier) + log_share[which] - np.log(rise[which])


def _of_log_odds(x: Vector) -> tuple[Vector, Vector]:
    """log f and log(1−f)."""
    rest = np.log1p(np.exp(-np.abs(x)))
    return np.minimum(x, 0.0) - rest, np.minimum(-x, 0.0) - rest


def _into_box(atoms: Atoms, log_f: Vector, log_g: Vector) -> Point:
    """The nearest point of the box."""
    inside = log_g >= atoms.log_co_low
    if not inside.all():
        high = ~inside
        log_g[high] = atoms.log_co_low[high]
        log_f[high] = log_rest(log_g[high])
    # Last: an upper end below e^-37 is 0 by its distance from 1, the lower one is exact.
    inside = log_f >= atoms.log_low
    if not inside.all():
        low = ~inside
        log_f[low] = atoms.log_low[low]
        log_g[low] = log_rest(log_f[low])
    return _point(atoms.scale, log_f, log_g)


def _quadratic(c: Vector, a: Vector, b: Vector, held: bool) -> tuple[Vector, Vector]:
    """The larger root f of c f(1−f) + a(1−f) − b f = 0, and 1−f, each to full precision.

    All a are ≥ 0 or all are ≤ 0. Where there is no root in [0, 1] (only possible for a < 0),
    f = 0. `held`: no square overflows.
    """
    total, along = a + b, c + a - b
    square = along * along + 4 * (a * b)
    negative = bool(a.min() < 0)
    plain = held and not negative and square.min() > _LOST
    root = np.sqrt(square) if plain else _discriminant(along, a, b, negative)
    f, g = _share(a, total - c, c, root), _share(b, total + c, -c, root)
    if plain:
        return f, g
    none = np.isnan(f) | np.isnan(g)
    if negative:
        none |= (a < 0) & (total >= c)
    if none.any():  # a pure atom may be indifferent: any value is a maximiser
        f[none] = np.where((b[none] > 0) | (a[none] < 0), 0.0, 1.0)
        g[none] = 1 - f[none]
    return f, g


def _share(x: Vector, rest: Vector, c: Vector, root: Vector) -> Vector:
    """2x/(rest + root), which is (root − rest)/(2c) without cancellation where the rest is negative."""
    share = 2 * x / (rest + root)
    falls = rest < 0
    return np.where(falls, (root - rest) / (2 * c), share) if falls.any() else share


def _discriminant(along: Vector, a: Vector, b: Vector, negative: bool) -> Vector:
    """√(along² + 4ab) where squares may leave the floats, b ≥ 0; nan of a negative number."""
    across, whole = 2 * np.sqrt(np.abs(a)) * np.sqrt(b), np.abs(along)
    if negative:
        return np.sqrt(whole - across) * np.sqrt(whole + across)
    return np.hypot(whole, across)
