"""Feasible classifiers with a large error: the lower side of the certificate."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize_scalar

from t3theory.envelope.atoms import Atoms, Point, log_rest, parts_of
from t3theory.envelope.dual import ForgetDual, RetainDual
from t3theory.envelope.maximiser import maximise

__all__ = ["Climb", "climb", "concentrated", "polish", "raised", "starts"]

Vector = NDArray[np.float64]
Dual = ForgetDual | RetainDual
_LEAST = -690.0  # log of the smallest multiplier: float64 holds it with room to spare
_STEPS = 30
_TRIALS, _SECANTS = 100, 5  # evaluations in all, and before a bracket is searched otherwise
_APART = 1e-3  # of the mean reward: a first multiplier where no atom has both kinds of data
_JUMP = 1e-6  # width of a bracket, of a log, without a root in it
_SPENT = 2e-6  # part of the budget that may be left, far below the gap asked for
_WITHIN = 1 + 1e-5  # of the budget: what the witness can be pulled back from
_STALL = 1e-5  # relative gain at which an ascent ends, well below the gap asked for
_ROUGH = 1e-3  # the same while amounts are only compared
_SHARES = (0.0, 0.02, 0.08, 0.2, 0.4, 0.65, 1.0)  # of the way up: levels to pin f on first
_DEEP = 40.0  # log of how far below its highest level f is tried


class Climb:
    """The best classifier so far, its error, and each ascent's last (error, multiplier, price)."""

    def __init__(self, dual: Dual, value: float | None = None) -> None:
        self.atoms, self.point = dual.atoms, dual.atoms.bayes()
        self.value = dual.value(self.point) if value is None else value
        self.ends: list[tuple[float, float, float]] = []

    @property
    def multipliers(self) -> list[tuple[float, float]]:
        """Multiplier and price at the end of each ascent, the best first."""
        return [end[1:] for end in sorted(self.ends, reverse=True)]

    def offer(self, atoms: Atoms, point: Point, value: float) -> None:
        """Keep it if it is better."""
        if value > self.value:
            self.atoms, self.point, self.value = atoms, point, value


def climb(
    dual: Dual, point: Point, best: Climb, multiplier: float = math.nan, stall: float = _STALL
) -> None:
    """Fixed-point ascent: linearise the error at a classifier, spend the budget, repeat.

    For the forget error with s = 1 this is Dinkelbach's method for a ratio, with the signs
    of p_r − p̂ renewed at each step: the error never falls. `multiplier` is a guess of the
    first one, `stall` the relative gain at which to stop.
    """
    value = dual.value(point)
    if not math.isfinite(value):
        return
    _offer(dual, point, value, best)
    if dual.atoms.risk(point) > dual.delta * _WITHIN:
        value = -math.inf  # where a start stands says nothing if it is out of reach
    price = math.nan
    for _ in range(_STEPS):
        point, multiplier = spend(dual, dual.linearise(point)[1], multiplier)
        new = dual.value(point)
        if not math.isfinite(new):
            return
        price = dual.linearise(point)[0]
        if not new > value:
            break
        _offer(dual, point, new, best)
        gained, value = new - value, new
        if gained <= stall * value:
            break
    if not math.isnan(price):
        best.ends.append((value, multiplier, price))


def _offer(dual: Dual, point: Point, value: float, best: Climb) -> None:
    # Boxes are 1e-7 too wide; the witness is pulled back by what that costs.
    if dual.atoms.risk(point) <= dual.delta * _WITHIN:
        best.offer(dual.atoms, point, value)


def starts(dual: Dual) -> list[tuple[Dual, Point]]:
    """Where to climb from: f*, p̂ pushed up or down everywhere, all risk on few atoms."""
    bayes = dual.atoms.bayes()
    found: list[tuple[Dual, Point]] = [(dual, bayes)]
    if dual.atoms.scale > 1:
        found += [raised(dual, z) for z in _steepest(dual)]
    if isinstance(dual, RetainDual):
        return [*found, *concentrated(dual)]
    share = float(np.dot(dual.atoms.forget, dual.atoms.base * bayes.power))
    for sign in (-1.0, 1.0):
        c = dual.rewards(dual.atoms, sign, -sign * share)
        found.append((dual, spend(dual, c)[0]))
    return found


def spend(dual: Dual, c: Vector, near: float = math.nan) -> tuple[Point, float]:
    """The maximiser of the atoms' rewards c that spends the budget, and its multiplier.

    `near` is a guess of the multiplier, nan for none.
    """
    atoms, worth = dual.atoms, dual.worth

    def risk(multiplier: float) -> float:
        def sums(block: Atoms, part: Vector) -> Vector:
            return np.array([block.risk(_local(block, part, multiplier, worth))])

        return float(atoms.total(sums, c)[0])

    # Above s/(1−γ) the multiplier is exp(x); below it, where log f is worth more than its
    # risk and only f's largest local maximiser is followed, −s/(1−γ) · σ(−x).
    below = worth > 0 and not near > 0 and risk(math.exp(_LEAST)) < dual.delta
    top = float(np.max(np.abs(c))) + 1e-300
    spread = float(np.dot(atoms.probability, (c / top) ** 2 * atoms.oracle * atoms.co_oracle))
    # Next to f* the risk is a square; where no atom has both kinds of data it is not.
    free = np.exp(atoms.log_low) + np.exp(atoms.log_co_low) < 1 - 1e-12  # f is pinned elsewhere
    mean = float(np.dot(atoms.probability, np.abs(c) * free))
    guess = math.log(max(top * math.sqrt(spread / (2 * dual.delta)), _APART * mean, 1e-300))
    guess = math.log(near) if near > 0 else guess
    if below:
        guess = math.log(max(-worth / near - 1, 1e-300)) if near < 0 else 0.0
    guess = min(max(guess, _LEAST), -_LEAST)

    def multiplier(x: float) -> float:
        return -worth / (1 + math.exp(x)) if below else math.exp(x)

    def excess(x: float) -> float:
        return math.log(max(1e-320, risk(multiplier(x))) / dual.delta)  # so ordered, 1e-320 for nan

    chosen = multiplier(_root(excess, guess))
    if worth > 0 and near > 0 and chosen < 1e-290:  # the guess was of the wrong kind
        return spend(dual, c)
    parts = atoms.map(lambda block, part: _local(block, part, chosen, worth), c)
    point = Point(*(np.concatenate(field) for field in zip(*map(parts_of, parts), strict=True)))
    return point, chosen


def _local(block: Atoms, c: Vector, multiplier: float, worth: float) -> Point:
    return maximise(block, c, multiplier, multiplier + worth, everywhere=False)


def _root(excess: Callable[[float], float], guess: float) -> float:
    """Where a falling function crosses zero, on the side where it is ≤ 0; else the nearest end.

    Secant steps, as the log of the risk is nearly −2 times the multiplier's; where they fail, as
    where most of the risk is pinned, Brent's method in the bracket they leave.
    """
    low, high, x, last, step = -math.inf, math.inf, guess, (math.nan, math.nan), 0.01
    ends: dict[float, float] = {}

    def unspent(x: float) -> float:
        nonlocal low, high
        if x not in ends:
            value = excess(x)
            low, high = (x, high) if value > 0 else (low, x)
            ends[x] = 0.0 if -_SPENT <= value <= 0 else value + _SPENT / 2
        return ends[x]

    for trial in range(_TRIALS):
        value = unspent(x)
        if value == 0:
            return x
        if trial >= _SECANTS and math.isfinite(high - low):
            break
        slope = (value - last[1]) / (x - last[0]) if trial else -2.0
        slope = slope if slope < -0.1 else -2.0
        last, new = (x, value), x - value / slope
        if math.isinf(high - low):
            if trial:  # a flat stretch is crossed in ever longer strides
                new, step = x + math.copysign(max(abs(new - x), step), value), 8 * step
            new = min(max(new, _LEAST), -_LEAST)
            if new == x:  # an end of the range
                return x
        elif not low < new < high:
            new = (low + high) / 2
        x = new
    if math.isfinite(high - low):  # a jump is left at its higher side
        found = brentq(unspent, low, high, xtol=_JUMP, maxiter=_TRIALS, disp=False)
        high = found if ends[found] == 0 else high
    return high


def concentrated(dual: RetainDual) -> list[tuple[Dual, Point]]:
    """All risk spent on pushing f to 0 on one retain atom, or on the few where it pays most."""
    atoms, bayes = dual.atoms, dual.atoms.bayes()
    copies = atoms.single / atoms.probability
    floor = atoms.log_low
    live = atoms.retain > 0
    fallen = copies * atoms.weight * (bayes.power - np.exp(atoms.scale * floor))
    with np.errstate(invalid="ignore"):
        gain = copies * atoms.retain * atoms.scale * (atoms.log_oracle - floor)
        gain = np.where(live, gain + np.log1p(-np.minimum(fallen, 1 - 1e-12)), -np.inf)
    x, one = atoms.separate(int(np.argmax(gain)))
    dual, bayes, floor = replace(dual, atoms=x), x.bayes(), x.log_low
    lowered = Point(np.exp(x.scale * floor), floor, log_rest(np.minimum(floor, -1e-17)))
    # The atoms whose fall buys most error for its risk.
    cost = x.probability * x.divergence(lowered)
    with np.errstate(invalid="ignore"):
        bought = x.scale * x.retain * (x.log_oracle - floor) - x.weight * bayes.power
    worthy = np.flatnonzero((x.retain > 0) & (bought > 0) & (cost > 0))
    order = worthy[np.argsort(-bought[worthy] / cost[worthy], kind="stable")]
    few = order[: int(np.searchsorted(np.cumsum(cost[order]), dual.delta))]
    found: list[tuple[Dual, Point]] = []
    for chosen in (np.array([one]), few):
        parts = [a.copy() for a in parts_of(bayes)]
        for array, value in zip(parts, parts_of(lowered), strict=True):
            array[chosen] = value[chosen]
        found.append((dual, Point(*parts)))
    return found


def polish(best: Climb, dual: Dual, enough: float = math.inf) -> None:
    """Pin f on one atom, at every level, and spend what is left on the others.

    At a worst case few atoms sit where their own Lagrangian is convex, which `climb` never
    visits: for the retain error those on which f falls far, for s > 1 those on which f^s rises
    from near 0. This visits the classifiers with one such atom, until an error is `enough`.
    """
    atoms = dual.atoms
    if isinstance(dual, RetainDual):
        live = atoms.retain > 0
        drop = np.full(atoms.size, -np.inf)
        drop[live] = atoms.log_oracle[live] - best.point.log_f[: atoms.size][live]
        for z in {int(np.argmax(drop)), int(np.argmin(np.where(live, atoms.single, 2.0)))}:
            _pin(best, dual, z, (float(atoms.log_low[z]), float(atoms.log_oracle[z])), enough)
    if atoms.scale > 1:
        for z in _steepest(dual):
            top = float(atoms.log_high[z])
            _pin(best, dual, z, (max(float(atoms.log_oracle[z]), top - _DEEP), top), enough)


def _pin(best: Climb, dual: Dual, z: int, levels: tuple[float, float], enough: float) -> None:
    """Try log f between two levels on one atom of kind z."""
    lone, one = dual.atoms.separate(z)
    near = math.nan  # the multiplier of the level tried before

    def error(share: float, stall: float = _ROUGH) -> float:
        nonlocal near
        if best.value >= enough:
            return 0.0
        level = levels[0] + share * (levels[1] - levels[0])
        low, co_low = lone.log_low.copy(), lone.log_co_low.copy()
        low[one], co_low[one] = level, float(log_rest(np.array([level]))[0])
        part = replace(dual, atoms=replace(lone, log_low=low, log_co_low=co_low))
        local = Climb(part, value=-1.0)
        start = maximise(part.atoms, -part.atoms.slope, 1.0, 1.0 + part.worth)
        climb(part, start, local, near, stall)
        near = local.ends[-1][1] if local.ends else math.nan
        best.offer(local.atoms, local.point, local.value)
        return -max(local.value, 0.0)

    # There are several maxima: one near each end, and a level of theirs with two fixed points.
    values = [error(share) for share in _SHARES]
    k = min(max(int(np.argmin(values)), 1), len(_SHARES) - 2)
    bounds, few = (_SHARES[k - 1], _SHARES[k + 1]), {"maxiter": 9}
    found = minimize_scalar(error, bounds=bounds, method="bounded", options=few)
    error(float(found.x), stall=_STALL)


def _steepest(dual: Dual) -> set[int]:
    """The kinds on which one atom's rise to more than twice f*, if it can, moves most mass."""
    atoms = dual.atoms
    rises = atoms.log_high > atoms.log_oracle + math.log(2)
    if not rises.any():
        return set()
    rise = np.exp(atoms.scale * atoms.log_high) - atoms.bayes().power
    share = np.where(rises, atoms.single / atoms.probability * rise, -1.0)
    return {int(np.argmax(share * x)) for x in (atoms.weight, atoms.forget * atoms.base)}


def raised(dual: Dual, z: int) -> tuple[Dual, Point]:
    """All risk spent on raising f on one atom of kind z."""
    atoms, one = dual.atoms.separate(z)
    parts = [part.copy() for part in parts_of(atoms.bayes())]
    top, rest = atoms.log_high[one], atoms.log_co_low[one]
    for array, value in zip(parts, (math.exp(atoms.scale * top), top, rest), strict=True):
        array[one] = value
    return replace(dual, atoms=atoms), Point(*parts)
