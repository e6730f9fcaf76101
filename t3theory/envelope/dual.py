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

All values are rounded up by `rounding` times the sum of the absolute values of all terms (why
that is enough: docs/design/envelope.md).
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
from t3theory.envelope.profile import Profile
from t3theory.envelope.sides import Side, chosen, rewards, sides

__all__ = ["Bound", "Column", "Dual", "ForgetDual", "RetainDual", "rounding"]

Vector = NDArray[np.float64]
_EPS = float(np.finfo(np.float64).eps)
_TANGENTS = 9  # normalisers at which the cuts of log N + θN touch it


def rounding(atoms: Atoms) -> float:
    """Bound on the relative error of a float64 sum over all atoms (docs/design/envelope.md)."""
    # exp(x) has the relative error of x's rounding, |x| ε
    return (96 + len(atoms.blocks) + 3 * atoms.largest_log) * _EPS


class Column(NamedTuple):
    """The four sums of a maximiser: gain − t·moved − (price) normaliser − (multiplier) risk.

    For the retain error `moved` is the N at which log N + θN was largest.
    """

    gain: float
    moved: float
    normaliser: float
    risk: float


class Bound(NamedTuple):
    """A rigorous bound, the columns that attain it, their f^s and its profile where they were kept.

    `slack` is the part of the value that stands for rounding.
    """

    value: float
    columns: list[Column]
    powers: list[Vector]
    profile: Profile | None = None
    slack: float = 0.0


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
        return float(self.atoms.held.sum())

    def pushes(self) -> list[Vector]:
        """The rewards that push p̂ up and down everywhere, from where the Bayes classifier has it.

        For s > 1 also those that gather it on one atom, where p̂ is then largest for forget data.
        """
        x = self.atoms
        share = float(np.dot(x.moved, x.bayes().power))
        found = [rewards(x, sign, -sign * share) for sign in (-1.0, 1.0)]
        if x.scale > 1:
            whole, held = x.moved / x.weight, x.held * (x.single / x.probability)  # P_f/μ, P_f p_r
            sign = np.ones(x.size)
            sign[z := int(np.argmax(np.abs(held - whole) - held))] = -1.0
            found.append(rewards(x, sign, float(whole[z])))
        return found

    def peak(self, span: tuple[float, float], multiplier: float, price: float) -> Point:
        """A maximiser of the Lagrangian at one end, with its best signs: where to climb from."""
        x = self.atoms
        power = chosen(x, sides(x, multiplier, price), 1 / span[1])[1]
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
        profile = None

        def sums(block: Atoms) -> Vector:
            nonlocal profile
            rows, both = [], sides(block, multiplier, price)
            if block is self.atoms:
                profile = self._profile(both, multiplier, price)
            for sign, power, terms in (chosen(block, both, t) for t in ts):
                gain, moved = (sign * block.held).sum(), (sign * terms[0]).sum()
                rows.append([gain, moved, *terms[1:].sum(axis=1), terms[0].sum()])
                if block is self.atoms:
                    powers.append(power)
            return np.array(rows)

        values, columns, lost = [], [], []
        slack, least = rounding(self.atoms), self.atoms.least
        for t, row in zip(ts, self.atoms.total(sums).tolist(), strict=True):
            column, size = Column(*row[:4]), self._held + t * (row[4] + least[0])
            columns.append(column)
            value = column.gain - t * column.moved + price * (1 - t * column.normaliser)
            value += t * multiplier * (self.delta - column.risk)
            size += abs(price) * (1 + t * (column.normaliser + least[1]))
            size += t * multiplier * (self.delta + column.risk + 2 * self.atoms.entropy)
            values.append(value + slack * size)
            lost.append(slack * size)
        # NumPy's maximum: an end that overflowed to nan must not leave the other's value
        return Bound(float(np.max(values)), columns, powers, profile, max(lost))

    def _profile(
        self, both: tuple[Side, Side | None], multiplier: float, price: float
    ) -> Profile | None:
        low, high = both
        if high is None:  # affine in t: its values at the ends say all
            return None
        x, part = self.atoms, self.atoms.contested
        moved, normaliser, risk = (low.terms.sum(axis=1) + high.terms.sum(axis=1)).tolist()
        size = moved + x.least[0] + abs(price) * (normaliser + x.least[1])
        size += multiplier * (self.delta + risk + 2 * x.entropy)
        constant, slope, plus, minus = price, multiplier * self.delta, high.worth, low.worth
        if part is not x:
            settled = x.sign < 0
            minus = low.worth[x.either]
            constant -= float(x.held[settled].sum())
            slope += float(low.worth[settled].sum())
        if part.raised:
            minus = np.where(part.sign > 0, -np.inf, minus)
        if part.lowered:
            plus = np.where(part.sign < 0, -np.inf, plus)
        sizes = self._held + abs(price), size
        return Profile(constant, slope, part.held, plus, minus, sizes, rounding(x))

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
        normaliser = np.dot(x.weight, point.power)
        if not normaliser > 0:
            return -math.inf
        return float(np.abs(x.held - x.moved * (point.power / normaliser)).sum())

    def signs(self, point: Point) -> tuple[Vector, float]:
        """The signs of p_r − p̂ at a classifier, and the stationary price there."""
        x = self.atoms
        moved = x.moved * (point.power / float(np.dot(x.weight, point.power)))
        sign = np.where(x.held > moved, 1.0, -1.0)
        return sign, -float(np.dot(sign, moved))

    def linearise(self, point: Point) -> tuple[float, Vector]:
        """The stationary price at a classifier, and the rewards c of its neighbours."""
        sign, price = self.signs(point)
        return price, rewards(self.atoms, sign, price)


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
        parts = x.log_oracle[live] - np.log1p(-x.gamma) - x.log_slope[live]
        sizes = np.abs(x.log_oracle[live]) + abs(np.log1p(-x.gamma)) + np.abs(x.log_slope[live])
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

        low, high = span
        at = min(max(-1 / price, low), high) if price < 0 else high
        gain, normaliser, risk = self.atoms.total(sums).tolist()
        column = Column(gain, at, normaliser, risk)
        constant, size = self.constant
        value = constant + column.gain - price * column.normaliser + np.log(at) + price * at
        value += (multiplier + self.worth) * (self.delta - column.risk)
        size += abs(price) * (column.normaliser + self.atoms.least[1] + at)
        size += abs(np.log(at)) + abs(column.gain)
        size += (multiplier + self.worth) * (self.delta + column.risk + 2 * self.atoms.entropy)
        slack = float(rounding(self.atoms) * size)
        return Bound(float(value) + slack, [column], powers, None, slack)

    def cuts(
        self, span: tuple[float, float], columns: NDArray[np.float64]
    ) -> tuple[Vector, Vector, Vector]:
        """Affine minorants of the bound, column by column: slopes in multiplier and price, constants."""
        gain, own, normaliser, risk = columns.T
        at = np.empty((_TANGENTS + 1, len(risk)))
        at[:-1] = np.geomspace(span[0], span[1], _TANGENTS)[:, None]
        at[-1] = np.clip(own, span[0], span[1])
        slope = np.broadcast_to(self.delta - risk, at.shape)
        constant = self.constant[0] + gain + self.worth * (self.delta - risk) + np.log(at)
        return slope.T.ravel(), (at - normaliser).T.ravel(), constant.T.ravel()

    def value(self, point: Point) -> float:
        """RE of one classifier; −inf where float64 has nothing left to normalise."""
        gain, normaliser, _ = _retain_sums(self.atoms, point)
        if not normaliser > 0:
            return -math.inf
        return float(self.constant[0] + gain + np.log(normaliser))

    def linearise(self, point: Point) -> tuple[float, Vector]:
        """The stationary price at a classifier, and the rewards c of its neighbours."""
        price = -1 / float(np.dot(self.atoms.weight, point.power))
        return price, -price * self.atoms.slope


def _retain_sums(block: Atoms, point: Point) -> Any:
    with np.errstate(invalid="ignore"):
        kept = block.retain * point.log_f
    kept = kept if block.kept is None else np.where(block.kept, kept, 0.0)
    normaliser = (block.weight * point.power).sum()
    return np.array([-block.scale * kept.sum(), normaliser, block.risk(point)])


Dual = ForgetDual | RetainDual
