"""B, C, E. The errors of plain classifier guidance (T = 1)."""

from __future__ import annotations

import math

from t3theory._checks import nonnegative, positive, share
from t3theory.bounds.bound import Bound
from t3theory.bounds.terms import Terms

__all__ = ["fast_rate", "guidance_bounds", "retain_rate", "slow_rate"]


def retain_rate(excess_risk: float, gamma: float) -> float:
    """B. RE_1 ≤ δ/(1−γ), nats.

    Sharp: disjoint supports, f → 0 on a retain set of mass → 0.

    >>> retain_rate(0.09, 0.1)
    0.09999999999999999
    """
    return nonnegative("excess_risk", excess_risk) / (1 - share("gamma", gamma))


def slow_rate(forget_sup: float, excess_risk: float, gamma: float) -> float:
    """C. FE_1 ≤ ‖p_f‖_∞ √(2δ/(1−γ)), by Pinsker on B.

    >>> round(slow_rate(1000.0, 0.01, 0.1), 1)
    149.1
    """
    return positive("forget_sup", forget_sup) * math.sqrt(2 * retain_rate(excess_risk, gamma))


def fast_rate(forget_sup: float, gap: float, retain_on_forget: float, normaliser: float) -> float:
    """E. FE_1 ≤ Δ (‖p_f‖_∞ + E_{P_f}[p_r]) / Ẑ, with Δ ≥ E_P|f − f*| from D.

    For disjoint supports it is ‖p_f‖_∞ δ/Ẑ: linear in δ, and attained in the limit δ → 0.

    Args:
        gap: Δ. normaliser: Ẑ = E_P[f], or a lower bound on it.
    """
    forget_sup = positive("forget_sup", forget_sup)
    retain_on_forget = nonnegative("retain_on_forget", retain_on_forget)
    leak = nonnegative("gap", gap) * (forget_sup + retain_on_forget)
    return leak / positive("normaliser", normaliser)


def guidance_bounds(terms: Terms) -> tuple[Bound, ...]:
    """B, C and E, at T = 1."""
    delta, gamma, sup = terms.excess_risk, terms.gamma, terms.forget_sup
    named = {"excess_risk": delta, "gamma": gamma}
    with_sup = named | {"forget_density_sup": sup}
    fast = with_sup | {
        "overlap": terms.overlap,
        "gap": terms.gap,
        "retain_on_forget": terms.retain_on_forget,
    }
    floor = terms.normaliser_floor
    found = [
        Bound("B", "retain_error", "upper", retain_rate(delta, gamma), named),
        Bound("C", "forget_error", "upper", slow_rate(sup, delta, gamma), with_sup),
    ]
    if floor > 0:
        value = fast_rate(sup, terms.gap, terms.retain_on_forget, floor)
        named = fast | {"normaliser_floor": floor}
        found.append(Bound("E", "forget_error", "upper", value, named, "a priori"))
    if terms.normaliser:  # neither unknown nor below the floats, where it says nothing
        value = fast_rate(sup, terms.gap, terms.retain_on_forget, terms.normaliser)
        named = fast | {"normaliser": terms.normaliser}
        found.append(Bound("E", "forget_error", "upper", value, named, "known normaliser", True))
    return tuple(found)
