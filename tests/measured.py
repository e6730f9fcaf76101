"""An error, its bound, and their ratio with what rounding may cost."""

from __future__ import annotations

import math

import numpy as np

from t3theory import Mixture
from t3theory.bounds import Bound
from t3theory.errors import forget_error, retain_error
from t3theory.estimator import temper_then_tilt

__all__ = ["RELATIVE", "ratio_of", "true_errors"]

# Sums of 200 terms and exponentials of log-sums near 700 lose about 200·700·1e-16 = 1.4e-11;
# the divergences add the rounding of log f*, of the same size, relative to δ/(1−γ).
RELATIVE = 1e-9


def true_errors(mixture: Mixture, f: np.ndarray, temperature: float) -> dict[str, float]:
    with np.errstate(divide="ignore"):
        log_f = np.log(f)
    log_q = temper_then_tilt(mixture.log_density, log_f, temperature, 1.0, mixture.log_reference)
    return {
        "retain_error": float(retain_error(mixture, log_q)),
        "forget_error": float(forget_error(mixture, log_q)),
    }


def slack(bound: Bound, mixture: Mixture, delta: float) -> float:
    """What rounding may cost: relative to the largest number the two sides are made of."""
    if bound.quantity == "forget_error":
        # p̂ − p_r is a difference of densities known to 200·1e-16 or so each
        density = float(np.sum(mixture.forget * mixture.retain / mixture.reference))
        return RELATIVE * bound.value + 1e-13 * max(density, 1.0)
    size = max(bound.value, 1.0, delta / (1 - mixture.gamma) if math.isfinite(delta) else 1.0)
    return RELATIVE * size


def ratio_of(bound: Bound, error: float, mixture: Mixture, delta: float) -> float:
    """error/bound (bound/error for a lower bound), at most 1 where the bound holds."""
    allowed = slack(bound, mixture, delta)
    high, low = (bound.value, error) if bound.direction == "upper" else (error, bound.value)
    return low / (high + allowed) if math.isfinite(high) else 0.0
