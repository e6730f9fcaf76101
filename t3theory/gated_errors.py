"""N, whole: both errors of gated tempering, from the risk alone.

Densities are conditional probabilities (counting measure on outcomes), as in `t3theory.gating`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from t3theory._checks import nonnegative
from t3theory._xp import Array, log, logsumexp, namespace
from t3theory.contexts import ContextMixture
from t3theory.gating import gate_guarantee
from t3theory.sequences import risk_retain_bound

__all__ = ["GatedErrors", "gated_error_bounds"]


class GatedErrors(NamedTuple):
    """Upper bounds on both errors of a hard gate.

    Attributes:
        retain_error: of Σ_c P_r(c) KL(P_r(·|c)‖P̂(·|c)), nats.
        forget_error: of Σ P_f(c,y)|P_r(y|c) − P̂(y|c)|, at most 1.
    """

    retain_error: float
    forget_error: float


def gated_error_bounds(
    mixture: ContextMixture,
    excess_risk: float,
    temperature: float,
    threshold: float = 0.5,
    lower_threshold: float = 0.0,
) -> GatedErrors:
    """N. Both errors of p̂ ∝ P^{1/T(c)} f, T(c) = T where γ̂_c > τ, for every f with δ(f) ≤ δ.

    Args:
        excess_risk: δ, nats. temperature: T ≥ 1.
        threshold: τ in (0, 1). lower_threshold: τ₀ in [0, τ).

    >>> m = ContextMixture([[0.5, 0.5], [0.0, 0.0]], [[0.0, 0.0], [0.5, 0.5]], gamma=0.1)
    >>> gated_error_bounds(m, 0.0, 2.0)
    GatedErrors(retain_error=0.0, forget_error=0.5)
    """
    delta = nonnegative("excess_risk", excess_risk)
    gate = gate_guarantee(mixture, delta, temperature, threshold, lower_threshold)
    xp = namespace(mixture.retain)
    oracle = mixture.estimate(mixture.bayes_classifier, temperature)
    bias = mixture.retain_error(oracle)
    tilted = risk_retain_bound(mixture, delta, temperature)
    peak = mixture.forget_peaks
    mixed = mixture.retain_contexts > 0
    pure = float(xp.sum(xp.where(mixed, 0 * peak, mixture.forget_contexts * peak)))
    tempered = xp.where(mixed, mixture.forget_errors(oracle), 0 * peak)
    missed = min(_of_risk(mixture, delta, 1.0), gate.ungated_forget_error)
    forget = pure + float(xp.sum(tempered)) + _of_risk(mixture, delta, temperature) + missed
    return GatedErrors(min(gate.retain_bias, bias) + tilted, min(forget, 1.0))


def _of_risk(mixture: ContextMixture, delta: float, temperature: float) -> float:
    """What the risk adds to the forget error of all contexts with retain data, at one T."""
    if delta == 0:
        return 0.0
    xp = namespace(mixture.retain)
    mixed, log_p = mixture.retain_contexts > 0, mixture.log_conditional
    log_norm = logsumexp(log_p / temperature + log(mixture.bayes_classifier))
    log_norm = xp.where(mixed, log_norm, xp.zeros_like(log_norm))
    log_share, log_peak = log(mixture.forget_share), log(mixture.forget_peaks)
    lost = xp.where(mixed, mixture.context_probabilities, 0 * log_norm)
    moved = (log_share + log_peak) / temperature - log_norm
    cooling = (1 - 1 / temperature) * math.log(mixture.retain.shape[-1])
    renormed = log_share + log_peak + cooling - log_norm
    power = max(2.0, temperature)
    total = 0.0
    for log_part, r in ((moved, 2.0), (renormed, power)):
        total += _mean(lost, log_part, r / (r - 1)) * (delta / 2) ** (1 / r)
    return total / mixture.gamma


def _mean(weights: Array, log_values: Array, power: float) -> float:
    """(Σ w v^q)^{1/q}, shape ()."""
    return math.exp(float(logsumexp(log(weights) + power * log_values)) / power)
