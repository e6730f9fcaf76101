"""Classifiers with f far from f* on one atom, where its own Lagrangian is convex."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from t3theory.envelope.ascent import ROUGH, STALL, Climb, climb
from t3theory.envelope.atoms import Point, log_rest, parts_of
from t3theory.envelope.budget import spend
from t3theory.envelope.dual import Dual, ForgetDual, RetainDual
from t3theory.envelope.maximiser import lagrangian, maximise
from t3theory.envelope.reduction import budget_floor
from t3theory.envelope.sides import rewards

__all__ = ["alone", "concentrated", "divide", "fill", "lowered", "polish", "raised", "steepest"]

Vector = NDArray[np.float64]
_SHARES = (0.0, 0.02, 0.08, 0.2, 0.4, 0.65, 1.0)  # of the way up: levels to pin f on first
_FEW = 64  # atoms: among more, one pinned atom hardly decides where an ascent of the others ends
_DEEP = 40.0  # log of how far below its highest level f is tried


def concentrated(dual: RetainDual) -> list[tuple[Dual, Point]]:
    """All risk spent on pushing f to 0 on one retain atom, or on the few where it pays most."""
    atoms, bayes = dual.atoms, dual.atoms.bayes()
    copies = atoms.single / atoms.probability
    floor = atoms.log_low
    live = (atoms.retain > 0) & np.isfinite(floor)  # else no float spends the budget there
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
    worthy = np.flatnonzero((x.retain > 0) & (bought > 0) & (cost > 0) & np.isfinite(cost))
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
        live = (atoms.retain > 0) & np.isfinite(atoms.log_low)
        drop = np.full(atoms.size, -np.inf)
        drop[live] = atoms.log_oracle[live] - best.point.log_f[: atoms.size][live]
        found = {int(np.argmax(drop)), int(np.argmin(np.where(live, atoms.single, 2.0)))}
        for z in found if live.any() else ():
            _pin(best, dual, z, (float(atoms.log_low[z]), float(atoms.log_oracle[z])), enough)
    if atoms.scale > 1:
        for z in steepest(dual):
            top = float(atoms.log_high[z])
            levels = max(float(atoms.log_oracle[z]), top - _DEEP), top
            _pin(best, dual, z, levels, enough, rises=True)


def _pin(
    best: Climb, dual: Dual, z: int, levels: tuple[float, float], enough: float, rises: bool = False
) -> None:
    """Try log f between two levels on one atom of kind z, by steps of it or, if f rises, of f."""
    lone, one = dual.atoms.separate(z)
    near = math.nan  # the multiplier of the level tried before

    def error(share: float, stall: float = ROUGH) -> float:
        nonlocal near
        if best.value >= enough:
            return 0.0
        level = levels[0] + share * (levels[1] - levels[0])
        if rises:
            level = math.log((1 - share) * math.exp(levels[0]) + share * math.exp(levels[1]))
        local = _pinned(replace(dual, atoms=lone), one, level, near, stall)
        near = local.ends[-1][1] if local.ends else math.nan
        best.offer(local.atoms, local.point, local.value)
        return -max(local.value, 0.0)

    # There are several maxima: one near each end, and a level of theirs with two fixed points.
    values = [error(share) for share in _SHARES]
    k = min(max(int(np.argmin(values)), 1), len(_SHARES) - 2)
    bounds, few = (_SHARES[k - 1], _SHARES[k + 1]), {"maxiter": 9}
    found = minimize_scalar(error, bounds=bounds, method="bounded", options=few)
    error(float(found.x), stall=STALL)


def _pinned(
    dual: Dual, one: int, level: float, near: float = math.nan, stall: float = STALL
) -> Climb:
    """The best classifiers with log f at this level on one atom."""
    low, co_low = dual.atoms.log_low.copy(), dual.atoms.log_co_low.copy()
    low[one], co_low[one] = level, float(log_rest(np.array([level]))[0])
    part = replace(dual, atoms=replace(dual.atoms, log_low=low, log_co_low=co_low))
    local, at = Climb(part, value=-1.0), np.array([level])
    if part.atoms.take([one]).risk(Point(at, at, log_rest(at))) <= dual.delta:
        start = maximise(part.atoms, -part.atoms.slope, 1.0, 1.0 + part.worth)
        climb(part, start, local, near, stall)
        if isinstance(part, ForgetDual) and part.atoms.size <= _FEW:
            for c in part.pushes():
                climb(part, spend(part, c, near)[0], local, near, stall)
    return local


def fill(best: Climb, dual: RetainDual, multiplier: float, price: float) -> None:
    """Let f fall on the one atom where what the others leave of the budget is best spent.

    `multiplier` and `price` are the best of the dual. Where a high and a low value of f tie on an
    atom there, a worst case is near the one between them that spends the budget: the atom is
    chosen by what it then lacks of its Lagrangian's maximum.
    """
    x, c = dual.atoms, -price * dual.atoms.slope
    top = maximise(x, c, multiplier, multiplier + dual.worth, everywhere=False)
    kl = x.divergence(top)
    left = (dual.delta - float(np.dot(x.probability, kl))) / x.single + kl
    level = np.maximum(budget_floor(x.oracle, x.co_oracle, np.maximum(left, 0.0)), x.log_low)
    fallen = Point(np.exp(x.scale * level), level, log_rest(np.minimum(level, -1e-17)))
    lacks = lagrangian(x, c, multiplier, multiplier + dual.worth, top)
    lacks -= lagrangian(x, c, multiplier, multiplier + dual.worth, fallen)
    usable = (x.retain > 0) & (left > 0) & (level < top.log_f)
    if usable.any():
        z = int(np.argmin(np.where(usable, x.single * lacks, np.inf)))
        atoms, one = x.separate(z)
        local = _pinned(replace(dual, atoms=atoms), one, float(level[z]), multiplier)
        best.offer(local.atoms, local.point, local.value)


def divide(best: Climb, dual: ForgetDual, tie: tuple[int, float], point: Point) -> None:
    """Let a share of a kind of many like atoms have p̂ above p_r and the others below it.

    Elsewhere the signs are those at `point`.
    """
    (z, share), (signs, price) = tie, dual.signs(point)
    count = round(float(dual.atoms.probability[z] / dual.atoms.single[z]))
    for number in {math.floor(share * count), math.ceil(share * count)} - {0, count}:
        part = replace(dual, atoms=dual.atoms.separate(z, number)[0])
        sign = np.append(signs, -1.0)
        sign[z] = 1.0
        climb(part, spend(part, rewards(part.atoms, sign, price))[0], best)


def steepest(dual: Dual) -> set[int]:
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
    return _moved(replace(dual, atoms=atoms), one, atoms.log_high, atoms.log_co_low)


def lowered(dual: Dual, z: int) -> tuple[Dual, Point]:
    """All risk spent on lowering f on one atom of kind z."""
    atoms, one = dual.atoms.separate(z)
    # −1e-300: log(1−f) of a box that the budget leaves no width
    rest = log_rest(np.minimum(atoms.log_low, -1e-300))
    return _moved(replace(dual, atoms=atoms), one, atoms.log_low, rest)


def _moved(dual: Dual, one: int, log_f: Vector, log_g: Vector) -> tuple[Dual, Point]:
    """f* but on one atom."""
    parts = [part.copy() for part in parts_of(dual.atoms.bayes())]
    values = np.exp(dual.atoms.scale * log_f), log_f, log_g
    for array, value in zip(parts, values, strict=True):
        array[one] = value[one]
    return dual, Point(*parts)


def alone(dual: ForgetDual) -> list[tuple[Dual, Point]]:
    """All risk spent on one atom, up or down, where that moves most of N or of the forget data's.

    Where equal laws make a symmetric start stationary, one atom of a kind set apart is none.
    """
    x, bayes = dual.atoms, dual.atoms.bayes().power
    share, found = x.single / x.probability, []
    for move, end, sign in ((raised, x.log_high, 1.0), (lowered, x.log_low, -1.0)):
        change = share * sign * (np.exp(x.scale * end) - bayes)
        normaliser = np.maximum(1 + sign * change * x.weight, 1e-12)
        scores = change * x.weight, change * x.moved, change * x.moved / normaliser
        for z in {int(np.argmax(score)) for score in scores}:
            found.append(move(dual, z))
    return found
