"""D. The local Pinsker lemma: how far a classifier of small excess risk is from f*.

|a − b| ≤ √(2a(1−a) k) + k with k = kl(a‖b); summed, E_P|f − f*| ≤ √(2Oδ) + δ.
"""

from __future__ import annotations

import math
import sys

from t3theory._checks import nonnegative, number, probability
from t3theory._xp import Array, logsumexp, namespace, require
from t3theory.classifier import bayes_log_odds
from t3theory.exceptions import AssumptionError
from t3theory.mixture import Mixture

__all__ = [
    "exp_or_inf",
    "gap_bound",
    "kl_inverse",
    "local_pinsker",
    "log_sum",
    "weighted_gap_bound",
]


def local_pinsker(a: float, k: float) -> float:
    """|a − b| ≤ √(2a(1−a) k) + k for every b with kl(a‖b) ≤ k.

    Both constants are the least possible: a = 0 leaves b = 1 − e^{−k}, and for fixed a the
    square root is the limit k → 0. On the side that points away from 1/2 the square root
    alone suffices.

    Args:
        a: in [0, 1]. k: nats.

    >>> local_pinsker(0.5, 0.02)
    0.12000000000000001
    """
    a, k = probability("a", a), nonnegative("k", k)
    return math.sqrt(2 * a * (1 - a) * k) + k


def gap_bound(overlap: float, excess_risk: float) -> float:
    """Δ = min(√(δ/2), √(2Oδ) + δ, 1) ≥ E_P|f − f*|: Pinsker, or its local form.

    Proportional to δ, not √δ, for disjoint supports (O = 0).

    >>> gap_bound(0.0, 1e-4)
    0.0001
    """
    overlap, excess_risk = probability("overlap", overlap), nonnegative("excess_risk", excess_risk)
    slow = math.sqrt(excess_risk / 2)
    return min(slow, math.sqrt(2 * overlap * excess_risk) + excess_risk, 1.0)


def weighted_gap_bound(mixture: Mixture, log_weight: Array, excess_risk: float) -> float:
    """E_P[w|f − f*|] ≤ min(√(E_P[w²] δ/2), √(2E_P[w² f*(1−f*)] δ) + δ max w, E_P[w]).

    Args:
        log_weight: log w ≥ −inf, shape (n,); read where P > 0 only.
        excess_risk: δ, nats.
    """
    if nonnegative("excess_risk", excess_risk) == 0:
        return 0.0
    xp = namespace(log_weight)
    log_p = mixture.log_probabilities
    if log_weight.shape != log_p.shape:
        wanted = f"must have shape {tuple(log_p.shape)}"
        raise AssumptionError("log_weight", wanted, tuple(log_weight.shape))
    log_w = xp.where(log_p > -xp.inf, log_weight, xp.full_like(log_weight, -xp.inf))
    require(~xp.isnan(log_w), "log_weight", "must be a number", log_w)
    odds = bayes_log_odds(mixture)
    # log f*(1−f*) = −|x| − 2 log(1 + e^{−|x|}), x the log-odds
    log_variance = -xp.abs(odds) - 2 * xp.log1p(xp.exp(-xp.abs(odds)))
    second = float(logsumexp(log_p + 2 * log_w))
    overlap = float(logsumexp(log_p + 2 * log_w + log_variance))
    top = float(xp.max(log_w))
    log_risk = math.log(excess_risk)
    slow = exp_or_inf((second + log_risk - math.log(2)) / 2)
    fast = exp_or_inf((overlap + log_risk + math.log(2)) / 2) + exp_or_inf(top + log_risk)
    return min(slow, fast, exp_or_inf(float(logsumexp(log_p + log_w))))


def kl_inverse(a: float, k: float, upper: bool = True) -> float:
    """The largest (or least) b with kl(a‖b) ≤ k, to a few roundings of b.

    Args:
        a: in [0, 1]. k: ≥ 0, nats; inf gives the end of [0, 1].

    >>> round(kl_inverse(0.0, 0.1), 6), round(kl_inverse(0.5, 0.02, upper=False), 6)
    (0.095163, 0.400992)
    """
    a, k = probability("a", a), number("k", k, "must be ≥ 0", lambda x: x >= 0)
    if k == 0:
        return a
    # 1 − a beside a: formed from each other by the callee, the smaller would lose its digits.
    if upper:
        if a == 0:
            return math.nextafter(-math.expm1(-k), 1)
        return max(a, _sigmoid(_inverse_log_odds(a, 1 - a, k)))
    if a == 1:
        return math.nextafter(math.exp(-k), 0)
    return min(a, _sigmoid(-_inverse_log_odds(1 - a, a, k)))


def _inverse_log_odds(a: float, co: float, k: float) -> float:
    """The log-odds of the largest b with kl(a‖b) ≤ k, by bisection: the KL increases from a on.

    a > 0 and co = 1 − a; 750 stands for a b that rounds to 1, 1 − b to 0.
    """
    if co == 0 or k == math.inf:
        return _END
    log_a, log_co = math.log(a), math.log(co)
    # −(1−a) log(1−b) ≤ k + entropy bounds the log-odds of b
    low, high = log_a - log_co, min((k - a * log_a - co * log_co) / co + 1, _END)
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if _kl_from(a, co, middle) <= k else (low, middle)
    return high


_END = 750.0


def _sigmoid(x: float) -> float:
    if x < -700:
        return 0.0
    return 1 / (1 + math.exp(-x))


def _kl_from(a: float, co: float, x: float) -> float:
    """kl(a‖σ(x)) = a·φ(r) + (1−a)·φ(r'), without cancellation near σ(x) = a."""
    return _part(a, _sigmoid(x)) + _part(co, _sigmoid(-x))


def _part(p: float, q: float) -> float:
    """p log(p/q) − p + q ≥ 0."""
    if p == 0:
        return q
    if q == 0:
        return math.inf
    u = (q - p) / p
    if abs(u) < 1e-2:  # u − log(1+u) by its series: exact to rounding below 1e-2
        return p * sum((-u) ** j / j for j in range(2, 12))
    return p * (u - (math.log(q) - math.log(p)))


def exp_or_inf(x: float) -> float:
    """exp(x), from above where float64 cannot hold it: inf, or the least normal number."""
    if x == -math.inf:
        return 0.0
    return max(math.exp(x), sys.float_info.min) if x < 709 else math.inf


def log_sum(x: float, y: float) -> float:
    """log(e^x + e^y), −inf where both are."""
    high, low = max(x, y), min(x, y)
    return high + math.log1p(math.exp(low - high)) if low > -math.inf else high
