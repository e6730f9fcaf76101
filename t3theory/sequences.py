"""L. Sequences: per-token statements become statements about whole texts by the chain rule."""

from __future__ import annotations

import math
from collections.abc import Sequence

from t3theory._checks import nonnegative, share
from t3theory._xp import Array, as_float_array, log, logsumexp, namespace, require
from t3theory.contexts import ContextMixture
from t3theory.exceptions import AssumptionError

__all__ = [
    "position_retain_bound",
    "positions",
    "risk_retain_bound",
    "sequence_log_probabilities",
    "sequence_retain_bound",
    "tempered_sequence_retain_bound",
]


def positions(retain: Array, forget: Array, gamma: float) -> tuple[ContextMixture, ...]:
    """The mixture of sequences as one mixture of (prefix, next token) for each position.

    Args:
        retain, forget: laws of the whole sequence, shape (V, …, V), one axis a position.
    Returns:
        L mixtures; the t-th has V^t contexts, prefixes in row-major order.
    """
    xp = namespace(retain, forget)
    retain, forget = as_float_array(retain, xp, forget), as_float_array(forget, xp, retain)
    if retain.ndim == 0 or retain.shape != forget.shape:
        raise AssumptionError("forget", f"must have retain's shape {retain.shape}", forget.shape)
    found = []
    for t in range(retain.ndim):
        rest = tuple(range(t + 1, retain.ndim))
        shape = (-1, retain.shape[t])
        kept, dropped = (
            xp.reshape(xp.sum(p, axis=rest) if rest else p, shape) for p in (retain, forget)
        )
        found.append(ContextMixture(kept, dropped, gamma))
    return tuple(found)


def sequence_log_probabilities(log_conditionals: Sequence[Array]) -> Array:
    """log Q(y_1…y_L) = Σ_t log Q(y_t | y_<t), shape (V, …, V).

    Args:
        log_conditionals: the t-th of shape (V^t, V), as `ContextMixture.estimate` gives them.
    """
    if not log_conditionals:
        raise AssumptionError("log_conditionals", "must be one or more", 0)
    xp = namespace(log_conditionals[0])
    vocabulary = tuple(int(q.shape[-1]) for q in log_conditionals)
    for t, log_q in enumerate(log_conditionals):
        wanted = (math.prod(vocabulary[:t]), vocabulary[t])
        if log_q.shape != wanted:
            requirement = f"must have shape {wanted}"
            raise AssumptionError("log_conditionals", requirement, tuple(log_q.shape), (t,))
    total = xp.reshape(log_conditionals[0], vocabulary[:1])
    for t, log_q in enumerate(log_conditionals[1:], start=1):
        total = xp.expand_dims(total, axis=-1) + xp.reshape(log_q, vocabulary[: t + 1])
    return total


def sequence_retain_bound(excess_risks: Sequence[float], gamma: float) -> float:
    """L. KL(P_r^{1:L}‖P̂^{1:L}) ≤ Σ_t δ_t/(1−γ) at T = 1, nats.

    δ_t is the excess risk of the token classifier at position t under the data's own
    prefixes. Though each prefix has its own γ_c, P_r(c)/(1−γ_c) = P(c)/(1−γ) makes only the
    overall share appear.

    >>> sequence_retain_bound([0.01, 0.02], gamma=0.25).__round__(6)
    0.04
    """
    gamma = share("gamma", gamma)
    return sum(nonnegative("excess_risks", delta) for delta in excess_risks) / (1 - gamma)


def tempered_sequence_retain_bound(
    mixtures: Sequence[ContextMixture],
    excess_risks: Sequence[float],
    temperatures: Sequence[float | Array],
) -> float:
    """L. KL(P_r^{1:L}‖P̂^{1:L}) ≤ Σ_t [B_t + δ_t/(1−γ) + √(V_t δ_t/2)] at T ≥ 1, nats.

    Args:
        mixtures: one a position, as :func:`positions` gives them.
        excess_risks: δ_t, nats. temperatures: T ≥ 1, or T(c), for each position.

    >>> mixtures = positions([[0.5, 0.5], [0.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]], gamma=0.25)
    >>> tempered_sequence_retain_bound(mixtures, [0.01, 0.02], [1.0, 1.0]).__round__(6)
    0.04
    """
    lengths = len(mixtures), len(excess_risks), len(temperatures)
    if len(set(lengths)) > 1:
        wanted = "must be as many as mixtures and temperatures"
        raise AssumptionError("excess_risks", wanted, lengths)
    each = zip(mixtures, excess_risks, temperatures, strict=True)
    return sum(position_retain_bound(m, delta, t) for m, delta, t in each)


def position_retain_bound(
    mixture: ContextMixture, excess_risk: float, temperature: float | Array = 1.0
) -> float:
    """L. E_{P_r}[KL(P_r(·|c)‖P̂(·|c))] ≤ B_t + δ_t/(1−γ) + √(V_t δ_t/2) at one position, nats.

    B_t = E_{P_r}[RB_{T(c)}(c)] is the bias of tempering, and V_t = E_P[1{P_r(c)>0}(u−1)²]/(1−γ)²
    with u(c, y) = (1−γ_c) P(y|c)^{1/T(c)−1}/N*_c and N*_c = Σ_y P(y|c)^{1/T(c)} f*(c, y). At
    T = 1, u = 1 and the bound is δ_t/(1−γ). :func:`tempered_sequence_retain_bound` is the sum.

    Args:
        excess_risk: δ_t, nats. temperature: T ≥ 1, or T(c), shape (contexts,).

    >>> m = ContextMixture([[0.5, 0.5], [0.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]], gamma=0.1)
    >>> position_retain_bound(m, 0.09).__round__(6)
    0.1
    """
    of_risk = risk_retain_bound(mixture, excess_risk, temperature)
    return mixture.retain_error(mixture.estimate(mixture.bayes_classifier, temperature)) + of_risk


def risk_retain_bound(
    mixture: ContextMixture, excess_risk: float, temperature: float | Array = 1.0
) -> float:
    """L. δ_t/(1−γ) + √(V_t δ_t/2), nats: what the risk adds to the bias B_t at one position.

    Args:
        excess_risk: δ_t, nats. temperature: T ≥ 1, or T(c), shape (contexts,).

    >>> m = ContextMixture([[0.5, 0.5], [0.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]], gamma=0.1)
    >>> risk_retain_bound(m, 0.0, 2.0)
    0.0
    """
    xp = namespace(mixture.retain)
    heat = as_float_array(temperature, xp, mixture.retain)
    require((heat >= 1) & xp.isfinite(heat), "temperature", "must be ≥ 1 and finite", heat)
    if heat.shape not in ((), mixture.retain.shape[:1]):
        wanted = f"must be one number or have shape {tuple(mixture.retain.shape[:1])}"
        raise AssumptionError("temperature", wanted, tuple(heat.shape))
    excess_risk = nonnegative("excess_risk", excess_risk)
    variance = _centred_variance(mixture, heat)
    return (excess_risk + math.sqrt(variance * excess_risk / 2)) / (1 - mixture.gamma)


def _centred_variance(mixture: ContextMixture, heat: Array) -> float:
    """E_P[1{P_r(c)>0}(u−1)²], u = (1−γ_c) P(y|c)^{1/T(c)−1}/N*_c."""
    xp = namespace(mixture.retain)
    seen, kept = mixture.context_probabilities, mixture.retain_contexts
    with_retain = kept > 0
    log_p = mixture.log_conditional
    known = log_p > -xp.inf
    cooling = 1 - 1 / (heat if heat.ndim == 0 else xp.expand_dims(heat, axis=-1))
    log_v = -cooling * xp.where(known, log_p, xp.zeros_like(log_p))
    log_f = log(mixture.bayes_classifier)
    # 1 − γ_c = (1−γ)P_r(c)/P(c), which stays positive where 1 − γ_c would round to 0
    share = (1 - mixture.gamma) * kept / xp.where(with_retain, seen, xp.ones_like(seen))
    norm = logsumexp(xp.where(known, log_p + log_v + log_f, xp.full_like(log_p, -xp.inf)))
    level = log(share) - xp.where(with_retain, norm, xp.zeros_like(norm))
    moved = xp.expm1(
        log_v + xp.expand_dims(xp.where(with_retain, level, xp.zeros_like(level)), axis=-1)
    )
    spread = xp.sum(xp.exp(log_p) * moved**2, axis=-1)
    return float(xp.sum(xp.where(with_retain, seen * spread, xp.zeros_like(seen))))
