"""The per-atom maximiser for a guidance scale s ≠ 1, by safeguarded Newton steps on the log-odds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from t3theory.envelope.atoms import log_rest

__all__ = ["power_roots"]

Vector = NDArray[np.float64]
Function = Callable[[Vector], tuple[Vector, Vector]]

_REACH = 4000.0  # log-odds beyond any root with c ≥ 0 whose terms are above e^−745 b
_FARTHEST = 1e300  # of log-odds
_STEPS = 60  # enough to halve a bracket of twice that down to 1e-15, should Newton never help
# A maximiser x off by e costs its objective e²s²/2 of its terms: 1e-9 is far below rounding.
_CLOSE = 1e-9


def power_roots(
    c: Vector, log_a: Vector, log_b: Vector, scale: float, paid: bool = False
) -> list[Vector]:
    """Log-odds of local maximisers of φ(f) = c f^s + a log f + b log(1−f); ±inf stands for 1 and 0.

    Args:
        c: shape (k,).
        log_a, log_b: log |a| and log b, which tell roots that no float f is near enough to.
        paid: that a ≤ 0, a fall of log f being paid for.
    """
    falls = (c < 0) & (log_a > -np.inf)
    if paid or not falls.any():
        return _rising_roots(c, log_a, log_b, scale, paid)
    if falls.all():
        return [_balance(np.log(-scale * c), log_a, log_b, scale)]
    some, rest = np.flatnonzero(falls), np.flatnonzero(~falls)
    parts = _rising_roots(c[rest], log_a[rest], log_b[rest], scale, paid)
    only = _balance(np.log(-scale * c[some]), log_a[some], log_b[some], scale)
    found = [np.empty_like(c) for _ in parts]
    for root, part in zip(found, parts, strict=True):
        root[some], root[rest] = only, part
    return found


def _balance(log_c: Vector, log_a: Vector, log_b: Vector, scale: float) -> Vector:
    """The only root of s|c| f^s + b f/(1−f) = a > 0: the maximiser where c < 0.

    All terms are positive, so their logarithms hold every digit wherever the root is:
    (a/(s|c|))^{1/s} may be far below the floats where f^s is not. At the root one of the two
    terms is at least a/2 and neither is above a, which brackets it.
    """

    def function(x: Vector) -> tuple[Vector, Vector]:
        f, log_f = _sigmoid(x)
        power, odds = log_c + scale * log_f, log_b + x
        total = _log_sum(power, odds)
        share = np.exp(power - total)
        return log_a - total, -(share * scale * (1 - f) + 1 - share)

    def end(log_term: Vector) -> Vector:
        log_f = np.minimum((log_term - log_c) / scale, 0.0)
        x = np.minimum(log_f - log_rest(log_f), log_term - log_b)
        return np.clip(x, -_FARTHEST, _FARTHEST)

    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        low, high = end(log_a - np.log(2)), end(log_a)
        x = _falling_root(function, low, high, high, sure=True)
    return np.where(np.abs(x) < _FARTHEST, x, np.copysign(np.inf, x))


def _rising_roots(
    c: Vector, log_a: Vector, log_b: Vector, scale: float, paid: bool
) -> list[Vector]:
    """Local maximisers where c ≥ 0; f = 0 where it is not.

    With h(f) = f φ'(f) = s c f^s + a − b f/(1−f), the sign of h' is that of
    log(s²c/b) + (s−1) log f + 2 log(1−f), which rises up to f = (s−1)/(s+1) and falls
    after it. So h falls, rises between two zeros of that function (if c > 0 and it has
    any), and falls: a maximiser is a root in the first or in the last stretch.
    """
    ends = np.full_like(c, _REACH)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_c = np.log(scale) + np.log(np.maximum(c, 0.0))
        level = np.where(c > 0, np.log(scale) + log_c - log_b, -np.inf)
        # f^s lies between 0 and 1. Their logarithms are rounded: a root may stand at an end.
        low = np.clip(np.fmax(log_a - log_b, -ends), -_REACH, _REACH)
        high = np.clip(np.fmin(_log_sum(log_c, log_a) - log_b, ends), -_REACH, _REACH)
    least = -ends if paid else low - _CLOSE * (1 + np.abs(low))
    most = ends if paid else high

    def derivative(x: Vector) -> tuple[Vector, Vector]:
        return _log_ratio(x, (log_c, log_a, log_b), scale, paid)

    # A concave f^s with a ≥ 0 has one root only, wherever h turns.
    peak = float(np.log((scale - 1) / 2)) if scale > 1 else -_REACH
    rises = (_turning(np.full_like(c, peak), level, scale)[0] > 0) & ((scale > 1) | paid)
    if not rises.any():
        roots = [_falling_root(derivative, least, most, low if paid else high, sure=not paid)]
    else:
        first, last = _stretches(level, scale, peak, np.flatnonzero(rises))
        roots = [_falling_root(derivative, np.maximum(last, least), most, high)]
        if scale > 1:
            roots.append(_falling_root(derivative, least, np.minimum(first, most), low))
    # The ends of the range stand for 0 and 1.
    return [np.where(np.abs(x) > _REACH - 1, np.copysign(np.inf, x), x) for x in roots]


def _turning(x: Vector, level: Vector, scale: float) -> tuple[Vector, Vector]:
    """The sign of h' (see `_rising_roots`), by log-odds, and its slope."""
    f, log_f = _sigmoid(x)
    # log(1−f) = log f − x
    return level + (scale + 1) * log_f - 2 * x, (scale - 1) * (1 - f) - 2 * f


def _stretches(
    level: Vector, scale: float, peak: float, which: NDArray[np.intp]
) -> tuple[Vector, Vector]:
    """Where the first falling stretch of h ends and the last starts, for atoms on which h rises."""
    first, last = np.full_like(level, np.inf), np.full_like(level, -np.inf)
    level, top = level[which], np.full(len(which), peak)
    ends = np.full_like(top, _REACH)

    def function(x: Vector) -> tuple[Vector, Vector]:
        return _turning(x, level, scale)

    last[which] = _falling_root(function, top, ends, top + 1)
    if scale > 1:
        first[which] = -_falling_root(_mirrored(function), -top, ends, 1 - top)
    return first, last


def _log_ratio(
    x: Vector, logs: tuple[Vector, Vector, Vector], scale: float, paid: bool
) -> tuple[Vector, Vector]:
    """The sign of h (see `_rising_roots`), as the near-linear log(s c f^s + a) − log b − x."""
    (f, log_f), (log_c, log_a, log_b) = _sigmoid(x), logs
    power = log_c + scale * log_f
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if paid:
            left = power + np.log(-np.expm1(np.minimum(log_a - power, 0.0)))
        else:
            left = _log_sum(power, log_a)
        value = np.where(left > -np.inf, left - log_b - x, -1.0)
        return value, scale * np.exp(power - left) * (1 - f) - 1


def _mirrored(function: Function) -> Function:
    def mirrored(x: Vector) -> tuple[Vector, Vector]:
        value, slope = function(-x)
        return value, -slope

    return mirrored


def _sigmoid(x: Vector) -> tuple[Vector, Vector]:
    """f and log f of log-odds x."""
    log_f = np.minimum(x, 0.0) - np.log1p(np.exp(-np.abs(x)))
    return np.exp(log_f), log_f


def _log_sum(x: Vector, y: Vector) -> Vector:
    """log(eˣ + eʸ), −inf where both are: a fifth of the time of NumPy's logaddexp."""
    larger = np.maximum(x, y)
    apart = np.fmax(np.minimum(x, y) - larger, -np.inf)
    return larger + np.log1p(np.exp(apart))


def _falling_root(
    function: Function, low: Vector, high: Vector, start: Vector, sure: bool = False
) -> Vector:
    """Where a function that falls on [low, high] changes sign; an end if it does not.

    Newton's step where it stays in the bracket, half the bracket where it does not. `sure`: that
    it changes sign.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        if not sure:
            at_low, at_high = function(low)[0] <= 0, function(high)[0] > 0
            low, high = np.where(at_high, high, low), np.where(at_low, low, high)
        x = np.clip(start, low, high)
        for _ in range(_STEPS):
            value, slope = function(x)
            above = value > 0
            low, high = np.where(above, x, low), np.where(above, high, x)
            new = x - value / slope
            new = np.where((new >= low) & (new <= high), new, (low + high) / 2)
            moved = float(np.max(np.abs(new - x), initial=0.0))
            x = new
            if moved <= _CLOSE:
                break
    return x
