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
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from sims.features import cosine_features
from sims.network import network
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
    """Penalised logistic regression on cosine features of the atom's place.

    Args:
        counts: as from :func:`draw`.
        dimension: number of features.
        penalty: weight of ‖w‖²/2 against the summed log-loss.
    """
    atoms = counts.shape[1]
    if not counts.any(axis=1).all():
        # One class only: the regression has no minimiser; add-one is the neutral answer.
        return np.full(atoms, float(np.log(counts[0].sum() + 1.0) - np.log(counts[1].sum() + 1.0)))
    features = cosine_features(atoms, dimension)
    seen = counts.ravel() > 0
    # The tolerance is of the gradient for each draw: the default, 1e-4, is 100 for a million.
    model = LogisticRegression(
        C=1 / penalty, fit_intercept=False, solver="newton-cholesky", tol=1e-10, max_iter=1000
    )
    model.fit(
        np.concatenate([features, features])[seen],
        np.repeat([1, 0], atoms)[seen],
        sample_weight=counts.ravel()[seen],
    )
    return model.decision_function(features)


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
