"""Q. The leakage bound: sharp for disjoint supports at every temperature."""

from __future__ import annotations

import math

from t3theory._xp import log_sigmoid, logsumexp, namespace, xlogy
from t3theory.bounds.bound import Bound
from t3theory.bounds.pinsker import kl_inverse
from t3theory.bounds.terms import Terms
from t3theory.classifier import bayes_log_odds

__all__ = ["leakage_bounds", "worst_leak"]


def worst_leak(
    prior: float, gamma: float, retained: float, excess_risk: float
) -> tuple[float, float]:
    """How a classifier of excess risk δ leaks most: (b, δ₂).

    b bounds E_{P_f}[f], and δ₂ = δ − γ kl(ā‖b) is what is left to lower f on the retain side.
    The split that maximises b e^{δ₂/c} is explicit: b = min(kl⁻¹(ā; δ/γ), (c+γā)/(c+γ)).

    Args:
        prior: ā = E_{P_f}[f*]. retained: c = (1−γ) P_r(P_f = 0).

    >>> b, rest = worst_leak(0.0, 1e-20, 1.0, 0.5)  # b ≤ 1 costs next to nothing
    >>> b, round(rest, 12)
    (1.0, 0.5)
    """
    spent = _cost_of_turning(prior, gamma, retained) if retained > 0 else math.inf
    # By what the turning point costs, not by where it lies: for small γ both it and b round
    # to 1, but the cost γ kl(ā‖turn) keeps its digits.
    if spent >= excess_risk:
        return kl_inverse(prior, excess_risk / gamma), 0.0
    return (retained + gamma * prior) / (retained + gamma), excess_risk - spent


def _cost_of_turning(prior: float, gamma: float, retained: float) -> float:
    """γ kl(ā‖(c+γā)/(c+γ)) = γ[(1−ā) log(1+c/γ) − ā log(1 + c(1−ā)/(ā(c+γ)))].

    In this form 1 − (c+γā)/(c+γ) is never formed; the error stays below rounding times c.
    """
    missing = 1 - prior
    if retained < gamma:
        rise = math.log1p(retained / gamma)
    else:  # the ratio itself overflows for the smallest γ
        rise = math.log(retained + gamma) - math.log(gamma)
    fall = 0.0
    if prior > 0:
        fall = prior * math.log1p(retained / (retained + gamma) * (missing / prior))
    return max(gamma * (missing * rise - fall), 0.0)


def leakage_bounds(terms: Terms) -> tuple[Bound, ...]:
    """Q. FE_T ≤ E_{P_f}[p_r] + L/(L/‖p_f‖_∞ + B e^{−δ₂/c}), T > 0, (b, δ₂) = worst_leak.

    L = b·max_{P_f>0} p^{1/T}; c = (1−γ)ρ with ρ = P_r(P_f = 0); B = ρ exp E[log(q/P_r)], the mean
    over the retain data outside the forget support (B = 0 where there are none).
    Disjoint supports, both uniform: equality for the worst classifier, whatever γ, δ, h, T.
    """
    mixture = terms.mixture
    xp = namespace(mixture.retain)
    prior = min(terms.forget_mean(log_sigmoid(bayes_log_odds(mixture))), 1.0)
    outside = mixture.forget == 0
    zero = xp.zeros_like(mixture.retain)
    mass = xp.where(outside, mixture.retain, zero)
    rho = float(xp.sum(mass))
    retained = (1 - terms.gamma) * rho
    b, rest = worst_leak(prior, terms.gamma, retained, terms.excess_risk)
    seen = mixture.forget > 0
    top = float(xp.max(xp.where(seen, mixture.log_density, xp.full_like(zero, -xp.inf))))
    log_leak = top / terms.temperature + (math.log(b) if b > 0 else -math.inf)
    log_rest = -math.inf
    if rho > 0 and math.isfinite(rest):
        kept = mass > 0
        ratio = xp.where(kept, terms.log_tempered, zero) - xp.where(kept, mixture.log_retain, zero)
        log_rest = float(xp.sum(xlogy(mass, ratio))) / rho + math.log(rho) - rest / retained
    value = terms.retain_on_forget
    if log_leak > -math.inf:
        joint = xp.asarray([log_leak - math.log(terms.forget_sup), log_rest], dtype=zero.dtype)
        value += math.exp(log_leak - float(logsumexp(joint)))
    named = {"leak": b, "retain_risk": rest, "retain_on_forget": terms.retain_on_forget}
    return (Bound("Q", "forget_error", "upper", value, named),)
