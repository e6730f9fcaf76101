"""One pair of multipliers' bound on the forget error, at every normaliser."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Profile", "uncovered"]

Vector = NDArray[np.float64]
Span = tuple[float, float]
_LOOKS = 5  # at a bound, for a point where it is low enough
_ROUNDS = 2  # of looks for an end of the stretch that it covers
_LEAST = 0.02  # part of an interval that is worth cutting off


class Seen(NamedTuple):
    """A normaliser, t = 1/N, and the bound's value and slope by t there."""

    normaliser: float
    t: float
    value: float
    slope: float


class Profile(NamedTuple):
    """Φ(t) = c₀ + c₁t + Σ max(h + t W₊, −h + t W₋), t = 1/N: convex, and above every error at t.

    Args:
        constant, slope: c₀ and c₁: the price, the budget, the atoms of settled sign.
        held, plus, minus: h, W₊ and W₋ of the atoms whose sign is open.
        sizes: of all terms' absolute values, at t = 0 and by t.
        slack: the part of these that rounding may have lost.
    """

    constant: float
    slope: float
    held: Vector
    plus: Vector
    minus: Vector
    sizes: tuple[float, float]
    slack: float

    def at(self, normaliser: float) -> Seen:
        """Φ at 1/N, rounded up."""
        t = 1 / normaliser
        up, down = self.held + t * self.plus, t * self.minus - self.held
        value = self.constant + t * self.slope + float(np.maximum(up, down).sum())
        value += self.slack * (self.sizes[0] + t * self.sizes[1])
        slope = self.slope + float(np.where(up > down, self.plus, self.minus).sum())
        # What overflowed says nothing.
        return Seen(normaliser, t, value if math.isfinite(value) else math.inf, slope)


def uncovered(profile: Profile, span: Span, target: float) -> list[Span]:
    """What is left of an interval of normalisers without one stretch on which Φ ≤ target.

    Both ends of the stretch are normalisers at which Φ was seen to be ≤ target; between them
    it is because Φ is convex in t.
    """
    low, high = profile.at(span[1]), profile.at(span[0])  # in the order of t
    if max(low.value, high.value) <= target:
        return []
    inside = min(low, high, key=lambda end: end.value)
    if not inside.value <= target:
        found = _inside(profile, low, high, target)
        if found is None:
            return [span]
        inside = found
    left = [] if low.value <= target else [_crossing(profile, inside, low, target)]
    right = [] if high.value <= target else [_crossing(profile, inside, high, target)]
    cut = (right or [high])[0].t - (left or [low])[0].t
    if not cut > _LEAST * (high.t - low.t):
        return [span]
    return [(end.normaliser, span[1]) for end in left] + [
        (span[0], end.normaliser) for end in right
    ]


def _inside(profile: Profile, low: Seen, high: Seen, target: float) -> Seen | None:
    """A point between two where Φ ≤ target: where the tangents there meet, Φ is no lower."""
    for _ in range(_LOOKS):
        if not low.slope < 0 < high.slope:
            return None
        rise = high.value - low.value + low.slope * low.t - high.slope * high.t
        t = rise / (low.slope - high.slope)
        if not (low.t < t < high.t and low.value + low.slope * (t - low.t) <= target):
            return None
        seen = profile.at(1 / t)
        if seen.value <= target:
            return seen
        low, high = (low, seen) if seen.slope > 0 else (seen, high)
    return None


def _crossing(profile: Profile, inside: Seen, outside: Seen, target: float) -> Seen:
    """The farthest point seen with Φ ≤ target: chords of a convex function are above it."""
    for _ in range(_ROUNDS):
        t = outside.t - (outside.value - target) / outside.slope if outside.slope else math.nan
        if min(inside.t, outside.t) < t < max(inside.t, outside.t):
            seen = profile.at(1 / t)
            inside, outside = (seen, outside) if seen.value <= target else (inside, seen)
        share = (target - inside.value) / (outside.value - inside.value)
        seen = profile.at(1 / (inside.t + 0.999 * share * (outside.t - inside.t)))
        if seen.value <= target:
            inside = seen
    return inside
