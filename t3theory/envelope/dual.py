"""Lagrangian duals of the two worst cases, split over atoms.

Write t = 1/N for the reciprocal normaliser and drop the scale N* (see `atoms`). For every
classifier f with N(f) = Σ w f^s = 1/t and δ(f) ≤ δ, every multiplier λ ≥ 0 and price η:

* forget error: FE(f) ≤ Φ(t) = η + tλδ + Σ max_{σ=±1, f} [σ P_f p_r − t (σ P_f b + η w) f^s − tλ P kl(f*‖f)].
  Φ is a maximum of functions affine in t, hence **convex in t**: the larger of its two end
  values bounds it on a whole interval of normalisers. As |x| = max ±x, the error is the largest
  over all signs too: a branch may settle σ on an atom and leave its f free.
* retain error, with θ the price of N: RE(f) ≤ C + H(λ, θ) + log N + θN where
  H = λδ + Σ max_f [−s P_r log f − λ P kl(f*‖f) − θ w f^s], and the largest log N + θN over an
  interval of normalisers is known in closed form.

Both are convex in the multipliers. A maximiser enters them only through four sums (a
`Column`), and each column is an affine minorant of the dual at every t.

All values are rounded up by `rounding` times the sum of the absolute values of all terms.
A term is computed to at most some thirty roundings and those of the logarithm of its weight; NumPy's pairwise sum of a block of 32768
adds each term 27 times (8 accumulators over 128 terms, then 8 halvings); the blocks are added
one after another. An inexact maximiser costs its objective the square of its error only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from t3theory.envelope.atoms import Atoms, Point, log_rest
from t3theory.envelope.maximiser import maximise

__all__ = ["Bound", "Column", "ForgetDual", "RetainDual", "rounding"]

Vector = NDArray[np.float64]
_TANGENTS = 9  # normalisers at which the cuts of log N + θN touch it


def rounding(atoms: Atoms) -> float:
    """Bound on the relative error of a float64 sum over all atoms (see the module's text)."""
    # exp(x) has the relative error of x's rounding, |x| ε
    return (96 + len(atoms.blocks) + 3 * atoms.largest_log) * float(np.finfo(np.float64).eps)


class Column(NamedTuple):
    """The four sums of a maximiser: gain − t·moved − (price) normaliser − (multiplier) risk."""

    gain: float
    moved: float
    normaliser: float
    risk: float


class Bound(NamedTuple):
    """A rigorous bound, the columns that attain it, and their f^s where they were kept."""

    value: float
    columns: list[Column]
    powers: list[Vector]


@dataclass(frozen=True)
class ForgetDual:
    """Bounds on E_{P_f}|p_r − p̂|."""

    atoms: Atoms
    delta: float
    floor: float = 0.0
    worth: float = 0.0

    def effect(self, width: float, value: float) -> float:
        """About how much of the bound `value` an interval of log N of this width may be worth."""
        return width * max(1.0, self._held / value)

    @cached_property
    def _held(self) -> float:
        """E_{P_f}[p_r]: both densities are of this size, and of the error's if it is larger."""
        return float(np.dot(self.atoms.forget, self.atoms.retain_density))

    def rewards(self, block: Atoms, sign: Vector | float, price: float) -> Vector:
        """c of the atoms' problem, for signs of p_r − p̂."""
        return -(sign * block.base * block.co_oracle / block.gamma + price * block.slope)

    def _side(
        self, block: Atoms, sign: float, multiplier: float, price: float
    ) -> tuple[Vector, Vector, Vector]:
        point = maximise(block, self.rewards(block, sign, price), multiplier, multiplier)
        kl = block.divergence(point)
        gain = -(sign * block.forget * block.base + price * block.weight) * point.power
        return point.power, kl, gain - multiplier * block.probability * kl

    def _respond(
        self, block: Atoms, ts: tuple[float, float], multiplier: float, price: float
    ) -> list[tuple[Vector, Vector, Vector]]:
        """Signs, f^s and kl of the maximisers at both ends."""
        power, kl, low = self._side(block, -1.0, multiplier, price)
        held = block.forget * block.retain_density
        both = np.flatnonzero(block.sign >= 0)
        sign = np.full_like(power, -1.0)
        if len(both) == 0:
            return [(sign, power, kl)] * 2
        part = block if len(both) == block.size else block.take(both)
        other_power, other_kl, high = self._side(part, 1.0, multiplier, price)
        found = []
        for t in ts:
            plus = held[both] + t * high > -held[both] + t * low[both]
            plus |= block.sign[both] > 0
            new = sign.copy(), power.copy(), kl.copy()
            for array, value in zip(new, (np.ones_like(high), other_power, other_kl), strict=True):
                array[both[plus]] = value[plus]
            found.append(new)
        return found

    def peak(self, span: tuple[float, float], multiplier: float, price: float) -> Point:
        """A maximiser of the Lagrangian at one end, with its best signs: where to climb from."""
        x = self.atoms
        power = self._respond(x, (1 / span[1], 1 / span[0]), multiplier, price)[0][1]
        with np.errstate(divide="ignore"):
            log_f = np.log(power) / x.scale
        return Point(power, log_f, log_rest(log_f))

    def bound(self, span: tuple[float, float], multiplier: float, price: float) -> Bound:
        """Over all classifiers with N in `span`; ∞ or nan where float64 overflows."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self._bound(span, multiplier, price)

    def _bound(self, span: tuple[float, float], multiplier: float, price: float) -> Bound:
        ts = 1 / span[1], 1 / span[0]
        powers: list[Vector] = []

        def sums(block: Atoms) -> Vector:
            rows = []
            for sign, power, kl in self._respond(block, ts, multiplier, price):
                moved = block.forget * block.base * power
                held = block.forget * block.retain_density
                rows.append(
                    [
                        np.sum(sign * held),
                        np.sum(sign * moved),
                        np.sum(block.weight * power),
                        np.sum(block.probability * kl),
                        np.sum(held),
                        np.sum(moved),
                    ]
                )
                if block is self.atoms:
                    powers.append(power)
            return np.array(rows)

        values, columns = [], []
        for t, (*four, held, size) in zip(ts, self.atoms.total(sums), strict=True):
            column = Column(*map(float, four))
            columns.append(column)
            value = column.gain - t * column.moved + price * (1 - t * column.normaliser)
            value += t * multiplier * (self.delta - column.risk)
            size = held + t * size + abs(price) * (1 + t * column.normaliser)
            size += t * multiplier * (self.delta + column.risk + 2 * self.atoms.entropy)
            values.append(float(value + rounding(self.atoms) * size))
        # NumPy's maximum: an end that overflowed to nan must not leave the other's value
        return Bound(float(np.max(values)), columns, powers)

    def cuts(
        self, span: tuple[float, float], columns: NDArray[np.float64]
    ) -> tuple[Vector, Vector, Vector]:
        """Affine minorants of the bound, column by column: slopes in multiplier and price, constants."""
        gain, moved, normaliser, risk = columns.T
        t = np.array([1 / span[1], 1 / span[0]])[:, None]
        slope, price, constant = t * (self.delta - risk), 1 - t * normaliser, gain - t * moved
        return slope.T.ravel(), price.T.ravel(), constant.T.ravel()

    def value(self, point: Point) -> float:
        """FE of one classifier; −inf where float64 has nothing left to normalise."""
        x = self.atoms
        if not np.dot(x.weight, point.power) > 0:
            return -math.inf
        return float(np.dot(x.forget, np.abs(self._difference(point))))

    def _difference(self, point: Point) -> Vector:
        x = self.atoms
        normaliser = float(np.dot(x.weight, point.power))
        return x.retain_density - x.base * (point.power / normaliser)

    def linearise(self, point: Point) -> tuple[float, Vector]:
        """The stationary price at a classifier, and the rewards c of its neighbours."""
        x = self.atoms
        sign = np.where(self._difference(point) > 0, 1.0, -1.0)
        normaliser = float(np.dot(x.weight, point.power))
        price = -float(np.dot(sign * x.forget, x.base * point.power)) / normaliser
        return price, self.rewards(x, sign, price)


@dataclass(frozen=True)
class RetainDual:
    """Bounds on KL(P_r‖P̂). The multiplier here is λ − s/(1−γ), what is left after log f."""

    atoms: Atoms
    delta: float

    def effect(self, width: float, _value: float) -> float:
        """About how much of the bound an interval of log N of this width may be worth."""
        return width

    @cached_property
    def floor(self) -> float:
        """Least multiplier with a finite bound: log f may be rewarded if each box is bounded."""
        bounded = bool(np.all(np.isfinite(self.atoms.log_low[self.atoms.retain > 0])))
        return -self.worth * (1 - 1e-9) if bounded else 0.0

    @property
    def worth(self) -> float:
        """s/(1−γ): the retain error that a unit of risk buys through log f."""
        return self.atoms.scale / (1 - self.atoms.gamma)

    @cached_property
    def constant(self) -> tuple[float, float]:
        """C = Σ P_r log(P_r/w) of the merged atoms one by one, and the size of its terms."""
        x = self.atoms
        live = x.retain > 0
        parts = x.log_oracle[live] - np.log1p(-x.gamma) - np.log(x.slope[live])
        sizes = np.abs(x.log_oracle[live]) + abs(np.log1p(-x.gamma)) + np.abs(np.log(x.slope[live]))
        return float(np.sum(x.retain[live] * parts)), float(np.sum(x.retain[live] * sizes))

    def peak(self, span: tuple[float, float], multiplier: float, price: float) -> Point:
        """A maximiser of the Lagrangian: where to climb from."""
        x = self.atoms
        return maximise(x, -price * x.slope, multiplier, multiplier + self.worth)

    def bound(self, span: tuple[float, float], multiplier: float, price: float) -> Bound:
        """Over all classifiers with N in `span`; ∞ or nan where float64 overflows."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self._bound(span, multiplier, price)

    def _bound(self, span: tuple[float, float], multiplier: float, price: float) -> Bound:
        powers: list[Vector] = []

        def sums(block: Atoms) -> Vector:
            point = maximise(block, -price * block.slope, multiplier, multiplier + self.worth)
            if block is self.atoms:
                powers.append(point.power)
            return _retain_sums(block, point)

        column = Column(*map(float, self.atoms.total(sums)))
        low, high = span
        at = min(max(-1 / price, low), high) if price < 0 else high
        constant, size = self.constant
        value = constant + column.gain - price * column.normaliser + np.log(at) + price * at
        value += (multiplier + self.worth) * (self.delta - column.risk)
        size += abs(price) * (column.normaliser + at) + abs(np.log(at)) + abs(column.gain)
        size += (multiplier + self.worth) * (self.delta + column.risk + 2 * self.atoms.entropy)
        return Bound(float(value + rounding(self.atoms) * size), [column], powers)

    def cuts(
        self, span: tuple[float, float], columns: NDArray[np.float64]
    ) -> tuple[Vector, Vector, Vector]:
        """Affine minorants of the bound, column by column: slopes in multiplier and price, constants."""
        gain, _, normaliser, risk = columns.T
        at = np.geomspace(span[0], span[1], _TANGENTS)[:, None]
        slope = np.broadcast_to(self.delta - risk, (_TANGENTS, len(risk)))
        constant = self.constant[0] + gain + self.worth * (self.delta - risk) + np.log(at)
        return slope.T.ravel(), (at - normaliser).T.ravel(), constant.T.ravel()

    def value(self, point: Point) -> float:
        """RE of one classifier; −inf where float64 has nothing left to normalise."""
        gain, _, normaliser, _ = _retain_sums(self.atoms, point)
        if not normaliser > 0:
            return -math.inf
        return float(self.constant[0] + gain + np.log(normaliser))

    def linearise(self, point: Point) -> tuple[float, Vector]:
        """The stationary price at a classifier, and the rewards c of its neighbours."""
        price = -1 / float(np.dot(self.atoms.weight, point.power))
        return price, -price * self.atoms.slope


def _retain_sums(block: Atoms, point: Point) -> Any:
    log_f = np.where(block.retain > 0, point.log_f, 0.0)
    gain = -block.scale * np.sum(block.retain * log_f)
    return np.array([gain, 0.0, np.sum(block.weight * point.power), block.risk(point)])
