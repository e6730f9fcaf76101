"""Divergences between distributions given by their logarithms, in nats."""

from __future__ import annotations

from t3theory._xp import Array, log_sigmoid, namespace

__all__ = ["bernoulli_kl", "kl_divergence"]


def _exponential_remainder(u: Array) -> Array:
    """exp(u) − 1 − u ≥ 0, to full relative precision near u = 0."""
    xp = namespace(u)
    # Below 2^-5 the Taylor series to u^9 is exact to rounding; above it expm1(u) − u loses
    # at most seven bits, so both branches are good to about 1e-14.
    tiny = xp.abs(u) < 0.03125
    t = xp.where(tiny, u, xp.zeros_like(u))
    series = xp.ones_like(t)
    for k in (9, 8, 7, 6, 5, 4, 3):
        series = 1 + t / k * series
    wide = xp.where(tiny, xp.zeros_like(u), u)
    return xp.where(tiny, t * t / 2 * series, xp.expm1(wide) - wide)


def kl_divergence(log_p: Array, log_q: Array, axis: int = -1) -> Array:
    """KL(P‖Q) = Σ P log(P/Q) from normalised log-probabilities.

    Each atom contributes ``P log(P/Q) − P + Q ≥ 0``, so nothing cancels and a divergence
    of 1e-20 keeps its digits.

    Args:
        log_p, log_q: log-probabilities, shape (*batch, n); −inf where the mass is 0.
    Returns:
        shape (*batch,), nats; inf where P has mass and Q has none.

    >>> import numpy as np
    >>> float(kl_divergence(np.log([0.5, 0.5]), np.log([0.25, 0.75]))).__round__(6)
    0.143841
    """
    xp = namespace(log_p, log_q)
    p_is_zero, q_is_zero = log_p == -xp.inf, log_q == -xp.inf
    both = ~p_is_zero & ~q_is_zero
    zero = xp.zeros_like(log_p)
    a, b = xp.where(both, log_p, zero), xp.where(both, log_q, zero)
    # Factor out the larger of P and Q, so that exp never overflows.
    u = b - a
    grow = u > 0
    from_p = xp.exp(a) * _exponential_remainder(xp.where(grow, zero, u))
    v = xp.where(grow, -u, zero)  # Q larger: Q·(1 − e^v + v e^v), v = log(P/Q) ≤ 0
    from_q = xp.exp(b) * xp.exp(v) * _exponential_remainder(xp.where(v > -50, -v, zero))
    far = xp.exp(b) * (1 + xp.exp(v) * (v - 1))
    inside = xp.where(grow, xp.where(v > -50, from_q, far), from_p)
    terms = xp.where(both, inside, xp.where(p_is_zero, xp.exp(log_q), xp.full_like(zero, xp.inf)))
    return xp.sum(terms, axis=axis)


def bernoulli_kl(log_odds_a: Array, log_odds_b: Array) -> Array:
    """kl(a‖b) = a log(a/b) + (1−a) log((1−a)/(1−b)), elementwise, from log-odds.

    Log-odds keep both ends of (0, 1): a = 1 − 1e-20 is 46.05, not 1.

    >>> import numpy as np
    >>> float(bernoulli_kl(np.asarray(0.0), np.asarray(np.log(3.0)))).__round__(6)
    0.143841
    """
    xp = namespace(log_odds_a, log_odds_b)
    log_a = xp.stack([log_sigmoid(log_odds_a), log_sigmoid(-log_odds_a)], axis=-1)
    log_b = xp.stack([log_sigmoid(log_odds_b), log_sigmoid(-log_odds_b)], axis=-1)
    return kl_divergence(log_a, log_b)
