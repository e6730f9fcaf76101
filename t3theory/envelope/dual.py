"""Lagrangian duals of the two worst cases, split over atoms.

Write t = 1/N for the reciprocal normaliser and drop the scale N* (see `atoms`). For every
classifier f with N(f) = Σ w f^s = 1/t and δ(f) ≤ δ, and every multiplier λ ≥ 0, η:

* forget error, Φ(t; λ, η) = η + tλδ + Σ max_{σ=±1, f} [σ P_f p_r − t (σ P_f b + η w) f^s − tλ P kl(f*‖f)]
  is at least FE(f). Being a maximum of functions affine in t, it is **convex in t**, so its
  two end values bound it on a whole interval.
* retain error, with θ the multiplier of N and H(λ, θ) = λδ + Σ max_f [−s P_r log f − λ P kl − θ w f^s]:
  RE(f) ≤ C + H(λ, θ) + log N + θN, and the maximum of log N + θN over an interval of N is
  known in closed form.

Both are convex in their multipliers. A maximiser over the atoms enters them only through
four sums (a `Column`), and each column is an affine minorant of the dual at every t.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from t3theory.envelope.atoms import Atoms, Point, maximise

__all__ = ["Column", "Dual", "ForgetDual", "RetainDual"]

Vector = NDArray[np.float64]
_ROUNDING = 64 * np.finfo(np.float64).eps


class Column(NamedTuple):
    """What a maximiser contributes: value = gain − (stuff linear in the multipliers)."""

    gain: float
    moved: float
    normaliser: float
    risk: float


class Dual(Protocol):
    """A family of upper bounds on an error over an interval of the normaliser."""

    atoms: Atoms
    delta: float
    floor: float
    worth: float

    def bound(
        self, span: tuple[float, float], multiplier: float, price: float
    ) -> tuple[float, list[Column]]:
        """Rigorous bound over all classifiers with N in `span`, and the columns that attain it."""
        ...

    def cuts(
        self, span: tuple[float, float], columns: NDArray[np.float64]
    ) -> tuple[Vector, Vector, Vector]:
        """Affine minorants of the bound: slopes in the multiplier, in the price, constants."""
        ...

    def value(self, point: Point) -> float:
        """The error of one classifier."""
        ...

    def prices(self, point: Point) -> tuple[float, Vector]:
        """The stationary price at a classifier, and its linear rewards c."""
        ...


def _entropy(atoms: Atoms) -> float:
    with np.errstate(invalid="ignore"):
        h = -np.where(atoms.oracle > 0, atoms.oracle * atoms.log_oracle, 0.0)
        h -= np.where(atoms.co_oracle > 0, atoms.co_oracle * atoms.log_co_oracle, 0.0)
    return float(np.dot(atoms.probability, h))


@dataclass(frozen=True)
class ForgetDual:
    """Bounds on E_{P_f}|p_r − p̂|."""

    atoms: Atoms
    delta: float
    floor: float = 0.0
    worth: float = 0.0

    def rewards(self, sign: Vector | float, price: float) -> Vector:
        """c of the atoms' problem, for signs of p_r − p̂."""
        x = self.atoms
        return -(sign * x.base * x.co_oracle / x.gamma + price * x.slope)

    def respond(self, sign: Vector | float, multiplier: float, price: float) -> Point:
        """The atoms' maximisers for given signs."""
        return maximise(self.atoms, self.rewards(sign, price), multiplier, multiplier)

    def bound(
        self, span: tuple[float, float], multiplier: float, price: float
    ) -> tuple[float, list[Column]]:
        x = self.atoms
        held = x.forget * x.retain_density
        sides = []
        for sign in (-1.0, 1.0):
            point = self.respond(sign, multiplier, price)
            kl = x.divergence(point)
            gain = -(sign * x.forget * x.base + price * x.weight) * point.power
            sides.append((point, kl, gain - multiplier * x.probability * kl))
        best, columns = -np.inf, []
        for t in (1 / span[1], 1 / span[0]):
            plus = held + t * sides[1][2] > -held + t * sides[0][2]
            power = np.where(plus, sides[1][0].power, sides[0][0].power)
            kl = np.where(plus, sides[1][1], sides[0][1])
            sign = np.where(plus, 1.0, -1.0)
            column = Column(
                float(np.dot(sign, held)),
                float(np.dot(sign * x.forget, x.base * power)),
                float(np.dot(x.weight, power)),
                float(np.dot(x.probability, kl)),
            )
            columns.append(column)
            value = column.gain - t * column.moved + price * (1 - t * column.normaliser)
            value += t * multiplier * (self.delta - column.risk)
            size = float(held.sum()) + t * float(np.dot(x.forget, x.base * power))
            size += abs(price) * (1 + t * column.normaliser)
            size += t * multiplier * (self.delta + column.risk + 2 * _entropy(x))
            best = max(best, value + _ROUNDING * size)
        return best, columns

    def cuts(
        self, span: tuple[float, float], columns: NDArray[np.float64]
    ) -> tuple[Vector, Vector, Vector]:
        gain, moved, normaliser, risk = columns.T
        t = np.array([1 / span[1], 1 / span[0]])[:, None]
        slope, price, constant = t * (self.delta - risk), 1 - t * normaliser, gain - t * moved
        return slope.ravel(), price.ravel(), constant.ravel()

    def value(self, point: Point) -> float:
        x = self.atoms
        normaliser = float(np.dot(x.weight, point.power))
        return float(np.dot(x.forget, np.abs(x.retain_density - x.base * point.power / normaliser)))

    def signs(self, point: Point) -> Vector:
        """Signs of p_r − p̂, −1 where they agree."""
        x = self.atoms
        normaliser = float(np.dot(x.weight, point.power))
        return np.where(x.retain_density > x.base * point.power / normaliser, 1.0, -1.0)

    def prices(self, point: Point) -> tuple[float, Vector]:
        x, sign = self.atoms, self.signs(point)
        normaliser = float(np.dot(x.weight, point.power))
        price = -float(np.dot(sign * x.forget, x.base * point.power)) / normaliser
        return price, self.rewards(sign, price)


@dataclass(frozen=True)
class RetainDual:
    """Bounds on KL(P_r‖P̂). The multiplier is λ − s/(1−γ), the excess over what log f is worth."""

    atoms: Atoms
    delta: float

    @property
    def constant(self) -> float:
        """C = Σ P_r log(P_r/w), of one atom of each kind."""
        x = self.atoms
        live = x.retain > 0
        ratio = np.log(x.oracle[live] / (1 - x.gamma)) - np.log(x.slope[live])
        return float(np.dot(x.retain[live], ratio))

    @property
    def worth(self) -> float:
        """s/(1−γ): retain error bought by a unit of risk spent on log f."""
        return self.atoms.scale / (1 - self.atoms.gamma)

    @property
    def floor(self) -> float:
        """Least multiplier with a finite bound."""
        ok = bool(np.all(np.isfinite(self.atoms.log_low[self.atoms.retain > 0])))
        return -self.worth if ok else 0.0

    def respond(self, multiplier: float, price: float) -> Point:
        """The atoms' maximisers."""
        return maximise(self.atoms, -price * self.atoms.slope, multiplier, multiplier + self.worth)

    def bound(
        self, span: tuple[float, float], multiplier: float, price: float
    ) -> tuple[float, list[Column]]:
        x = self.atoms
        point = self.respond(multiplier, price)
        column = self.column(point)
        low, high = span
        at = min(max(-1 / price, low), high) if price < 0 else high
        value = self.constant + column.gain - price * column.normaliser + np.log(at) + price * at
        value += (multiplier + self.worth) * (self.delta - column.risk)
        size = abs(self.constant) + 1 + abs(price) * (column.normaliser + at) + abs(np.log(at))
        size += abs(column.gain) + abs(multiplier + self.worth) * (
            self.delta + column.risk + 2 * _entropy(x)
        )
        return float(value + _ROUNDING * size), [column]

    def column(self, point: Point) -> Column:
        """Its four sums."""
        x = self.atoms
        live = x.retain > 0
        gain = -x.scale * float(np.dot(x.retain[live], point.log_f[live]))
        return Column(gain, 0.0, float(np.dot(x.weight, point.power)), x.risk(point))

    def cuts(
        self, span: tuple[float, float], columns: NDArray[np.float64]
    ) -> tuple[Vector, Vector, Vector]:
        gain, _, normaliser, risk = columns.T
        at = np.geomspace(span[0], span[1], 9)[:, None]
        slope = np.broadcast_to(self.delta - risk, (9, len(risk)))
        constant = self.constant + gain + self.worth * (self.delta - risk) + np.log(at)
        return slope.ravel(), (at - normaliser).ravel(), constant.ravel()

    def value(self, point: Point) -> float:
        column = self.column(point)
        return float(self.constant + column.gain + np.log(column.normaliser))

    def prices(self, point: Point) -> tuple[float, Vector]:
        price = -1 / float(np.dot(self.atoms.weight, point.power))
        return price, -price * self.atoms.slope
