"""F. Why plain guidance cannot do: a family where its forget error is linear in ‖p_f‖_∞."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from t3theory._checks import nonnegative, number, positive, share
from t3theory._xp import namespace
from t3theory.bounds.bound import Bound
from t3theory.bounds.pinsker import log_sum
from t3theory.bounds.terms import Terms
from t3theory.exceptions import AssumptionError
from t3theory.mixture import Mixture

__all__ = ["jensen_bounds", "necessity_forget_error", "necessity_instance"]


def necessity_instance(
    h: float, gamma: float, epsilon: float | None = None, delta: float | None = None
) -> tuple[Mixture, Any]:
    """The mixture and classifier on which guidance must fail, as two atoms.

    P_f is uniform on a set of μ-measure 1/h (one atom), disjoint from the support of P_r
    (uniform on measure 1, the other atom); f is ε on the first and 1 on the second.

    Args:
        h: ‖p_f‖_∞ > 0.
        epsilon: ε in [0, 1), or
        delta: the excess risk wanted, ε = 1 − e^{−δ/γ}. Exactly one of the two.
    Returns:
        the mixture (atom 0 retain, atom 1 forget) and f, shape (2,).

    >>> m, f = necessity_instance(1000.0, 0.1, delta=0.01)
    >>> float(m.forget_density_sup)
    1000.0
    """
    if (epsilon is None) == (delta is None):
        raise AssumptionError("epsilon, delta", "must be given one, not both", (epsilon, delta))
    h, gamma = positive("h", h), share("gamma", gamma)
    if delta is not None:
        epsilon = -math.expm1(-nonnegative("delta", delta) / gamma)
    else:
        epsilon = number("epsilon", epsilon, "must lie in [0, 1)", lambda x: 0 <= x < 1)
    mixture = Mixture(
        retain=np.asarray([1.0, 0.0]),
        forget=np.asarray([0.0, 1.0]),
        gamma=gamma,
        reference=np.asarray([1.0, 1 / h]),
    )
    return mixture, np.asarray([1.0, epsilon])


def necessity_forget_error(h: float, gamma: float, delta: float, temperature: float = 1.0) -> float:
    """The forget error on :func:`necessity_instance`, exactly.

    With ε = 1 − e^{−δ/γ}: FE_T = (γh)^{1/T} ε / ((1−γ)^{1/T} + (γh)^{1/T} ε/h). At T = 1 this
    is γε h/(1 − γ(1−ε)) ≥ γ(1−e^{−δ/γ}) h, linear in h; at T > 1 it is at most
    (γh/(1−γ))^{1/T} ε.

    >>> round(necessity_forget_error(1000.0, 0.1, 0.01), 3)
    10.463
    """
    h, gamma, delta = positive("h", h), share("gamma", gamma), nonnegative("delta", delta)
    temperature = positive("temperature", temperature)
    epsilon = -math.expm1(-delta / gamma)
    if epsilon == 0:
        return 0.0
    # 1/(1/leak + 1/h), in logarithms: h may be 1e300, and T far below 1.
    log_leak = (math.log(gamma) + math.log(h) - math.log1p(-gamma)) / temperature
    log_leak += math.log(epsilon)
    return math.exp(-log_sum(-log_leak, -math.log(h)))


def jensen_bounds(terms: Terms) -> tuple[Bound, ...]:
    """FE_T ≥ |E_{P_f}[p̂^(T)] − E_{P_f}[p_r]|: what F shows, for any mixture and classifier.

    Equality wherever p̂ − p_r has one sign on the forget data, so on the family of F.
    """
    estimate, truth = terms.log_estimate, terms.mixture.log_retain_density
    if estimate is None or terms.estimate_on_forget is None:
        return ()
    xp = namespace(estimate)
    high = xp.maximum(truth, estimate)
    none = (high == -xp.inf) | (terms.mixture.forget == 0)
    high = xp.where(none, xp.zeros_like(high), high)
    # Atom by atom as in `forget_error`, so that this is not above it by rounding.
    low = xp.where(none, xp.zeros_like(high), xp.minimum(truth, estimate))
    size = -xp.exp(high) * xp.expm1(low - high)
    excess = xp.sum(terms.mixture.forget * xp.where(estimate > truth, size, -size))
    named = {
        "estimate_on_forget": terms.estimate_on_forget,
        "retain_on_forget": terms.retain_on_forget,
    }
    value = abs(float(excess))
    return (Bound("F", "forget_error", "lower", value, named, "Jensen", needs_classifier=True),)
