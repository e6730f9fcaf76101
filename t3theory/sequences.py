"""L. Sequences: per-token statements become statements about whole texts by the chain rule."""

from __future__ import annotations

from collections.abc import Sequence

from t3theory._xp import Array, as_float_array, namespace
from t3theory.contexts import ContextMixture
from t3theory.exceptions import AssumptionError

__all__ = ["positions", "sequence_log_probabilities", "sequence_retain_bound"]


def positions(retain: Array, forget: Array, gamma: float) -> tuple[ContextMixture, ...]:
    """The mixture of sequences as one mixture of (prefix, next token) for each position.

    Args:
        retain, forget: laws of the whole sequence, shape (V, …, V), one axis a position.
    Returns:
        L mixtures; the t-th has V^t contexts, prefixes in row-major order.
    """
    xp = namespace(retain, forget)
    retain, forget = as_float_array(retain, xp), as_float_array(forget, xp)
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
    xp = namespace(log_conditionals[0])
    vocabulary = tuple(int(q.shape[-1]) for q in log_conditionals)
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
    return sum(excess_risks) / (1 - gamma)
