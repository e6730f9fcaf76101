"""The per-atom maximiser for a guidance scale s ≠ 1, by safeguarded Newton steps on the log-odds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["power_roots"]

Vector = NDArray[np.float64]
Function = Callable[[Vector], tuple[Vector, Vector]]

_REACH = 745.0  # log-odds beyond which float64 has no f, or no 1−f, left
_STEPS = 60  # enough to halve a bracket of twice that down to 1e-15, should Newton never help
# A maximiser x off by e costs its objective e²s²/2 of its terms: 1e-9 is far below rounding.
_CLOSE = 1e-9


def power_roots(c: Vector, a: Vector, b: Vector, scale: float) -> list[tuple[Vector, Vector]]:
    """Local maximisers (f, 1−f) of φ(f) = c f^s + a log f + b log(1−f), b ≥ 0.

    With h(f) = f φ'(f) = s c f^s + a − b f/(1−f), the sign of h' is that of
    log(s²c/b) + (s−1) log f + 2 log(1−f), which rises up to f = (s−1)/(s+1) and falls
    after it. So h falls, rises between two zeros of that function (if c > 0 and it has
    any), and falls: a maximiser is a root in the first or in the last stretch.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        log_b = np.log(b)
        level = np.where(c > 0, 2 * np.log(scale) + np.log(np.maximum(c, 0.0)) - log_b, -np.inf)
        start = np.log(np.maximum(a, 0.0)) - log_b
    level = np.where((c > 0) & (b == 0), np.inf, level)
    start = np.where(np.isfinite(start), start, 0.0)

    def turning(x: Vector) -> tuple[Vector, Vector]:
        f, log_f = _sigmoid(x)
        # log(1−f) = log f − x
        value = level + (scale + 1) * log_f - 2 * x
        return value, (scale - 1) * (1 - f) - 2 * f

    def derivative(x: Vector) -> tuple[Vector, Vector]:
        # The sign of h, as the near-linear log(s c f^s + a) − log b − x.
        f, log_f = _sigmoid(x)
        rise = scale * c * np.exp(scale * log_f)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            left = rise + a
            value = np.where(left > 0, np.log(np.maximum(left, 0.0)) - log_b - x, -1.0)
            slope = np.where(left > 0, scale * rise * (1 - f) / left - 1, np.nan)
        return value, slope

    ends = np.full_like(c, _REACH)
    peak = np.full_like(c, np.log((scale - 1) / 2) if scale > 1 else -_REACH)
    # A concave f^s with a ≥ 0 has one root only, wherever h turns.
    rises = (turning(peak)[0] > 0) & ((scale > 1) | (a < 0))
    last = -ends
    if rises.any():
        last = np.where(rises, _falling_root(turning, peak, ends, peak + 1), -ends)
    roots = [_shares(_falling_root(derivative, last, ends, start))]
    if scale > 1 and rises.any():
        first = -_falling_root(_mirrored(turning), -peak, ends, 1 - peak)
        roots.append(_shares(_falling_root(derivative, -ends, np.where(rises, first, ends), start)))
    return roots


def _mirrored(function: Function) -> Function:
    def mirrored(x: Vector) -> tuple[Vector, Vector]:
        value, slope = function(-x)
        return value, -slope

    return mirrored


def _sigmoid(x: Vector) -> tuple[Vector, Vector]:
    """f and log f of log-odds x."""
    with np.errstate(over="ignore"):
        small = np.exp(-np.abs(x))
    f = np.where(x >= 0, 1.0, small) / (1 + small)
    return f, np.minimum(x, 0.0) - np.log1p(small)


def _falling_root(function: Function, low: Vector, high: Vector, start: Vector) -> Vector:
    """Where a function that falls on [low, high] changes sign; an end if it does not.

    Newton's step where it stays in the bracket, half the bracket where it does not.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        at_low, at_high = function(low)[0] <= 0, function(high)[0] > 0
        low, high = np.where(at_high, high, low), np.where(at_low, low, high)
        x = np.clip(start, low, high)
        for _ in range(_STEPS):
            value, slope = function(x)
            above = value > 0
            low, high = np.where(above, x, low), np.where(above, high, x)
            new = x - value / slope
            new = np.where((new >= low) & (new <= high), new, (low + high) / 2)
            new = np.where(at_low | at_high, x, new)
            moved = float(np.max(np.abs(new - x), initial=0.0))
            x = new
            if moved <= _CLOSE:
                break
    return x


def _shares(log_odds: Vector) -> tuple[Vector, Vector]:
    f, g = _sigmoid(log_odds)[0], _sigmoid(-log_odds)[0]
    # The ends of the range stand for 0 and 1.
    ends = np.abs(log_odds) > _REACH - 1
    return np.where(ends, np.where(log_odds > 0, 1.0, 0.0), f), np.where(
        ends, np.where(log_odds > 0, 0.0, 1.0), g
    )
