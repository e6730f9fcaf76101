"""Classifiers of retain against forget: trained on samples, or built to a given excess risk.

All give log-odds log f/(1−f) on the atoms, shape (n_atoms,).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, log_expit

from sims.features import cosine_features
from sims.network import network
from t3theory._checks import count, positive
from t3theory._xp import log_sigmoid
from t3theory.classifier import bayes_log_odds, excess_risk_of_log_odds
from t3theory.envelope import worst_case
from t3theory.exceptions import AssumptionError
from t3theory.mixture import Mixture

__all__ = [
    "check_leaking",
    "check_random",
    "descend",
    "draw",
    "leaking",
    "logistic",
    "random_of_risk",
    "tabular",
    "train",
    "worst",
]


_LEAST_RISK = 1e-300
"""Smaller risks would run into the least floats."""
_FIRST, _LAST = -700.0, -(2.0**-53)
"""log t between f* and g: at the first t = 1e-304, whose risk is below the least; the last is
just short of t = 1, where a g of 0 or 1 may have infinite risk."""
_NEWTON_STEPS, _HALVINGS = 1000, 60
_DECREMENT, _ROUNDING = 1e-14, 1e-13
"""Of the penalised loss: what a Newton step must promise to be made; what two sums may differ by."""
_STEPS = 300
"""Of a network that no study stops at a step of its own: its risk is least about there."""


def draw(mixture: Mixture, n: int, generator: np.random.Generator) -> np.ndarray:
    """Counts of n independent labelled draws: row 0 retain, row 1 forget, shape (2, n_atoms)."""
    joint = np.stack([(1 - mixture.gamma) * mixture.retain, mixture.gamma * mixture.forget])
    return generator.multinomial(n, joint.ravel() / joint.sum()).reshape(joint.shape)


def tabular(counts: np.ndarray, prior: float = 0.5) -> np.ndarray:
    """f(z) = (k_z + 2(1−π))/(N_z + 2), k_z retain labels among N_z draws of z, as log-odds.

    Args:
        counts: as from :func:`draw`.
        prior: π, the share of forget labels that an atom without draws is thought to have;
            1/2 is add-one.

    >>> tabular(np.array([[3, 0], [0, 0]]))
    array([1.38629436, 0.        ])
    """
    return np.log(counts[0] + 2 * (1 - prior)) - np.log(counts[1] + 2 * prior)


def logistic(counts: np.ndarray, dimension: int = 32, penalty: float = 1.0) -> np.ndarray:
    """Penalised logistic regression on cosine features of the atom's place, by Newton's method.

    Args:
        counts: as from :func:`draw`.
        dimension: number of features.
        penalty: weight of ‖w‖²/2 against the summed log-loss, > 0.

    Raises:
        AssumptionError: names the argument, what it must be, and its value.
    """
    penalty, dimension = positive("penalty", penalty), count("dimension", dimension, 1)
    atoms = counts.shape[1]
    if not counts.any(axis=1).all():
        # One class only: its minimiser would tell the penalty alone; add-one, by choice.
        return np.full(atoms, float(np.log(counts[0].sum() + 1.0) - np.log(counts[1].sum() + 1.0)))
    features = cosine_features(atoms, dimension)
    weights = np.zeros(dimension)
    value = _penalised_loss(counts, features, weights, penalty)
    for _ in range(_NEWTON_STEPS):
        step, decrement = _newton_step(counts, features, weights, penalty)
        if decrement <= _DECREMENT * value:
            return features @ (weights - step)  # the last digits: each step squares what is left
        for halvings in range(_HALVINGS):
            moved = weights - 0.5**halvings * step
            reached = _penalised_loss(counts, features, moved, penalty)
            if reached <= value * (1 + _ROUNDING):
                break
        weights, value = moved, reached
    return features @ weights


def _penalised_loss(
    counts: np.ndarray, features: np.ndarray, weights: np.ndarray, penalty: float
) -> float:
    log_odds = features @ weights
    losses = counts[0] * log_expit(log_odds) + counts[1] * log_expit(-log_odds)
    return float(penalty * weights @ weights / 2 - losses.sum())


def _newton_step(
    counts: np.ndarray, features: np.ndarray, weights: np.ndarray, penalty: float
) -> tuple[np.ndarray, float]:
    """H⁻¹g and gᵀH⁻¹g, twice what the step promises to gain; scale-free in n, unlike ‖g‖/n."""
    log_odds = features @ weights
    retain, forget = expit(log_odds), expit(-log_odds)
    gradient = penalty * weights - features.T @ (counts[0] * forget - counts[1] * retain)
    # The product of both, never 1 − f: where f rounds to 1 that would be 0, or below.
    curvature = counts.sum(axis=0) * retain * forget
    values, vectors = np.linalg.eigh(features.T @ (curvature[:, None] * features))
    step = vectors @ ((vectors.T @ gradient) / (values.clip(min=0) + penalty))
    return step, float(gradient @ step)


def train(
    learner: str, mixture: Mixture, n: int, generator: np.random.Generator, **settings: Any
) -> np.ndarray:
    """Draw n labelled samples and train `learner` (tabular, logistic or network) on them."""
    counts = draw(mixture, n, generator)
    if learner == "tabular":
        return tabular(counts)
    if learner == "logistic":
        return logistic(counts, **settings)
    if learner == "network":
        steps = settings.get("steps", _STEPS)
        return network(counts, [steps], generator)[steps]
    raise AssumptionError("learner", "must be tabular, logistic or network", learner)


def descend(counts: np.ndarray, steps: Sequence[int], rate: float = 1.0) -> dict[int, np.ndarray]:
    """Full-batch gradient descent on the mean log-loss, one log-odds an atom, from 0.

    Nothing regularises it but stopping: atoms seen with one label only go on to ±∞.

    Args:
        steps: when to look.
        rate: step length in units of 4 atoms, of which no more is taken than is stable: 4 over
            the largest share of an atom.
    Returns:
        steps -> log-odds.
    """
    seen = counts.sum(axis=0)
    length = 4 * rate * counts.shape[1]
    length = min(length, 4 / float((seen / seen.sum()).max()))
    log_odds = np.zeros(counts.shape[1])
    kept = {}
    for step in range(1, max(steps) + 1):
        log_odds += length * (counts[0] - seen * expit(log_odds)) / seen.sum()
        if step in steps:
            kept[step] = log_odds.copy()
    return kept


def _between(mixture: Mixture, target: np.ndarray, log_t: float) -> np.ndarray:
    """Log-odds of (1−t) f* + t·g, g given by its log-odds.

    Logarithms of f and of 1−f throughout: where f* = 1 − 1e-20, rounding it to 1 would cost an
    infinite risk.
    """
    star, log_rest = bayes_log_odds(mixture), np.log(-np.expm1(log_t))
    high, low = (
        np.logaddexp(log_rest + log_sigmoid(sign * star), log_t + log_sigmoid(sign * target))
        for sign in (1, -1)
    )
    return high - low


def _require_risk(mixture: Mixture, target: np.ndarray, delta: float) -> None:
    most = float(excess_risk_of_log_odds(mixture, _between(mixture, target, _LAST)))
    if not _LEAST_RISK <= delta <= most:
        raise AssumptionError("delta", f"must lie in [{_LEAST_RISK:g}, {most:.3g}] here", delta)


def _towards(mixture: Mixture, target: np.ndarray, delta: float) -> np.ndarray:
    """Log-odds of (1−t) f* + t·g with excess risk δ, which increases in t: convex, 0 at t = 0."""
    _require_risk(mixture, target, delta)

    def log_ratio(log_t: float) -> float:
        risk = float(excess_risk_of_log_odds(mixture, _between(mixture, target, log_t)))
        # On a logarithmic scale, so that small risks keep their relative precision.
        return math.log(max(risk, sys.float_info.min)) - math.log(delta)

    return _between(mixture, target, brentq(log_ratio, _FIRST, _LAST, xtol=1e-14, rtol=1e-14))


def _random_target(mixture: Mixture, generator: np.random.Generator) -> np.ndarray:
    return 3 * generator.standard_normal(mixture.size)


def _leaking_target(mixture: Mixture) -> np.ndarray:
    return np.where(mixture.forget > 0, np.inf, bayes_log_odds(mixture))


def check_random(mixture: Mixture, delta: float, generator: np.random.Generator) -> None:
    """Refuse the δ that :func:`random_of_risk` would, for one evaluation of the risk."""
    _require_risk(mixture, _random_target(mixture, generator), delta)


def check_leaking(mixture: Mixture, delta: float) -> None:
    """Refuse the δ that :func:`leaking` would, for one evaluation of the risk."""
    _require_risk(mixture, _leaking_target(mixture), delta)


def random_of_risk(mixture: Mixture, delta: float, generator: np.random.Generator) -> np.ndarray:
    """A random classifier with excess risk δ: the Bayes one mixed with random values.

    The random values are σ(3g), g standard normal, on each atom.

    >>> m = Mixture(retain=[0.5, 0.5], forget=[0.0, 1.0], gamma=0.5)
    >>> log_odds = random_of_risk(m, 0.01, np.random.default_rng(0))
    >>> round(float(excess_risk_of_log_odds(m, log_odds)), 9)
    0.01
    """
    return _towards(mixture, _random_target(mixture, generator), delta)


def leaking(mixture: Mixture, delta: float) -> np.ndarray:
    """The classifier of excess risk δ that errs by calling forget atoms retain (statement F).

    >>> m = Mixture(retain=[1.0, 0.0], forget=[0.0, 1.0], gamma=0.1)
    >>> f = expit(leaking(m, 0.01))
    >>> bool(np.isclose(f[1], -np.expm1(-0.01 / 0.1), rtol=1e-9))
    True
    """
    return _towards(mixture, _leaking_target(mixture), delta)


def worst(
    mixture: Mixture, delta: float, temperature: float, quantity: str = "forget_error"
) -> np.ndarray:
    """The classifier of excess risk at most δ with the largest error known: the envelope's witness.

    >>> m = Mixture(retain=[1.0, 0.0], forget=[0.0, 1.0], gamma=0.1, reference=[1.0, 1e-3])
    >>> bool(excess_risk_of_log_odds(m, worst(m, 0.01, 1.0)) <= 0.01)
    True
    """
    return worst_case(mixture, delta, temperature, quantity).log_odds
