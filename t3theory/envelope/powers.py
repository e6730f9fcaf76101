"""The per-atom maximiser for a guidance scale s ≠ 1, by bisection on the log-odds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["power_roots"]

Vector = NDArray[np.float64]

_REACH = 745.0  # log-odds beyond which float64 has no f, or no 1−f, left
_HALVINGS = 58  # brings a bracket of twice that to 5e-15


def power_roots(c: Vector, a: Vector, b: Vector, scale: float) -> list[tuple[Vector, Vector]]:
    """Local maximisers (f, 1−f) of φ(f) = c f^s + a log f + b log(1−f), b ≥ 0.

    With h(f) = f φ'(f) = s c f^s + a − b f/(1−f), the sign of h' is that of
    log(s²c/b) + (s−1) log f + 2 log(1−f), which rises up to f = (s−1)/(s+1) and falls
    after it. So h falls, rises between two zeros of that function (if c > 0 and it has
    any), and falls: a maximiser is a root in the first or in the last stretch.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        level = np.where(c > 0, 2 * np.log(scale) + np.log(np.maximum(c, 0.0)) - np.log(b), -np.inf)
    level = np.where((c > 0) & (b == 0), np.inf, level)

    def turning(x: Vector) -> Vector:
        return level - (scale - 1) * np.logaddexp(0.0, -x) - 2 * np.logaddexp(0.0, x)

    def derivative(x: Vector) -> Vector:
        rise = scale * c * np.exp(-scale * np.logaddexp(0.0, -x))
        with np.errstate(over="ignore"):  # ∞ has the right sign
            return rise + a - np.where(b > 0, b * np.exp(np.minimum(x, 700.0)), 0.0)

    ends = np.full_like(c, _REACH)
    peak = np.full_like(c, np.log((scale - 1) / 2) if scale > 1 else -_REACH)
    # A concave f^s with a ≥ 0 has one root only, wherever h turns.
    rises = (turning(peak) > 0) & ((scale > 1) | (a < 0))
    last = np.where(rises, _bisect(turning, peak, ends), -ends) if rises.any() else -ends
    roots = [_shares(_bisect(derivative, last, ends))]
    if scale > 1 and rises.any():
        first = _bisect(lambda x: -turning(x), -ends, peak)
        roots.append(_shares(_bisect(derivative, -ends, np.where(rises, first, ends))))
    return roots


def _bisect(fall: Callable[[Vector], Vector], low: Vector, high: Vector) -> Vector:
    """Where a function that falls on [low, high] changes sign; an end if it does not."""
    low, high = low.copy(), high.copy()
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        above = fall(middle) > 0
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return (low + high) / 2


def _shares(log_odds: Vector) -> tuple[Vector, Vector]:
    f, g = np.exp(-np.logaddexp(0.0, -log_odds)), np.exp(-np.logaddexp(0.0, log_odds))
    # The ends of the range stand for 0 and 1.
    ends = np.abs(log_odds) > _REACH - 1
    return np.where(ends, np.where(log_odds > 0, 1.0, 0.0), f), np.where(
        ends, np.where(log_odds > 0, 0.0, 1.0), g
    )
