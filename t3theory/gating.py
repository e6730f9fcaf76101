"""N. Gated tempering: a temperature for each context, decided by the classifier itself.

Contexts are rows; densities are conditional probabilities (counting measure on outcomes).
"""

from __future__ import annotations

import math
from typing import NamedTuple

from t3theory._checks import at_least, classifier_values, count, number, share
from t3theory._xp import Array, as_float_array, namespace, require
from t3theory.bounds.pinsker import gap_bound
from t3theory.classifier import overlap
from t3theory.contexts import ContextMixture

__all__ = [
    "GateGuarantee",
    "gate_guarantee",
    "gate_signal",
    "gated_temperature",
    "retain_bias_bound",
    "soft_gate_bias_bound",
]


def gate_signal(mixture: ContextMixture, f: Array) -> Array:
    """γ̂_c = E_{P(·|c)}[1 − f], shape (contexts,): the share of forget data f sees in c.

    Args:
        f: in [0, 1], shape (contexts, outcomes).
    """
    f = classifier_values("f", f, mixture.retain)
    xp = namespace(mixture.retain, f)
    signal = xp.sum(xp.exp(mixture.log_conditional) * (1 - f), axis=-1)
    return xp.minimum(signal, xp.ones_like(signal))  # P(·|c) sums to 1 within rounding only


def gated_temperature(
    signal: Array, temperature: float, threshold: float = 0.5, soft: bool = False
) -> Array:
    """T(c) = T where γ̂_c > τ and 1 elsewhere; softly, T(c) = 1 + (T−1)γ̂_c.

    Args:
        signal: γ̂_c in [0, 1]. temperature: T ≥ 1. threshold: τ in [0, 1).

    >>> import numpy as np
    >>> gated_temperature(np.array([0.1, 0.9]), 3.0)
    array([1., 3.])
    """
    threshold = number("threshold", threshold, "must lie in [0, 1)", lambda x: 0 <= x < 1)
    temperature = at_least("temperature", temperature, 1)
    signal = as_float_array(signal)
    require((signal >= 0) & (signal <= 1), "signal", "must lie in [0, 1]", signal)
    if soft:
        return 1 + (temperature - 1) * signal
    xp = namespace(signal)
    return xp.where(signal > threshold, xp.full_like(signal, temperature), xp.ones_like(signal))


def retain_bias_bound(temperature: Array, outcomes: int, forget_share: Array) -> Array:
    """RB_T(c) ≤ (1 − 1/T)(log |Y| + log 1/(1−γ_c)), nats, for T ≥ 1; inf where γ_c = 1 < T.

    Args:
        temperature, forget_share: T(c) ≥ 1 and γ_c in [0, 1], shape (contexts,).
    """
    xp = namespace(temperature, forget_share)
    temperature = as_float_array(temperature, xp, forget_share)
    forget_share = as_float_array(forget_share, xp, temperature)
    ok = (temperature >= 1) & xp.isfinite(temperature)
    require(ok, "temperature", "must be ≥ 1 and finite", temperature)
    ok = (forget_share >= 0) & (forget_share <= 1)
    require(ok, "forget_share", "must lie in [0, 1]", forget_share)
    cooling = 1 - 1 / temperature
    none = forget_share >= 1
    log_kept = xp.log1p(-xp.where(none, xp.zeros_like(forget_share), forget_share))
    value = cooling * (math.log(count("outcomes", outcomes, 1)) - log_kept)
    return xp.where(none & (cooling > 0), xp.full_like(value, xp.inf), value)


class GateGuarantee(NamedTuple):
    """What a hard gate at τ costs and misses at most; statement N, in its order.

    Attributes:
        signal_error: of Σ_c P(c)|γ̂_c − γ_c|; this is Δ.
        missed: of P_f(not gated).
        gated_retain: of P_r(gated).
        retain_bias: of the gated oracle's Σ_c P_r(c) RB_{T(c)}(c), nats.
        ungated_forget_error: of the forget error of the contexts left at T = 1, which is at
            most 2 max P_f(y|c) times their P_f.
    """

    signal_error: float
    missed: float
    gated_retain: float
    retain_bias: float
    ungated_forget_error: float


def gate_guarantee(
    mixture: ContextMixture,
    excess_risk: float,
    temperature: float,
    threshold: float = 0.5,
    lower_threshold: float = 0.0,
) -> GateGuarantee:
    """N. The gate's guarantees for every classifier with δ(f) ≤ δ.

    Args:
        excess_risk: δ, nats. temperature: T ≥ 1.
        threshold: τ in (0, 1). lower_threshold: τ₀ in [0, τ).
    """
    threshold, temperature = share("threshold", threshold), at_least("temperature", temperature, 1)
    below = f"must lie in [0, {threshold})"
    number("lower_threshold", lower_threshold, below, lambda x: 0 <= x < threshold)
    xp = namespace(mixture.retain)
    gamma, forget, kept = mixture.gamma, mixture.forget_share, mixture.retain_contexts
    gap = gap_bound(float(overlap(mixture.joint)), excess_risk)
    missed = min(1.0, (threshold + gap) / gamma)
    alike = float(xp.sum(xp.where(forget > lower_threshold, kept, xp.zeros_like(kept))))
    gated = min(1.0, alike + gap / ((1 - gamma) * (threshold - lower_threshold)))
    cooling = 1 - 1 / temperature
    bias = cooling * (gated * math.log(mixture.retain.shape[-1]) + _mixed(mixture))
    return GateGuarantee(gap, missed, gated, bias, 2 * float(xp.max(mixture.forget_peaks)) * missed)


def soft_gate_bias_bound(mixture: ContextMixture, excess_risk: float, temperature: float) -> float:
    """N. Σ_c P_r(c) RB_{T(c)}(c), T(c) = 1 + (T−1)γ̂_c, for every classifier with δ(f) ≤ δ, nats.

    At most (T−1) [ (E_{P_r}[γ_c] + Δ/(1−γ)) log |Y| + E_{P_r} log 1/(1−γ_c) ], and what a uniform
    temperature T has.

    Args:
        excess_risk: δ, nats. temperature: T ≥ 1.
    """
    temperature = at_least("temperature", temperature, 1)
    xp = namespace(mixture.retain)
    gap = gap_bound(float(overlap(mixture.joint)), excess_risk) / (1 - mixture.gamma)
    seen = min(1.0, float(xp.sum(mixture.retain_contexts * mixture.forget_share)) + gap)
    outcomes, mixed = math.log(mixture.retain.shape[-1]), _mixed(mixture)
    return min((temperature - 1) * (seen * outcomes + mixed),
               (1 - 1 / temperature) * (outcomes + mixed))  # fmt: skip


def _mixed(mixture: ContextMixture) -> float:
    """E_{P_r} log 1/(1−γ_c), nats."""
    xp, kept = namespace(mixture.retain), mixture.retain_contexts
    seen = kept > 0
    # 1 − γ_c = (1−γ)P_r(c)/P(c), which stays positive where 1 − γ_c would round to 0
    pure = (1 - mixture.gamma) * kept
    pure = pure / xp.where(seen, mixture.context_probabilities, xp.ones_like(kept))
    return -float(xp.sum(kept * xp.log(xp.where(seen, pure, xp.ones_like(pure)))))
