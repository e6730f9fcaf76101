"""Classifiers of retain against forget, and their excess risk.

A classifier is its values f(z) = P(retain | z) in [0, 1] on the atoms, or, where the
ends matter, its log-odds log f/(1−f).
"""

from __future__ import annotations

import math

from t3theory._xp import Array, as_float_array, namespace, require, xlogy
from t3theory.divergences import bernoulli_kl
from t3theory.exceptions import AssumptionError
from t3theory.mixture import Mixture

__all__ = [
    "bayes_classifier",
    "bayes_log_odds",
    "change_prior",
    "excess_risk",
    "excess_risk_of_log_odds",
    "log_odds_of",
    "overlap",
]


def bayes_log_odds(mixture: Mixture) -> Array:
    """log f*/(1−f*) = log (1−γ)P_r − log γP_f, shape (n,); 0 where P = 0."""
    xp = namespace(mixture.retain)
    empty = (mixture.retain == 0) & (mixture.forget == 0)
    zero = xp.zeros_like(mixture.retain)
    log_retain = xp.where(empty, zero, mixture.log_retain)
    log_forget = xp.where(empty, zero, mixture.log_forget)
    prior = math.log1p(-mixture.gamma) - math.log(mixture.gamma)
    return xp.where(empty, zero, log_retain - log_forget + prior)


def bayes_classifier(mixture: Mixture) -> Array:
    """f* = (1−γ) P_r / P, shape (n,); 1/2 where P = 0."""
    xp = namespace(mixture.retain)
    odds = bayes_log_odds(mixture)
    small = xp.exp(-xp.abs(odds))  # never overflows
    return xp.where(odds < 0, small, xp.ones_like(small)) / (1 + small)


def log_odds_of(f: Array) -> Array:
    """log f/(1−f), ±inf at the ends.

    Raises:
        AssumptionError: an entry outside [0, 1].
    """
    f = as_float_array(f)
    xp = namespace(f)
    require((f >= 0) & (f <= 1), "f", "must lie in [0, 1]", f)
    half = xp.full_like(f, 0.5)
    inside = xp.where((f > 0) & (f < 1), f, half)
    value = xp.log(inside) - xp.log1p(-inside)
    value = xp.where(f == 0, xp.full_like(f, -xp.inf), value)
    return xp.where(f == 1, xp.full_like(f, xp.inf), value)


def excess_risk_of_log_odds(mixture: Mixture, log_odds: Array) -> Array:
    """δ(f) = Σ_z P(z) kl(f*(z)‖f(z)) of a classifier given by its log-odds, in nats."""
    xp = namespace(mixture.retain, log_odds)
    log_odds = as_float_array(log_odds, xp, mixture.retain)
    if log_odds.shape != mixture.retain.shape:
        raise AssumptionError("f", f"must have shape {mixture.retain.shape}", log_odds.shape)
    return xp.sum(xlogy(mixture.probabilities, bernoulli_kl(bayes_log_odds(mixture), log_odds)))


def excess_risk(mixture: Mixture, f: Array) -> Array:
    """δ(f) = Σ_z P(z) kl(f*(z)‖f(z)): log-loss of f above the least possible, in nats.

    >>> m = Mixture(retain=[0.5, 0.5], forget=[0.0, 1.0], gamma=0.5)
    >>> float(excess_risk(m, [1.0, 0.5])).__round__(6)
    0.042475
    """
    return excess_risk_of_log_odds(
        mixture, log_odds_of(as_float_array(f, namespace(mixture.retain, f), mixture.retain))
    )


def overlap(mixture: Mixture) -> Array:
    """O = E_P[f*(1−f*)], 0 exactly when the supports are disjoint, at most 1/4."""
    xp = namespace(mixture.retain)
    safe = xp.where(mixture.probabilities == 0, xp.ones_like(mixture.retain), mixture.probabilities)
    gamma = mixture.gamma
    return xp.sum((1 - gamma) * mixture.retain * (gamma * mixture.forget / safe))


def change_prior(log_odds: Array, trained: float, wanted: float) -> Array:
    """Log-odds of P(retain | z) at forget share `wanted`, from those learnt at `trained`.

    logit f_γ = logit f_π + log (1−γ)/γ − log (1−π)/π (statement M): balanced batches have
    π = 1/2, so only the first logarithm remains.

    >>> float(change_prior(0.0, trained=0.5, wanted=0.1)).__round__(6)
    2.197225
    """
    for name, share in (("trained", trained), ("wanted", wanted)):
        if not 0 < share < 1:
            raise AssumptionError(name, "must lie in (0, 1)", share)
    shift = math.log1p(-wanted) - math.log(wanted) - math.log1p(-trained) + math.log(trained)
    return log_odds + shift
