"""G, H. The errors of temper-then-tilt, at T ≥ 1."""

from __future__ import annotations

import math
from collections.abc import Sequence

from t3theory._xp import log_sigmoid, logsumexp, namespace
from t3theory.bounds.bound import Bound
from t3theory.bounds.pinsker import exp_or_inf, weighted_gap_bound
from t3theory.bounds.terms import Terms
from t3theory.classifier import bayes_log_odds

__all__ = ["forget_bounds", "retain_bounds", "retain_weight_bound", "tempered_sup"]

# Of four sums of exponentials, each at most 1 and its logarithm a sum of numbers of size 700: 1e-12
# of each, four to eight times over.
_LOST = 1e-11


def tempered_sup(forget_sup: float, gamma: float, temperature: float) -> float:
    """γ^{1/T−1} ‖p_f‖_∞^{1/T} ≥ max_z p_f p^{1/T−1}: what tempering makes of the sharpest atom.

    >>> round(tempered_sup(100.0, 0.25, 2.0), 6)
    20.0
    """
    return math.exp(math.log(forget_sup) / temperature + (1 / temperature - 1) * math.log(gamma))


def forget_bounds(terms: Terms) -> tuple[Bound, ...]:
    """G. FE_T ≤ FB_T + [γ^{1/T−1}‖p_f‖_∞^{1/T} Δ + E_{P_f}[p̂^(T)] D_N] / N*, in six forms.

    * "slow": Δ = √(δ/2) and D_N = μ(P>0)^{1−1/T}(δ/2)^{1/max(2,T)}, with p̂ as it came out;
    * "fast": Δ and D_N through D;
    * "a priori": no p̂: E_{P_f}[p*^(T)] in its place and N̂ ≥ its floor in place of N*;
    * "weighted": the same with D's weighted form in place of the norms;
    * "centred": the two terms together, so that what raises f everywhere costs nothing;
    * "through H": ‖p_f‖_∞ √(2R) with R the least of H, at T > 1 (at T = 1 it is C).
    """
    sup = tempered_sup(terms.forget_sup, terms.gamma, terms.temperature)
    floor, star = terms.normaliser_floor, terms.oracle_normaliser
    named = {
        "excess_risk": terms.excess_risk,
        "forget_bias": terms.forget_bias,
        "tempered_sup": sup,
        "oracle_normaliser": star,
    }

    def bound(variant: str, leak: float, mass: float, gap: float, norm: float) -> Bound:
        value = terms.forget_bias + (leak + mass * gap) / norm if norm > 0 else math.inf
        parts = named | {"leak": leak, "mass": mass, "normaliser_gap": gap, "normaliser": norm}
        known = variant in ("slow", "fast")
        return Bound("G", "forget_error", "upper", value, parts, variant, known)

    found = []
    mass = terms.estimate_on_forget
    if mass is not None:
        slow = sup * math.sqrt(terms.excess_risk / 2)
        found.append(bound("slow", slow, mass, terms.slow_holder_gap, star))
        found.append(bound("fast", sup * terms.gap, mass, terms.holder_gap, star))
    mass = terms.oracle_on_forget
    found.append(bound("a priori", sup * terms.gap, mass, terms.holder_gap, floor))
    leak = min(sup * terms.gap, _forget_gap(terms))
    found.append(bound("weighted", leak, mass, terms.normaliser_gap, floor))
    spread = log_centred_gap(terms)
    over = exp_or_inf(spread - math.log(floor)) if floor > 0 else math.inf
    parts = named | {"centred_gap": exp_or_inf(spread), "normaliser": floor}
    found.append(Bound("G", "forget_error", "upper", terms.forget_bias + over, parts, "centred"))
    if terms.temperature > 1:
        found.append(_through_retain_error(terms))
    return tuple(found)


def _through_retain_error(terms: Terms) -> Bound:
    """FE_T ≤ ‖p_f‖_∞ √(2R), R the least of H: Pinsker, which at T = 1 is C."""
    retain = min(bound.value for bound in retain_bounds(terms))
    value = terms.forget_sup * math.sqrt(2 * retain)
    named = {"retain_error": retain, "forget_density_sup": terms.forget_sup}
    return Bound("G", "forget_error", "upper", value, named, "through H")


def log_centred_gap(terms: Terms) -> float:
    """log E_{P_f}|p^{1/T}(f−f*) − p*(N̂−N*)| ≤ log max_m [√(2φ(m)δ) + δ max(w + m v)], 0 ≤ m ≤ M.

    φ(m) = A − 2m(K − ρ(M−m)) + m²C, with w = p_f p^{1/T−1}, v = p^{1/T−1}, M = E_{P_f}[p*^(T)];
    A, K, C = E_P[(w², wv, v²) f*(1−f*)] and ρ = N* max_{P_f>0} v(1−f*).
    """
    mixture = terms.mixture
    if terms.excess_risk == 0:
        return -math.inf
    xp = namespace(mixture.retain)
    none = xp.full_like(mixture.retain, -xp.inf)
    odds = bayes_log_odds(mixture)
    log_mass = math.log(terms.oracle_on_forget) if terms.oracle_on_forget > 0 else -math.inf
    log_risk = math.log(terms.excess_risk)
    # with v in units of 1/M, so that m runs over [0, 1]
    log_v = log_mass + xp.where(mixture.log_density > -xp.inf, terms.log_flattening, none)
    log_w = mixture.log_forget_density + terms.log_flattening
    log_variance = mixture.log_probabilities + log_sigmoid(odds) + log_sigmoid(-odds)
    moments = [
        float(logsumexp(log_variance + x)) for x in (log_w + log_w, log_w + log_v, log_v + log_v)
    ]
    rise = float(xp.max(log_v + log_sigmoid(-odds)))  # f* = 1 where no forget data are
    moments.append(log_mass + terms.log_oracle_normaliser + rise)
    unit = max(moments)
    parts = (
        (math.log(2) + log_risk + unit) / 2,
        log_risk + float(xp.max(log_w)),
        log_risk + float(xp.max(log_v)),
    )
    top = max(parts)
    if math.isinf(top):
        return math.inf
    # each in units of the largest of its kind: nothing overflows, and what is lost is below rounding
    shares = [math.exp(x - unit) if unit > -math.inf else 0.0 for x in moments]
    return top + math.log(_over_means(shares, [math.exp(x - top) for x in parts]))


def _over_means(moments: Sequence[float], parts: Sequence[float], cells: int = 32) -> float:
    """An upper bound on max_{0≤m≤1} a√φ(m) + b + cm, cell by cell, for moments of at most 1.

    On each cell the root is bounded by its largest value there (φ is a parabola) and the rest
    by its value at the right end. φ ≥ 0 may cancel: what float64 loses of it is added.
    """
    square, cross, other, rise = moments
    root, constant, growth = parts
    curve, slope = other - 2 * rise, -2 * (cross - rise)
    best = 0.0
    for i in range(cells):
        low, high = i / cells, (i + 1) / cells
        points = [low, high]
        if curve < 0:
            points.append(min(max(-slope / (2 * curve), low), high))
        largest = max(square + slope * m + curve * m * m for m in points) + _LOST
        best = max(best, root * math.sqrt(largest) + constant + high * growth)
    return best


def _forget_gap(terms: Terms) -> float:
    """E_{P_f}[p^{1/T}|f − f*|] = E_P[w|f − f*|] with w = p_f p^{1/T−1}, through D."""
    log_weight = terms.mixture.log_forget_density + terms.log_flattening
    return weighted_gap_bound(terms.mixture, log_weight, terms.excess_risk)


def retain_bounds(terms: Terms) -> tuple[Bound, ...]:
    """H. RE_T ≤ RB_T + (δ + Δ)/(1−γ) + log(1 + D_N/N*), in three forms.

    * "slow": Δ = √(δ/2) and D_N from Pinsker, log(1+x) ≤ x;
    * "fast": both through D;
    * "weighted": the last two terms joined before they are bounded, so that they cancel at
      T = 1 and leave B.
    """
    delta, retained, star = terms.excess_risk, 1 - terms.gamma, terms.oracle_normaliser
    bias = terms.retain_bias
    named = {"excess_risk": delta, "retain_bias": bias, "oracle_normaliser": star}
    slow_gap = math.sqrt(delta / 2)
    slow = bias + (delta + slow_gap) / retained + terms.slow_holder_gap / star
    gap = terms.normaliser_gap
    fast = bias + (delta + terms.gap) / retained + math.log1p(gap / star)
    joined = retain_weight_bound(terms)
    return (
        Bound(
            "H",
            "retain_error",
            "upper",
            slow,
            named | {"gap": slow_gap, "normaliser_gap": terms.slow_holder_gap},
            "slow",
        ),
        Bound(
            "H",
            "retain_error",
            "upper",
            fast,
            named | {"gap": terms.gap, "normaliser_gap": gap},
            "fast",
        ),
        Bound(
            "H",
            "retain_error",
            "upper",
            bias + delta / retained + joined,
            named | {"joined_gap": joined},
            "weighted",
        ),
    )


def retain_weight_bound(terms: Terms) -> float:
    """E_P[W|f − f*|], W = |p^{1/T−1}/N* − 1/(1−γ)|, through D; 0 at T = 1."""
    if terms.temperature == 1:
        return 0.0
    mixture = terms.mixture
    xp = namespace(mixture.retain)
    log_first = terms.log_flattening - terms.log_oracle_normaliser
    log_second = -math.log1p(-terms.gamma)
    # |e^a − e^b| = e^max(a,b) (1 − e^{−|a−b|}), so that a weight near 0 keeps its digits.
    distance = xp.abs(log_first - log_second)
    small = -xp.expm1(-distance)
    zero = small == 0
    log_small = xp.where(
        zero, xp.full_like(small, -xp.inf), xp.log(xp.where(zero, xp.ones_like(small), small))
    )
    log_weight = xp.maximum(log_first, xp.full_like(log_first, log_second)) + log_small
    return weighted_gap_bound(mixture, log_weight, terms.excess_risk)
