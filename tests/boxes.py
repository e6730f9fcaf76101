"""Proofs of inequalities over boxes of parameters: ball arithmetic, linear parts, bisection.

:func:`prove` halves a box until every `bound − error` is certified positive on each part. A
number that depends on the parameters is kept as a :class:`Linear`: its value at the midpoint of
the part, its slopes there and a ball that holds the rest, all in balls. What parts of one
expression have in common cancels in the slopes, as it does not in plain balls.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from flint import arb, ctx

__all__ = [
    "Linear",
    "Outcome",
    "excess",
    "larger",
    "largest",
    "log1p_ratio",
    "parameters",
    "prove",
    "square",
    "total",
]

ctx.prec = 160

ZERO, ONE, SIGNS, UNIT = arb(0), arb(1), arb(0, 1), arb(0.5, 0.5)  # the last: [0, 1]
Box = tuple[tuple[float, float], ...]
Claim = Callable[..., list[tuple["Linear", "Linear"]]]
"""Of the parameters: pairs (error, bound), all of which are claimed."""


class Linear:
    """at + Σ slopes_i ε_i + something in `rest`, for an ε in [−1, 1]^k that all numbers share."""

    __slots__ = ("at", "reach", "rest", "slopes")

    def __init__(self, at: arb, slopes: list[arb], rest: arb) -> None:
        self.at, self.slopes, self.rest = at, slopes, rest
        self.reach = sum(map(abs, slopes), abs(rest))

    def __add__(self, other):
        if not isinstance(other, Linear):
            return Linear(self.at + other, self.slopes, self.rest)
        slopes = [x + y for x, y in zip(self.slopes, other.slopes, strict=True)]
        return Linear(self.at + other.at, slopes, self.rest + other.rest)

    def __neg__(self):
        return Linear(-self.at, [-x for x in self.slopes], -self.rest)

    def __sub__(self, other):
        return self + (-other)

    def __rsub__(self, other):
        return -self + other

    def __mul__(self, other):
        if not isinstance(other, Linear):
            slopes = [x * other for x in self.slopes]
            return Linear(self.at * other, slopes, self.rest * other)
        a, b = self.at, other.at
        slopes = [a * y + b * x for x, y in zip(self.slopes, other.slopes, strict=True)]
        rest = a * other.rest + b * self.rest + self.reach * other.reach * SIGNS
        return Linear(a * b, slopes, rest)

    def __truediv__(self, other):
        if not isinstance(other, Linear):
            return self * (1 / arb(other))
        # x/y − z = (x − zy)/b + (x − zy)(1/y − 1/b) with z, b the midpoint's x/y and y
        b = other.at
        z = self.at / b
        off = self - other * z
        off.at = ZERO
        rest = off.rest / b + off.reach * other.reach / (b * other.ball()) * SIGNS
        return Linear(z, [x / b for x in off.slopes], rest)

    def __rtruediv__(self, other):
        return Linear(arb(other), [ZERO] * len(self.slopes), ZERO) / self

    __radd__, __rmul__ = __add__, __mul__

    def ball(self) -> arb:
        """All values."""
        return self.at + self.reach * SIGNS

    def positive(self) -> bool:
        """Whether every value is certified positive."""
        return bool(self.at + self.rest > sum(map(abs, self.slopes), ZERO))

    def through(self, value: arb, slope: arb, curve: arb) -> Linear:
        """A function of it: value and slope at the midpoint, second derivative anywhere."""
        rest = slope * self.rest + curve / 2 * self.reach * self.reach * UNIT
        return Linear(value, [slope * x for x in self.slopes], rest)

    def log(self):
        y = 1 / self.ball()
        return self.through(self.at.log(), 1 / self.at, -y * y)

    def exp(self):
        x = self.at.exp()
        return self.through(x, x, self.ball().exp())

    def sqrt(self):
        x, y = self.at.sqrt(), self.ball()
        return self.through(x, 1 / (2 * x), -1 / (4 * y * y.sqrt()))


def square(x: Linear) -> Linear:
    """x², whose second part is not negative."""
    return x.through(x.at * x.at, 2 * x.at, arb(2))


def larger(x: Linear, *others: Linear) -> Linear:
    """The one with the largest midpoint: at the midpoint the maximum, elsewhere not above it."""
    for y in others:
        if not x.at >= y.at:
            x = y
    return x


def total(values: Iterable):
    """Their sum."""
    first, *others = values
    for x in others:
        first = first + x
    return first


def largest(values: Sequence[arb]) -> arb:
    """The maximum of balls, as a ball."""
    top = values[0]
    for x in values[1:]:
        top = top.max(x)
    return top


def excess(u: Linear) -> Linear:
    """h(u) = (u − log(1+u))/u², 1/2 at 0: p log(p/q) = p − q + p u² h(u) with u = q/p − 1.

    h = ∫₀¹ x/(1+xu) dx, and h'' = ∫₀¹ 2x³/(1+xu)³ dx lies between its values at both ends.
    """
    ball = u.ball()
    value, slope = _excess_at(u.at)
    low = ball.lower()
    return u.through(value, slope, _bend(low).union(ZERO))


def _bend(u: arb) -> arb:
    """h'' at a point, by ∫ 2x³/(1+xu)³ ≤ 2/4 for u ≥ 0, and by h and h' away from 0."""
    if u >= -0.1:  # (1+xu)³ ≥ (1+min(u, 0))³
        return ONE / 2 / (1 + u.min(ZERO)) ** 3
    h, slope = _excess_at(u)
    return (2 * h / u - 2 * slope - (1 + 2 * u) / (u * (1 + u) ** 2)) / u


def log1p_ratio(u: Linear) -> Linear:
    """log(1+u)/u, 1 at 0."""
    return 1 - u * excess(u)


_TERMS = 8


def _excess_at(u: arb) -> tuple[arb, arb]:
    """h and h' at a point; by their series Σ (−u)^k/(k+2) near 0, where the formula cancels."""
    if abs(u) < 1e-3:
        value, slope, power = ZERO, ZERO, ONE
        for k in range(_TERMS):
            value += power / (k + 2)
            slope -= power * (k + 1) / (k + 3)
            power *= -u
        rest = 2 * abs(power) * SIGNS  # geometric: twice the first term left out
        return value + rest, slope + rest
    value = (u - u.log1p()) / (u * u)
    return value, (1 / (1 + u) - 2 * value) / u


class Outcome(NamedTuple):
    """What became of a region.

    Attributes:
        share: of its volume, proved.
        boxes: how many were looked at.
        refuted: midpoint of a box at which a claim is certified false, or None.
    """

    share: float
    boxes: int
    refuted: tuple[float, ...] | None


def prove(claim: Claim, region: Box, most: int, scale: float = 1.0) -> Outcome:
    """error < scale · bound over the region, largest boxes first, until `most` were looked at."""
    waiting = deque([(region, 1.0)])
    proved, seen = 0.0, 0
    while waiting and seen < most:
        box, share = waiting.popleft()
        seen += 1
        slacks = [bound * scale - error for error, bound in claim(*parameters(box))]
        if any(s.at < 0 for s in slacks):
            return Outcome(proved, seen, tuple((low + high) / 2 for low, high in box))
        left = [s for s in slacks if not s.positive()]
        if left:
            waiting.extend((half, share / 2) for half in _halves(box, region, left[0].slopes))
        else:
            proved += share  # powers of 1/2: so is their sum exact
    return Outcome(proved, seen, None)


def parameters(box: Box) -> list[Linear]:
    """The box as its sides' midpoints and half-widths."""
    found = []
    for i, (low, high) in enumerate(box):
        low, high = arb(low), arb(high)  # ends are floats, so both are exact
        slopes = [ZERO] * len(box)
        slopes[i] = (high - low) / 2
        found.append(Linear((low + high) / 2, slopes, ZERO))
    return found


def _halves(box: Box, region: Box, slopes: Sequence[arb]) -> Iterable[Box]:
    """Cut a side that is wide for the region's, the sooner the more the slack changes along it."""
    sizes = [float(abs(x).mid()) if x.is_finite() else 1.0 for x in slopes]
    top = max(sizes) or 1.0
    weights = [
        (high - low) / (last - first) * (0.3 + size / top)
        for (low, high), (first, last), size in zip(box, region, sizes, strict=True)
    ]
    i = weights.index(max(weights))
    low, high = box[i]
    middle = (low + high) / 2
    for half in ((low, middle), (middle, high)):
        yield (*box[:i], half, *box[i + 1 :])
