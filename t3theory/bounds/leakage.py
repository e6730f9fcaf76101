"""Q. The leakage bound: sharp for disjoint supports at every temperature."""

from __future__ import annotations

import heapq
import math
import sys
from collections.abc import Callable

from t3theory._xp import log_sigmoid, namespace, xlogy
from t3theory.bounds.bound import Bound
from t3theory.bounds.pinsker import exp_or_inf, kl_inverse, log_sum
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


class Leakage:
    """What Q needs of a mixture at a temperature and a risk."""

    def __init__(self, terms: Terms) -> None:
        mixture = terms.mixture
        xp = namespace(mixture.retain)
        odds = bayes_log_odds(mixture)
        zero = xp.zeros_like(mixture.retain)
        none = xp.full_like(zero, -xp.inf)
        seen = mixture.forget > 0
        self.gamma, self.risk, self.sup = terms.gamma, terms.excess_risk, terms.forget_sup
        self.prior = min(terms.forget_mean(log_sigmoid(odds)), 1.0)
        self.prior_sup = exp_or_inf(float(xp.max(xp.where(seen, log_sigmoid(odds), none))))
        self.log_top = float(xp.max(xp.where(seen, mixture.log_density, none))) / terms.temperature
        least = xp.min(xp.where(seen, mixture.log_retain_density, -none))
        self.retain_floor = math.exp(float(least))
        mass = xp.where(seen, zero, mixture.retain)
        rho = float(xp.sum(mass))
        self.retained = (1 - terms.gamma) * rho
        self.log_kept = -math.inf
        if rho > 0:
            kept = mass > 0
            base = xp.where(kept, terms.log_tempered, zero)
            ratio = base - xp.where(kept, mixture.log_retain, zero)
            self.log_kept = float(xp.sum(xlogy(mass, ratio))) / rho + math.log(rho)

    def split(self, share: float) -> tuple[float, float]:
        """(b, δ₂) where only a share θ of the forget data is raised: ā ≤ min(max f*, ā/θ)."""
        if self.gamma * share < sys.float_info.min:  # float64 has no cost for it: b ≤ 1, δ₂ ≤ δ
            return 1.0, self.risk
        prior = min(self.prior_sup, self.prior / share)
        return worst_leak(prior, self.gamma * share, self.retained, self.risk)

    def leak(self, share: float = 1.0) -> float:
        """A bound on E_{P_f}[p̂] over forget data of P_f-mass at most `share`, increasing in it."""
        b, rest = self.split(share)
        if b == 0:
            return 0.0
        log_leak = self.log_top + math.log(share) + math.log(b)
        others = self.log_kept - rest / self.retained if self.retained > 0 else -math.inf
        # L/(L/h + K) in logarithms, as any of the three may overflow
        return exp_or_inf(log_leak - log_sum(log_leak - math.log(self.sup), others))


def _largest(function: Callable[[float], float], slope: float) -> float:
    """An upper bound, within 0.2 %, on the largest function(θ) − slope·θ over [0, 1].

    `function` increases, so on [u, v] it is at most function(v) and the whole at most
    function(v) − slope·u: the interval that is largest by this is halved until its bound is
    near a value taken.
    """
    attained = max(function(1.0) - slope, 0.0)
    cells = [(-function(1.0), 0.0, 1.0)]
    for _ in range(1000):  # a flat top takes some hundreds, a largest value of 0 all of them
        bound, low, high = cells[0]
        if -bound <= attained * 1.002:
            break
        middle = (low + high) / 2
        value = function(middle)
        attained = max(attained, value - slope * middle)
        heapq.heapreplace(cells, (slope * low - value, low, middle))
        heapq.heappush(cells, (bound + slope * (middle - low), middle, high))
    return -cells[0][0]


def leakage_bounds(terms: Terms) -> tuple[Bound, ...]:
    """Q. FE_T ≤ E_{P_f}[p_r] + L/(L/‖p_f‖_∞ + B e^{−δ₂/c}), T > 0, (b, δ₂) = worst_leak.

    L = b·max_{P_f>0} p^{1/T}; c = (1−γ)ρ with ρ = P_r(P_f = 0); B = ρ exp E[log(q/P_r)], the mean
    over the retain data outside the forget support (B = 0 where there are none).
    Disjoint supports, both uniform: equality for the worst classifier, whatever γ, δ, h, T.

    "split": where all forget data are as likely under p_r as e > 0, what overshoots there
    cannot undershoot: with θ the share that does, E_{P_f}[p_r] + max_θ [leak(θ) − 2θe].
    """
    leakage = Leakage(terms)
    b, rest = leakage.split(1.0)
    truth, floor = terms.retain_on_forget, leakage.retain_floor
    named = {"leak": b, "retain_risk": rest, "retain_on_forget": truth}
    found = [Bound("Q", "forget_error", "upper", truth + leakage.leak(), named)]
    if floor > 0:
        value = truth + _largest(leakage.leak, 2 * floor)
        named = named | {"retain_floor": floor}
        found.append(Bound("Q", "forget_error", "upper", value, named, "split"))
    return tuple(found)
