"""Whether unlearned and retain model can be told apart by their truth ratios."""

from __future__ import annotations

import math
import warnings
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln
from scipy.stats import ks_2samp

from llm.tofu.metrics._arrays import vector

__all__ = ["ForgetQuality", "forget_quality", "log_ks_tail"]

_EXACT_LIMIT = 10_000
"""Sample size up to which scipy's "auto" means "exact"."""

_SMALLEST = 1e-290
"""Below this p the float64 value may have lost digits to underflow."""


class ForgetQuality(NamedTuple):
    """The two-sample Kolmogorov–Smirnov test: p-value, distance D, and log₁₀ of the p-value."""

    p_value: float
    statistic: float
    log10_p: float


def _log_binomial(n: np.ndarray, k: np.ndarray) -> np.ndarray:
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)


def log_ks_tail(n: int, m: int, statistic: float) -> float:
    """Natural log of the exact P(D ≥ statistic) for samples of sizes n and m without ties.

    Under the null every interleaving of the samples is equally likely: a lattice path from
    (0, 0) to (n, m). This counts, in logarithms, the paths that reach |i/n - j/m| ≥ statistic
    somewhere: nothing is subtracted, so no tail is too small.

    >>> round(log_ks_tail(400, 400, 1.0) / math.log(10), 2)  # 2 / C(800, 400)
    -238.97
    """
    lcm = math.lcm(n, m)
    reach = round(statistic * lcm)
    if reach <= 0:
        return 0.0
    previous = np.full(0, -np.inf)
    for diagonal in range(n + m + 1):
        low, high = max(0, diagonal - m), min(n, diagonal)
        i = np.arange(low, high + 1)
        steps = np.full(i.size, -np.inf)
        if diagonal:
            previous_low = max(0, diagonal - 1 - m)
            padded = np.concatenate([[-np.inf], previous, [-np.inf]])
            offset = low - previous_low
            from_i = padded[offset : offset + i.size]
            from_j = padded[offset + 1 : offset + 1 + i.size]
            steps = np.logaddexp(from_i, from_j)
        outside = np.abs(i * (lcm // n) - (diagonal - i) * (lcm // m)) >= reach
        previous = np.where(outside, _log_binomial(np.full(i.size, diagonal), i), steps)
    return min(0.0, float(previous[0] - _log_binomial(np.array(n + m), np.array(n))))


def forget_quality(truth_ratios: ArrayLike, retain_truth_ratios: ArrayLike) -> ForgetQuality:
    """p-value that the unlearned and the retain model's truth ratios share one distribution.

    TOFU's forget quality: high (above 0.05) when the test cannot tell the models apart. The
    p-value is exact up to 10,000 rows; where it leaves float64's range, `log10_p` still says
    how small it is.

    Raises:
        AssumptionError: an argument is empty, not one-dimensional, or holds nan.

    >>> round(forget_quality([1.0, 2.0, 3.0], [4.0, 5.0, 6.0]).p_value, 12)  # 2 / C(6, 3)
    0.1
    """
    x = vector("truth_ratios", truth_ratios)
    y = vector("retain_truth_ratios", retain_truth_ratios)
    exact = max(x.size, y.size) <= _EXACT_LIMIT
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RuntimeWarning)
        test = ks_2samp(x, y, method="exact" if exact else "asymp")
    p_value, statistic = float(test.pvalue), float(test.statistic)
    if p_value > _SMALLEST and not caught:
        return ForgetQuality(p_value, statistic, math.log10(p_value))
    # Underflow, or scipy gave up on the exact value and said so in a warning.
    log_p = log_ks_tail(x.size, y.size, statistic)
    return ForgetQuality(math.exp(log_p), statistic, log_p / math.log(10))
