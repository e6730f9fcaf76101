"""The worst case seen one atom at a time: reduction, reachable boxes, per-atom maximiser.

Everything that a bound on all classifiers needs from an atom is the maximiser of

    φ(f) = c f^s + A log f + B log(1−f)

over the values f that the risk budget alone allows it. For s = 1 it is a root of a
quadratic; both f and 1−f come out without cancellation.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from t3theory.envelope.powers import power_roots

__all__ = ["Atoms", "Point", "log_rest", "maximise", "parts_of"]

Vector = NDArray[np.float64]

_SUMMED = frozenset({"probability", "forget", "retain", "weight"})
_BLOCK = 32768  # atoms whose dozen work arrays stay in a second-level cache
_HELD = 1e-290  # below it a root has lost digits, or is 0
_THREADS = min(2, os.cpu_count() or 1)
_LARGEST = 2e307  # of a reward: c + a − b and the root below add up to a float64
_ROOM = 1e300  # of multipliers, which logarithms of f multiply, and of weights, which are summed


@dataclass(frozen=True)
class Point:
    """A classifier on the atoms: f^s, log f and log(1−f), each of shape (k,)."""

    power: Vector
    log_f: Vector
    log_g: Vector


@dataclass(frozen=True)
class Atoms:
    """Distinct atoms of a mixture, scaled so that the oracle normaliser N* is 1.

    Args:
        probability, forget, retain, weight: P, P_f, P_r and w = μ p^{1/T}/N*, summed over
            the atoms merged into one, shape (k,).
        single: P of one of the merged atoms.
        oracle, co_oracle: f* and 1−f*; `log_oracle`, `log_co_oracle` their logarithms.
        base: p^{1/T}/N*.
        slope: w/P.
        retain_density: p_r.
        log_low, log_co_low: lower bounds on log f and log(1−f) under the budget.
        sign: of p_r − p̂ in the forget error, where it is settled; 0 where either is allowed.
        largest_log: the largest |logarithm| whose exponential became a weight.
        inverse: which of the k each atom of the mixture was merged into; −1 where P = 0.
    """

    gamma: float
    scale: float
    probability: Vector
    single: Vector
    forget: Vector
    retain: Vector
    weight: Vector
    oracle: Vector
    co_oracle: Vector
    log_oracle: Vector
    log_co_oracle: Vector
    base: Vector
    slope: Vector
    retain_density: Vector
    log_low: Vector
    log_co_low: Vector
    sign: Vector
    log_normaliser: float
    largest_log: float
    inverse: NDArray[np.intp]

    @cached_property
    def blocks(self) -> list[Atoms]:
        """The atoms in runs that fit a processor's cache."""
        if self.size <= _BLOCK:
            return [self]
        return [self.take(slice(i, i + _BLOCK)) for i in range(0, self.size, _BLOCK)]

    @property
    def held(self) -> bool:
        """Whether float64 holds what the bounds need of every atom, with room for a few sums."""
        largest = np.max([self.weight, self.base, self.slope])
        return bool(largest < _ROOM and np.min(self.probability) > 0)

    @cached_property
    def log_high(self) -> Vector:
        """Upper bounds on log f under the budget."""
        return np.minimum(log_rest(self.log_co_low), 0.0)

    @property
    def size(self) -> int:
        """k, the number of distinct atoms."""
        return len(self.probability)

    def take(self, which: Any) -> Atoms:
        """The atoms at `which`, an index of NumPy."""
        return replace(self, **{name: getattr(self, name)[which] for name in self._vectors})

    def separate(self, z: int) -> tuple[Atoms, int]:
        """The same atoms with one of kind z set apart, and the index where it stands."""
        share = float(self.single[z] / self.probability[z])
        if share > 0.75:
            return self, z
        parts: dict[str, Any] = {}
        for name in self._vectors:
            value = getattr(self, name)
            parts[name] = np.append(value, value[z])
            if name in _SUMMED:
                parts[name][-1] *= share
                parts[name][z] *= 1 - share
        inverse = self.inverse.copy()
        inverse[np.argmax(inverse == z)] = self.size
        return replace(self, **parts, inverse=inverse), self.size

    @property
    def _vectors(self) -> list[str]:
        every = ((f.name, getattr(self, f.name)) for f in fields(self))
        return [name for name, x in every if isinstance(x, np.ndarray) and name != "inverse"]

    def map(self, function: Callable[..., Any], *arrays: Vector) -> list[Any]:
        """`function(block, *slices)` for each block; NumPy frees the interpreter, so threads help."""
        if len(self.blocks) == 1:
            return [function(self, *arrays)]
        slices = [[a[i : i + _BLOCK] for i in range(0, self.size, _BLOCK)] for a in arrays]
        with ThreadPoolExecutor(_THREADS) as pool:
            return list(pool.map(function, self.blocks, *slices))

    def total(self, sums: Callable[..., Vector], *arrays: Vector) -> Vector:
        """The sums of all blocks."""
        return np.sum(self.map(sums, *arrays), axis=0)

    def risk(self, point: Point) -> float:
        """δ(f) in nats."""
        return float(np.sum(self.probability * self.divergence(point)))

    @cached_property
    def entropy(self) -> float:
        """Σ P h(f*) in nats: the least possible log-loss."""
        h = -times(self.oracle, np.zeros_like(self.oracle), -self.log_oracle)
        h -= times(self.co_oracle, np.zeros_like(self.oracle), -self.log_co_oracle)
        return float(np.dot(self.probability, h))

    def divergence(self, point: Point) -> Vector:
        """kl(f*‖f), shape (k,), non-negative."""
        kl = times(self.oracle, self.log_oracle, point.log_f)
        kl += times(self.co_oracle, self.log_co_oracle, point.log_g)
        return np.maximum(kl, 0.0, out=kl)

    def bayes(self) -> Point:
        """The Bayes classifier."""
        power = np.exp(self.scale * self.log_oracle)
        return Point(power, self.log_oracle, self.log_co_oracle)


def times(share: Vector, log_share: Vector, log_value: Vector) -> Vector:
    """share · (log share − log value), 0 where the share is 0."""
    with np.errstate(invalid="ignore"):
        product = share * (log_share - log_value)
    product[share == 0] = 0.0
    return product


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
        lost = ~((np.abs(c) < _LARGEST) & (abs(co_multiplier) + multiplier < _ROOM))
    if lost.any():
        best.power[lost] = np.nan
    return best


def parts_of(point: Point) -> tuple[Vector, Vector, Vector]:
    """f^s, log f and log(1−f)."""
    return point.power, point.log_f, point.log_g


def _objective(c: Vector, a: Vector, b: Vector, point: Point) -> Vector:
    with np.errstate(invalid="ignore", over="ignore"):
        left = np.where(a == 0, 0.0, a * point.log_f)
        right = np.where(b == 0, 0.0, b * point.log_g)
        return c * point.power + left + right


def log_rest(log_x: Vector) -> Vector:
    """log(1 − exp(log_x)), −inf at 0."""
    with np.errstate(divide="ignore"):
        return np.where(log_x > -0.69, np.log(-np.expm1(log_x)), np.log1p(-np.exp(log_x)))


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
