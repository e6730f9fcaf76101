"""N. Gated tempering: a temperature for each context, decided by the classifier itself.

Contexts are rows; densities are conditional probabilities (counting measure on outcomes).
"""

from __future__ import annotations

import math
from typing import NamedTuple

from t3theory._xp import Array, namespace
from t3theory.bounds.pinsker import gap_bound
from t3theory.classifier import overlap
from t3theory.contexts import ContextMixture
from t3theory.exceptions import AssumptionError

__all__ = [
    "GateGuarantee",
    "gate_guarantee",
    "gate_signal",
    "gated_temperature",
    "retain_bias_bound",
]


def gate_signal(mixture: ContextMixture, f: Array) -> Array:
    """γ̂_c = E_{P(·|c)}[1 − f], shape (contexts,): the share of forget data f sees in c."""
    xp = namespace(mixture.retain)
    return xp.sum(xp.exp(mixture.log_conditional) * (1 - f), axis=-1)


def gated_temperature(
    signal: Array, temperature: float, threshold: float = 0.5, soft: bool = False
) -> Array:
    """T(c) = T where γ̂_c > τ and 1 elsewhere; softly, T(c) = 1 + (T−1)γ̂_c.

    >>> import numpy as np
    >>> gated_temperature(np.array([0.1, 0.9]), 3.0)
    array([1., 3.])
    """
    if not 0 <= threshold < 1:
        raise AssumptionError("threshold", "must lie in [0, 1)", threshold)
    if not 1 <= temperature < math.inf:
        raise AssumptionError("temperature", "must be ≥ 1 and finite", temperature)
    if soft:
        return 1 + (temperature - 1) * signal
    xp = namespace(signal)
    return xp.where(signal > threshold, xp.full_like(signal, temperature), xp.ones_like(signal))


def retain_bias_bound(temperature: Array, outcomes: int, forget_share: Array) -> Array:
    """RB_T(c) ≤ (1 − 1/T)(log |Y| + log 1/(1−γ_c)), nats, for T ≥ 1; inf where γ_c = 1 < T.

    Args:
        temperature, forget_share: T(c) and γ_c, shape (contexts,).
    """
    xp = namespace(forget_share)
    cooling = 1 - 1 / temperature
    none = forget_share >= 1
    log_kept = xp.log1p(-xp.where(none, xp.zeros_like(forget_share), forget_share))
    value = cooling * (math.log(outcomes) - log_kept)
    return xp.where(none & (cooling > 0), xp.full_like(value, xp.inf), value)


class GateGuarantee(NamedTuple):
    """What the excess risk guarantees of a hard gate at τ, all from Δ ≥ E_P|f − f*|.

    Attributes:
        signal_error: Δ ≥ Σ_c P(c)|γ̂_c − γ_c|.
        missed: ≥ P_f(not gated).
        gated_retain: ≥ P_r(gated).
        retain_bias: ≥ the gated oracle's Σ_c P_r(c) RB_{T(c)}(c), nats.
        ungated_forget_error: ≥ the forget error of the contexts left at T = 1.
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
    """The gate's guarantees for every classifier with δ(f) ≤ δ.

    * P_f(γ̂_c ≤ τ) ≤ (τ + Δ)/γ;
    * P_r(γ̂_c > τ) ≤ P_r(γ_c > τ₀) + Δ/((1−γ)(τ−τ₀)) for τ₀ < τ;
    * Σ P_r(c) RB_{T(c)}(c) ≤ (1−1/T)[P_r(gated) log|Y| + E_{P_r} log 1/(1−γ_c)];
    * the contexts not gated have forget error at most 2·sup p_f(y|c) times their P_f.

    Args:
        threshold: τ. lower_threshold: τ₀ in [0, τ).
    """
    if not 0 <= lower_threshold < threshold:
        raise AssumptionError("lower_threshold", f"must lie in [0, {threshold})", lower_threshold)
    xp = namespace(mixture.retain)
    gamma, share, kept = mixture.gamma, mixture.forget_share, mixture.retain_contexts
    gap = gap_bound(float(overlap(mixture.joint)), excess_risk)
    missed = min(1.0, (threshold + gap) / gamma)
    alike = float(xp.sum(xp.where(share > lower_threshold, kept, xp.zeros_like(kept))))
    gated = min(1.0, alike + gap / ((1 - gamma) * (threshold - lower_threshold)))
    seen = kept > 0
    # 1 − γ_c = (1−γ)P_r(c)/P(c), which stays positive where 1 − γ_c would round to 0
    pure = (1 - gamma) * kept / xp.where(seen, mixture.context_probabilities, xp.ones_like(kept))
    mixed = -float(xp.sum(kept * xp.log(xp.where(seen, pure, xp.ones_like(pure)))))
    cooling = 1 - 1 / temperature
    bias = cooling * (gated * math.log(mixture.retain.shape[-1]) + mixed)
    return GateGuarantee(gap, missed, gated, bias, 2 * _conditional_sup(mixture) * missed)


def _conditional_sup(mixture: ContextMixture) -> float:
    """max P_f(y|c), over contexts with forget mass."""
    xp = namespace(mixture.forget)
    total = xp.expand_dims(mixture.forget_contexts, axis=-1)
    return float(xp.max(mixture.forget / xp.where(total > 0, total, xp.ones_like(total))))
