"""The maximiser of one atom's part of a Lagrangian, for all atoms at once.

Everything that a bound on all classifiers needs from an atom is the maximiser of

    φ(f) = c f^s + A log f + B log(1−f)

over the values f that the risk budget alone allows it. For s = 1 it is a root of a
quadratic; both f and 1−f come out without cancellation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from t3theory.envelope.atoms import ROOM, Atoms, Point, log_rest, parts_of
from t3theory.envelope.powers import power_roots

__all__ = ["maximise"]

Vector = NDArray[np.float64]

_HELD = 1e-290  # below it a root has lost digits, or is 0
_LARGEST = 2e307  # of a reward: c + a − b and the root below add up to a float64


def maximise(
    atoms: Atoms, c: Vector, co_multiplier: float, multiplier: float, everywhere: bool = True
) -> Point:
    """Maximiser of c f^s + λ' f* log f + λ (1−f*) log(1−f) over each atom's box.

    Args:
        c: shape (k,).
        co_multiplier, multiplier: λ' (any sign) and λ > 0.
        everywhere: False asks for the local maximiser with the largest f instead.
    Returns:
        the maximisers; f^s is nan where c, λ' or λ is so large that a root may have overflowed:
        no bound may then be read off it.
    """
    a, b = co_multiplier * atoms.oracle, multiplier * atoms.co_oracle
    plain = atoms.scale == 1
    candidates = [_quadratic(c, a, b)] if plain else power_roots(c, a, b, atoms.scale)
    rest = atoms.scale * c + a, b - c if plain else np.zeros_like(b)
    logs = [_logarithms(atoms, *pair, rest, (co_multiplier, multiplier)) for pair in candidates]
    best, *others = (_into_box(atoms, *pair) for pair in logs)
    if everywhere and co_multiplier < 0:  # log f is then rewarded for falling: the low end may win
        others.append(_point(atoms.scale, atoms.log_low, log_rest(atoms.log_low)))
    for other in others:
        better = _objective(c, a, b, other) > _objective(c, a, b, best)
        best = Point(
            *(np.where(better, x, y) for x, y in zip(parts_of(other), parts_of(best), strict=True))
        )
    with np.errstate(invalid="ignore"):
        lost = ~((np.abs(c) < _LARGEST) & (abs(co_multiplier) + multiplier < ROOM))
    if lost.any():
        best.power[lost] = np.nan
    return best


def _objective(c: Vector, a: Vector, b: Vector, point: Point) -> Vector:
    with np.errstate(invalid="ignore", over="ignore"):
        left = np.where(a == 0, 0.0, a * point.log_f)
        right = np.where(b == 0, 0.0, b * point.log_g)
        return c * point.power + left + right


def _point(scale: float, log_f: Vector, log_g: Vector) -> Point:
    return Point(np.exp(scale * log_f), log_f, log_g)


def _logarithms(
    atoms: Atoms,
    f: Vector,
    g: Vector,
    rest: tuple[Vector, Vector],
    multipliers: tuple[float, float],
) -> tuple[Vector, Vector]:
    """log f and log(1−f) of a root, g = 1−f.

    Roots closer to an end than float64 holds are told by their leading terms: 1−f = b/(sc + a)
    near 1, and f = a/(b − c) near 0 for s = 1, whose denominators are `rest`.
    """
    # From the smaller of the two, so that log f keeps its digits where f is near 1.
    falls = f < g
    smaller = np.where(falls, f, g)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_small, log_large = np.log(smaller), np.log1p(-smaller)
    log_f, log_g = np.where(falls, log_small, log_large), np.where(falls, log_large, log_small)
    near = smaller < _HELD
    if near.any():
        ends = (
            (log_g, ~falls, rest[0], multipliers[1], atoms.log_co_oracle),
            (log_f, falls, rest[1], multipliers[0], atoms.log_oracle),
        )
        for log, side, rise, multiplier, log_share in ends:
            which = near & side & (rise > 0) & np.isfinite(log_share)
            if multiplier > 0 and which.any():
                log[which] = np.log(multiplier) + log_share[which] - np.log(rise[which])
    return log_f, log_g


def _into_box(atoms: Atoms, log_f: Vector, log_g: Vector) -> Point:
    """The nearest point of the box."""
    high = ~(log_g >= atoms.log_co_low)
    if high.any():
        log_g[high] = atoms.log_co_low[high]
        log_f[high] = log_rest(log_g[high])
    # Last: an upper end below e^-37 is 0 by its distance from 1, the lower one is exact.
    low = ~(log_f >= atoms.log_low)
    if low.any():
        log_f[low] = atoms.log_low[low]
        log_g[low] = log_rest(log_f[low])
    power = np.exp(log_f) if atoms.scale == 1 else np.exp(atoms.scale * log_f)
    return Point(power, log_f, log_g)


def _quadratic(c: Vector, a: Vector, b: Vector) -> tuple[Vector, Vector]:
    """The larger root f of c f(1−f) + a(1−f) − b f = 0, and 1−f, each to full precision.

    Where there is no root in [0, 1] (only possible for a < 0), f = 0.
    """
    total, along = a + b, c + a - b
    # √(along² + 4ab), which must not overflow: a product of roots where ab < 0.
    across = 2 * np.sqrt(np.abs(a)) * np.sqrt(b)
    negative = bool(np.any(a < 0))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        if negative:
            root = np.sqrt(np.abs(along) - across) * np.sqrt(np.abs(along) + across)
        else:
            root = np.hypot(along, across)
        f = np.where(total >= c, 2 * a / (total - c + root), (c - total + root) / (2 * c))
        g = np.where(total >= -c, 2 * b / (total + c + root), (-c - total + root) / (-2 * c))
    none = (a < 0) & ((total >= c) | np.isnan(root)) if negative else np.zeros_like(a, dtype=bool)
    # 0/0 only where a pure atom is indifferent: any value is a maximiser.
    undefined = np.isnan(f) | np.isnan(g)
    if undefined.any():
        f[undefined] = np.where(b[undefined] > 0, 0.0, 1.0)
        g[undefined] = 1 - f[undefined]
    if none.any():
        f[none], g[none] = 0.0, 1.0
    return np.minimum(f, 1.0), np.minimum(g, 1.0)
