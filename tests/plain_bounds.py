"""The formulas of docs/theory.md written out once more in plain numbers, for small instances.

No logarithms but where the statement has them, no masks: slow, obvious, and blind to how the
library arrives at the same values.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq

from t3theory import Mixture

__all__ = ["Case", "Plain", "divergence", "formulas", "kl"]


class Case(NamedTuple):
    mixture: Mixture
    f: np.ndarray


def kl(a: float, b: float) -> float:
    return sum(x * math.log(x / y) for x, y in ((a, b), (1 - a, 1 - b)) if x > 0)


def divergence(p: np.ndarray, q: np.ndarray) -> float:
    seen = p > 0
    return float(np.sum(p[seen] * np.log(p[seen] / q[seen])))


class Plain:
    """The names of docs/notation.md, for one mixture, classifier and temperature."""

    def __init__(self, case: Case, t: float) -> None:
        m = case.mixture
        self.case, self.t, self.g = case, t, m.gamma
        keep = np.asarray(m.retain) + np.asarray(m.forget) > 0
        self.r, self.q, self.mu, self.f = (
            np.asarray(x)[keep] for x in (m.retain, m.forget, m.reference, case.f)
        )
        self.P = (1 - self.g) * self.r + self.g * self.q
        self.star = (1 - self.g) * self.r / self.P
        self.delta = float(
            sum(p * kl(a, b) for p, a, b in zip(self.P, self.star, self.f, strict=True))
        )
        self.O = float(np.sum(self.P * self.star * (1 - self.star)))
        self.base = self.mu * (self.P / self.mu) ** (1 / t)
        self.N, self.N_star = float(self.base @ self.f), float(self.base @ self.star)
        self.estimate, self.oracle = (
            self.base * self.f / self.N,
            self.base * self.star / self.N_star,
        )
        self.h = float(np.max(self.q / self.mu))
        self.gap = min(
            math.sqrt(self.delta / 2), math.sqrt(2 * self.O * self.delta) + self.delta, 1
        )
        self.mass = float(np.sum(self.mu)) ** (1 - 1 / t)

    def on_forget(self, law: np.ndarray) -> float:
        return float(np.sum(self.q * law / self.mu))

    def retain_error(self, law: np.ndarray) -> float:
        return divergence(self.r, law)

    def forget_error(self, law: np.ndarray) -> float:
        return float(np.sum(self.q * np.abs(self.r - law) / self.mu))

    def weighted(self, w: np.ndarray) -> float:
        """D with a weight."""
        second = float(np.sum(self.P * w**2))
        local = float(np.sum(self.P * w**2 * self.star * (1 - self.star)))
        return min(
            math.sqrt(second * self.delta / 2),
            math.sqrt(2 * local * self.delta) + self.delta * float(np.max(w)),
            float(np.sum(self.P * w)),
        )

    @property
    def slow_holder(self) -> float:
        return self.mass * min(self.delta / 2, 1) ** (1 / max(2, self.t))

    @property
    def holder(self) -> float:
        square = min(self.delta / 2, self.gap)
        low = self.gap ** (2 - self.t) * square ** (self.t - 1)
        return self.mass * (square if self.t >= 2 else low) ** (1 / self.t)

    @property
    def normaliser_gap(self) -> float:
        return min(self.holder, self.weighted((self.P / self.mu) ** (1 / self.t - 1)))

    @property
    def floor(self) -> float:
        bias = self.retain_error(self.oracle)
        spent = (self.delta + min(self.gap, 1 - self.g)) / (1 - self.g)
        floors = [self.N_star - self.normaliser_gap, self.N_star * math.exp(-bias - spent)]
        if self.t == 1:
            low = 1e-300
            floors.append(brentq(lambda b: kl(1 - self.g, b) - self.delta, low, 1 - self.g))
        return max(floors)

    @property
    def centred(self) -> float:
        """G's joint term, its mean m found by a search."""
        v = (self.P / self.mu) ** (1 / self.t - 1)
        w = v * self.q / self.mu
        variance = self.P * self.star * (1 - self.star)
        a, k, c = (float(variance @ x) for x in (w * w, w * v, v * v))
        rho = self.N_star * float(np.max((v * (1 - self.star))[self.q > 0]))
        m = np.linspace(0, self.on_forget(self.oracle), 4001)
        phi = a - 2 * m * (k - rho * (m[-1] - m)) + m**2 * c
        values = np.sqrt(2 * phi * self.delta) + self.delta * (np.max(w) + m * np.max(v))
        return float(np.max(values))

    def leakage(self, theta: float = 1.0) -> float:
        """Q without its first term, the split of the risk found by a search, not by its formula."""
        prior = min(float(np.max(self.star[self.q > 0])), float(self.q @ self.star) / theta)
        outside = self.q == 0
        rho = float(np.sum(self.r[outside]))
        top = float(np.max((self.P / self.mu)[self.q > 0] ** (1 / self.t)))
        g = self.g * theta
        most = self.delta / g
        end = 1 - 1e-15
        high = brentq(lambda b: kl(prior, b) - most, prior, end) if kl(prior, end) > most else end
        if rho == 0:
            return self.h
        c = (1 - self.g) * rho
        share = self.r[outside] / rho
        b_out = rho * math.exp(float(np.sum(share * np.log(self.base[outside] / self.r[outside]))))
        best = 0.0
        for b in np.linspace(prior, high, 4001):
            rest = max(self.delta - g * kl(prior, float(b)), 0.0)
            leak = theta * float(b) * top
            best = max(best, leak / (leak / self.h + b_out * math.exp(-rest / c)))
        return best

    @property
    def least_truth(self) -> float:
        return float(np.min((self.r / self.mu)[self.q > 0]))


def formulas(p: Plain) -> dict[tuple[str, str], float]:
    """Letter and variant → value, from docs/theory.md."""
    rest, delta = 1 - p.g, p.delta
    bias, floor = p.forget_error(p.oracle), p.floor
    sup = p.g ** (1 / p.t - 1) * p.h ** (1 / p.t)
    weight = (p.q / p.mu) * (p.P / p.mu) ** (1 / p.t - 1)
    leak, tilted, ideal = sup * p.gap, p.on_forget(p.estimate), p.on_forget(p.oracle)
    retain_bias = p.retain_error(p.oracle)
    joined = np.abs((p.P / p.mu) ** (1 / p.t - 1) / p.N_star - 1 / rest)
    found = {
        ("F", "Jensen"): abs(tilted - p.on_forget(p.r)),
        ("G", "slow"): bias + (sup * math.sqrt(delta / 2) + tilted * p.slow_holder) / p.N_star,
        ("G", "fast"): bias + (leak + tilted * p.holder) / p.N_star,
        ("G", "a priori"): bias + (leak + ideal * p.holder) / floor,
        ("G", "weighted"): bias
        + (min(leak, p.weighted(weight)) + ideal * p.normaliser_gap) / floor,
        ("H", "slow"): retain_bias
        + (delta + math.sqrt(delta / 2)) / rest
        + p.slow_holder / p.N_star,
        ("H", "fast"): retain_bias
        + (delta + p.gap) / rest
        + math.log1p(p.normaliser_gap / p.N_star),
        ("H", "weighted"): retain_bias + delta / rest + (0.0 if p.t == 1 else p.weighted(joined)),
        ("G", "centred"): bias + p.centred / floor,
        ("Q", ""): p.on_forget(p.r) + p.leakage(),
    }
    if p.t > 1:
        retain = min(found["H", v] for v in ("slow", "fast", "weighted"))
        found["G", "through H"] = p.h * math.sqrt(2 * retain)
    if p.least_truth > 0:
        values = [p.leakage(x) - 2 * x * p.least_truth for x in np.linspace(0.01, 1, 100)]
        found["Q", "split"] = p.on_forget(p.r) + max(*values, 0.0)
    if p.t == 1:
        side = p.P * (1 - p.f)
        forget = p.g * divergence(p.q, side / side.sum())
        normaliser = kl(rest, p.N)
        found |= {
            ("A", "identity"): (delta - forget - normaliser) / rest,
            ("A", "normaliser"): (delta - normaliser) / rest,
            ("B", ""): delta / rest,
            ("C", ""): p.h * math.sqrt(2 * delta / rest),
            ("E", "a priori"): p.gap * (p.h + p.on_forget(p.r)) / floor,
            ("E", "known normaliser"): p.gap * (p.h + p.on_forget(p.r)) / p.N,
        }
    return found
