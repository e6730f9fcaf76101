"""A. The chain-rule identity: what a classifier's excess risk is spent on."""

from __future__ import annotations

import math
from typing import NamedTuple

from t3theory._xp import Array, log_sigmoid, logsumexp, namespace
from t3theory.bounds.bound import Bound
from t3theory.bounds.terms import Terms
from t3theory.classifier import excess_risk_of_log_odds
from t3theory.divergences import bernoulli_kl, kl_divergence
from t3theory.mixture import Mixture

__all__ = ["ChainRule", "chain_rule", "identity_bounds", "normaliser_divergence"]


class ChainRule(NamedTuple):
    """The two sides of δ = (1−γ)KL(P_r‖P̂_r) + γKL(P_f‖P̂_f) + kl(1−γ‖Ẑ), in nats."""

    excess_risk: float
    retain: float
    forget: float
    normaliser: float


def chain_rule(mixture: Mixture, log_odds: Array) -> ChainRule:
    """δ and the three parts it is the sum of, exactly, at T = 1.

    With P̂_r = Pf/Ẑ, P̂_f = P(1−f)/(1−Ẑ), Ẑ = E_P[f]: `retain` is (1−γ)KL(P_r‖P̂_r), the
    retain error of guidance times 1−γ; `forget` is γKL(P_f‖P̂_f); `normaliser` kl(1−γ‖Ẑ).

    Args:
        log_odds: log f/(1−f), shape (n,).
    """
    log_p = mixture.log_probabilities
    parts = []
    for own, log_side in (
        (mixture.log_retain, log_p + log_sigmoid(log_odds)),
        (mixture.log_forget, log_p + log_sigmoid(-log_odds)),
    ):
        total = float(logsumexp(log_side))
        missing = total == -math.inf
        parts.append(math.inf if missing else float(kl_divergence(own, log_side - total)))
    return ChainRule(
        float(excess_risk_of_log_odds(mixture, log_odds)),
        (1 - mixture.gamma) * parts[0],
        mixture.gamma * parts[1],
        normaliser_divergence(mixture, log_odds),
    )


def normaliser_divergence(mixture: Mixture, log_odds: Array) -> float:
    """kl(1−γ‖Ẑ), Ẑ = E_P[f]: all a user needs for it is γ and the mean of f on the data."""
    xp = namespace(mixture.retain)
    log_p = mixture.log_probabilities
    kept = logsumexp(log_p + log_sigmoid(log_odds))
    dropped = logsumexp(log_p + log_sigmoid(-log_odds))
    prior = xp.full_like(kept, math.log1p(-mixture.gamma) - math.log(mixture.gamma))
    return float(bernoulli_kl(prior, kept - dropped))


def identity_bounds(terms: Terms, log_odds: Array) -> tuple[Bound, ...]:
    """RE_1 = [δ − γKL(P_f‖P̂_f) − kl(1−γ‖Ẑ)]/(1−γ), and without the middle part RE_1 ≤ it.

    The first equals the error to rounding; the second needs no more than δ and Ẑ, both of
    which a user can estimate. Here, where all parts are known, neither is formed by
    subtraction: δ less two parts is what the others add up to, and dividing by 1−γ would
    blow up what cancels.
    """
    parts = chain_rule(terms.mixture, log_odds)
    named = dict(parts._asdict())
    retained = 1 - terms.gamma
    if not math.isfinite(parts.excess_risk):
        return ()
    exact = parts.retain / retained
    estimable = (parts.retain + parts.forget) / retained
    return (
        Bound("A", "retain_error", "upper", exact, named, "identity", needs_classifier=True),
        Bound("A", "retain_error", "upper", estimable, named, "normaliser", needs_classifier=True),
    )
