"""Which normalisers N(f) = Σ w f^s the classifiers within a budget can have.

The search over N is rigorous because the interval it starts from holds every N(f).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from t3theory.envelope.atoms import Atoms
from t3theory.envelope.budget import spend
from t3theory.envelope.dual import Dual, ForgetDual, rounding
from t3theory.envelope.maximiser import maximise

__all__ = ["LEAST_NORMALISER", "Reach", "affordable", "mean_log_f", "normalisers"]

Vector = NDArray[np.float64]

LEAST_NORMALISER = 1e-290
"""Below it 1/N is near the end of float64: what has such an N is left to a bound known beforehand."""


class Reach(NamedTuple):
    """An interval of normalisers, and the multipliers that proved its ends."""

    span: tuple[float, float]
    multipliers: list[float]


def normalisers(dual: Dual) -> tuple[float, float]:
    """An interval that holds N(f) of every classifier within the boxes and the budget.

    Its lower end is at least LEAST_NORMALISER: where it is no more, some may have less.
    """
    x = dual.atoms
    low = float(np.dot(x.weight, np.exp(x.scale * x.log_low)))
    high = float(np.dot(x.weight, np.exp(x.scale * x.log_high)))
    # Jensen: log N ≥ Σ P_r log(w/P_r) + s Σ P_r log f, and the risk bounds the last sum.
    live = x.retain > 0
    ratio = x.log_slope[live] - x.log_oracle[live] + math.log1p(-x.gamma)
    jensen = float(np.dot(x.retain[live], ratio)) + x.scale * mean_log_f(x, dual.delta)[0]
    low = max(low, math.exp(min(jensen, 0.0)))
    slack = 1e-9 + 4 * x.size * rounding(x)  # of the sums, whatever their order
    return max(low * (1 - slack), LEAST_NORMALISER), high * (1 + slack)


def mean_log_f(atoms: Atoms, delta: float) -> tuple[float, float]:
    """Least Σ P_r log f within the budget, and the size of its terms.

    Σ P (1−f*) log((1−f*)/(1−f)) ≥ Σ P (1−f*) log(1−f*) leaves the rest of the risk to it.
    """
    x, live = atoms, atoms.retain > 0
    rest = np.where(x.co_oracle > 0, x.log_co_oracle, 0.0)
    spent = (delta - float(np.dot(x.probability, x.co_oracle * rest))) / (1 - x.gamma)
    star = float(np.dot(x.retain[live], x.log_oracle[live]))
    return star - spent, spent - star


def affordable(dual: Dual, guesses: Sequence[float] = ()) -> Reach:
    """A narrower interval: the largest ±N within the budget, bounded by its own Lagrangian.

    ±N(f) ≤ λδ + Σ max_f [±w f^s − λ P kl(f*‖f)] for every λ > 0; the best λ spends the
    budget. `guesses`: λ for −N and for N.
    """
    atoms, plain = dual.atoms, ForgetDual(dual.atoms, dual.delta)
    ends, multipliers = [], []
    for i, sign in enumerate((-1.0, 1.0)):
        c = sign * atoms.slope
        multiplier = guesses[i] if guesses else spend(plain, c)[1]
        multipliers.append(multiplier)

        def sums(block: Atoms, part: Vector, multiplier: float = multiplier) -> Vector:
            point = maximise(block, part, multiplier, multiplier)
            return np.array([np.sum(block.weight * point.power), block.risk(point)])

        level, risk = atoms.total(sums, c)
        size = level + multiplier * (dual.delta + risk + 2 * atoms.entropy)
        slack = multiplier * (dual.delta - risk) + rounding(atoms) * size
        ends.append(sign * (sign * level + slack))
    low, high = normalisers(dual)
    # A bound that overflowed says nothing.
    low = max(low, ends[0]) if math.isfinite(ends[0]) else low
    high = min(high, ends[1]) if math.isfinite(ends[1]) else high
    return Reach((float(low), float(max(high, low * (1 + 1e-12)))), multipliers)
