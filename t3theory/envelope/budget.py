"""The multiplier that spends the budget: one scalar equation, by Newton's steps."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from t3theory.envelope.atoms import Atoms, Point, parts_of
from t3theory.envelope.dual import Dual
from t3theory.envelope.maximiser import maximise

__all__ = ["JUMP", "spend"]

Vector = NDArray[np.float64]
JUMP = 1e-6
"""How closely the log of a multiplier is told at which the risk jumps past the budget."""
_CLIFF = 0.1  # of the log of the risk: what makes a step a jump
_LEAST = -690.0  # log of the smallest multiplier: float64 holds it with room to spare
_TRIALS = 100
_STRIDE = 2.0  # of the log of a multiplier: the longest first step
_EQUAL = 1e-13  # between two logs of multipliers that are the same
_BESIDE = 4e-13  # of a multiplier: the next one to be told from it
_APART = 1e-3  # of the mean reward: a first multiplier where no atom has both kinds of data
_LEFT = 1e-5  # part of the budget for which to look between two multipliers
_SPENT = 2e-6  # part of the budget that may be left, far below the gap asked for


def spend(dual: Dual, c: Vector, near: float = math.nan, jump: float = JUMP) -> tuple[Point, float]:
    """The maximiser of the atoms' rewards c that spends the budget, and its multiplier.

    `near` is a guess of the multiplier, nan for none; `jump` is as `JUMP`.
    """
    atoms, worth = dual.atoms, dual.worth

    def risk(multiplier: float) -> tuple[float, float]:
        """The maximisers' risk and its derivative."""
        spent, slope = atoms.total(lambda x, part: _risk(x, part, multiplier, worth), c).tolist()
        return spent, slope

    # Above s/(1−γ) the multiplier is exp(x); below it, where log f is worth more than its
    # risk and only f's largest local maximiser is followed, −s/(1−γ) · σ(−x).
    near = near if abs(math.log(abs(near) or 1.0)) < -_LEAST / 2 else math.nan
    below = worth > 0 and not near > 0 and risk(math.exp(_LEAST))[0] < dual.delta

    def multiplier(x: float) -> float:
        return -worth / (1 + math.exp(x)) if below else math.exp(x)

    seen: dict[float, float] = {}

    def excess(x: float) -> tuple[float, float]:
        at = multiplier(x)
        spent, slope = risk(at)
        seen[at] = spent
        step = -at * math.exp(x) / (1 + math.exp(x)) if below else at
        if not spent > 0:  # or nan
            return -math.inf, 0.0
        return math.log(spent) - math.log(dual.delta), slope * step / spent

    chosen = multiplier(_root(excess, _guess(dual, c, near, below), jump))
    if worth > 0 and near > 0 and chosen < 1e-290:  # the guess was of the wrong kind
        return spend(dual, c, jump=jump)
    point = _everywhere(dual, c, chosen)
    if chosen > 0 and seen[chosen] < dual.delta * (1 - _LEFT):
        point = _topped(dual, c, chosen, point, seen[chosen])
    return point, chosen


def _everywhere(dual: Dual, c: Vector, multiplier: float) -> Point:
    parts = dual.atoms.map(lambda block, part: _local(block, part, multiplier, dual.worth), c)
    return Point(*(np.concatenate(field) for field in zip(*map(parts_of, parts), strict=True)))


def _topped(dual: Dual, c: Vector, multiplier: float, point: Point, spent: float) -> Point:
    """Where a point spends too little and the nearest multiplier too much: what lies between.

    On an atom of one kind of data f = 1 − λ/c, so that λ would be needed to a part δ. The risk
    is convex in f: this share of the way spends no more than the budget.
    """
    atoms = dual.atoms
    high = _everywhere(dual, c, multiplier * (1 - _BESIDE))
    most = atoms.risk(high)
    if not spent < dual.delta < most < math.inf:
        return point
    share = min((dual.delta - spent) / (most - spent), 1 - 1e-9)
    up, rest = math.log(share), math.log1p(-share)
    with np.errstate(divide="ignore"):
        log_f, log_g = (
            np.minimum(np.logaddexp(near + rest, far + up), 0.0)
            for near, far in ((point.log_f, high.log_f), (point.log_g, high.log_g))
        )
    return Point(np.exp(atoms.scale * log_f), log_f, log_g)


def _guess(dual: Dual, c: Vector, near: float, below: bool) -> float:
    """Where to look for the multiplier first, as the x of `spend`."""
    atoms = dual.atoms
    if below:
        guess = math.log(max(-dual.worth / near - 1, 1e-300)) if near < 0 else 0.0
    elif near > 0:
        guess = math.log(near)
    else:
        top = float(np.max(np.abs(c))) + 1e-300
        spread = float(np.dot(atoms.probability, (c / top) ** 2 * atoms.oracle * atoms.co_oracle))
        # Next to f* the risk is a square; where no atom has both kinds of data it is not.
        free = np.exp(atoms.log_low) + np.exp(atoms.log_co_low) < 1 - 1e-12  # f is pinned elsewhere
        mean = float(np.dot(atoms.probability, np.abs(c) * free))
        guess = math.log(max(top * math.sqrt(spread / (2 * dual.delta)), _APART * mean, 1e-300))
    return min(max(guess, _LEAST), -_LEAST)


def _local(block: Atoms, c: Vector, multiplier: float, worth: float) -> Point:
    return maximise(block, c, multiplier, multiplier + worth, everywhere=False)


def _risk(block: Atoms, c: Vector, multiplier: float, worth: float) -> Vector:
    """The local maximisers' risk, and its derivative by the multiplier.

    With D = a + b − s c f^{s−1}(s(1−f) − f), a = λ'f*, b = λ(1−f*), an inner maximiser moves
    by (f* − f)/D when λ and λ' rise by one, and kl by (f − f*)/(f(1−f)) when f does.
    """
    point = _local(block, c, multiplier, worth)
    f = point.power if block.scale == 1 else np.exp(point.log_f)
    g = np.exp(point.log_g)
    # From the smaller of f* and 1 − f*, which has the digits of both.
    away = np.where(block.oracle < block.co_oracle, f - block.oracle, block.co_oracle - g)
    total = multiplier + worth * block.co_oracle
    curve = g * (total * f - block.scale * c * point.power * (block.scale * g - f))
    inner = (point.log_f > block.log_low) & (point.log_g > block.log_co_low) & (curve > 0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        moved = block.probability * away * away / curve
    return np.array([block.risk(point), -np.where(inner, moved, 0.0).sum()])


def _root(
    excess: Callable[[float], tuple[float, float]], guess: float, jump: float = JUMP
) -> float:
    """Where a falling function crosses zero, on the side where it is ≤ 0; else the nearest end.

    `excess` gives value and slope. Newton's steps, in ever longer strides as long as no bracket
    is known and halving it where they stop to gain; a jump is left at its higher side. A fall
    to no risk at all (−inf) is none, nor a slope as steep: they may pass every amount.
    """
    low, high, x, stride, last = -math.inf, math.inf, guess, _STRIDE, math.inf
    above = below = fall = 0.0
    for _ in range(_TRIALS):
        value, slope = excess(x)
        if -_SPENT <= value <= 0:
            return x
        low, above = (x, value) if value > 0 else (low, above)
        high, below, fall = (high, below, fall) if value > 0 else (x, value, -slope)
        cliff = fall * (high - low) < _CLIFF < above - below < math.inf
        if high - low < (jump if cliff else _EQUAL):
            break
        step = (value + _SPENT / 2) / -slope if slope < 0 else math.copysign(math.inf, value)
        gains, last = 2 * abs(value) < last, abs(value)
        if math.isinf(high - low):
            if not gains or abs(step) < _EQUAL:
                step = math.copysign(max(abs(step), stride / 8), value)
            new = min(max(x + min(max(step, -stride), stride), _LEAST), -_LEAST)
            stride *= 4
            if new == x:  # an end of the range
                return x
        else:
            new = x + step if gains and low < x + step < high else (low + high) / 2
        x = new
    return high if math.isfinite(high) else x
