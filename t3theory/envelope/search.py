"""The upper side: branch and bound over the normaliser and, where duality leaves a gap, atoms.

A node is an interval of normalisers N together with narrower boxes for a few atoms. The
nodes in the queue always cover every classifier within the budget, so the largest of their
bounds holds for all of them whenever the search stops. Each node's bound is minimised over
its two multipliers by Kelley's cutting planes; any multipliers give a valid bound.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from t3theory.envelope.ascent import Climb, Dual, climb, concentrated, polish, spend, starts
from t3theory.envelope.atoms import Atoms, log_rest, maximise
from t3theory.envelope.coarse import coarsen
from t3theory.envelope.dual import Bound, Column, ForgetDual, RetainDual, rounding
from t3theory.envelope.planes import Lowest, lowest_point

__all__ = ["search"]

Vector = NDArray[np.float64]
_NARROW = 1e-9  # log-width below which an interval of N is a point
_PLANES = 40
_MANY_PLANES, _MANY_NODES = 6, 12  # the same limits where each bound visits very many atoms
_GUESSES = 3  # ascents whose multipliers open a search
_CLIMBS = 8  # depth to which nodes are searched for better classifiers
_TRUST = 1e5  # how far, in units of the first guess, multipliers are looked for
_SPLIT_ATOMS = 4096  # above this many distinct atoms a tie in one of them is below the tolerance


@dataclass
class _Pool:
    """Columns found so far, with their f^s when the atoms are few enough to be split."""

    columns: list[Column] = field(default_factory=list)
    powers: list[Vector] = field(default_factory=list)

    def add(self, bound: Bound) -> None:
        """Keep the columns of a bound, unless a sum overflowed."""
        if all(math.isfinite(x) for column in bound.columns for x in column):
            self.columns.extend(bound.columns)
            self.powers.extend(bound.powers)


@dataclass(frozen=True)
class _Node:
    """Classifiers with N in `span` and within the boxes of `dual.atoms`."""

    dual: Dual
    span: tuple[float, float]
    pool: _Pool
    at: tuple[float, float] = (1.0, 0.0)
    value: float = math.inf
    tie: tuple[int, float, float] | None = None
    depth: int = 0


class _Reach(NamedTuple):
    """An interval of normalisers, and the multipliers that proved its ends."""

    span: tuple[float, float]
    multipliers: list[float]


def search(dual: Dual, tolerance: float, nodes: int, cap: float = math.inf) -> tuple[Climb, float]:
    """The best classifier found, and a bound on all; stops at the tolerance or after `nodes`.

    `cap` is a bound known beforehand.
    """
    best, leaves = _branch(dual, tolerance, nodes, cap)
    return best, min(cap, max((leaf.value for leaf in leaves), default=cap))


def _branch(dual: Dual, tolerance: float, nodes: int, cap: float) -> tuple[Climb, list[_Node]]:
    """The best classifier found, and nodes that together cover all."""
    best, many = Climb(dual), dual.atoms.size > _SPLIT_ATOMS
    if many:
        roots, nodes = _sketched(dual, best, tolerance, nodes, cap), min(nodes, _MANY_NODES)
    else:
        for from_dual, point in starts(dual):
            climb(from_dual, point, best)
        roots = [_Node(dual, affordable(dual).span, _Pool(), value=cap)]
        if isinstance(dual, RetainDual) and best.value * (1 + tolerance) < cap < math.inf:
            polish(best, dual)
    if cap <= best.value * (1 + tolerance):
        return best, roots
    count = itertools.count()
    queue: list[tuple[float, int, _Node]] = []
    guesses = best.multipliers[:_GUESSES] or [(1.0, dual.linearise(dual.atoms.bayes())[0])]
    for root in roots:
        solved = _solve(root, [root.at] if many else guesses, best, tolerance)
        heapq.heappush(queue, (-solved.value, next(count), solved))
    first = queue[0][2]
    if first.value > best.value * (1 + tolerance):
        if many:
            climb(dual, dual.peak(first.span, *first.at), best)
        elif isinstance(dual, RetainDual):
            polish(best, dual)
    for _ in range(nodes):
        node = queue[0][2]
        children = [] if node.value <= best.value * (1 + tolerance) else _split(node)
        if not children:
            break
        heapq.heappop(queue)
        for child in children:
            solved = _solve(child, [child.at], best, tolerance)
            heapq.heappush(queue, (-solved.value, next(count), solved))
    return best, [entry[2] for entry in queue]


def _sketched(dual: Dual, best: Climb, tolerance: float, nodes: int, cap: float) -> list[_Node]:
    """Climb where the sketch of many atoms did, and cover their normalisers as its search did.

    The multipliers come from the sketch; every bound is computed anew on all atoms.
    """
    if cap < math.inf and isinstance(dual, RetainDual):
        for from_dual, point in concentrated(dual):
            climb(from_dual, point, best)
        if cap <= best.value * (1 + tolerance):
            return []
    sketch = replace(dual, atoms=coarsen(dual.atoms, dual.delta))
    found, leaves = _branch(sketch, tolerance / 2, nodes // 4, cap)
    level = float(np.dot(found.atoms.weight, found.point.power))
    for multiplier, price in found.multipliers[:1]:
        climb(dual, dual.peak((level, level), multiplier, price), best, multiplier)
    if (
        cap == math.inf
        and isinstance(dual, RetainDual)
        and best.value < found.value * (1 - tolerance)
    ):
        for from_dual, point in concentrated(dual):
            climb(from_dual, point, best)
    reach, pool = affordable(dual, affordable(sketch).multipliers).span, _Pool()
    inner = {end for leaf in leaves for end in leaf.span if reach[0] < end < reach[1]}
    cover: list[tuple[_Node, float, float]] = []
    for low, high in itertools.pairwise(sorted({*reach, *inner})):
        middle = math.sqrt(low) * math.sqrt(high)
        owners = [leaf for leaf in leaves if leaf.span[0] <= middle <= leaf.span[1]] or leaves
        owner = max(owners, key=lambda leaf: leaf.value)
        if cover and cover[-1][0] is owner:
            cover[-1] = owner, cover[-1][1], high
        else:
            cover.append((owner, low, high))
    return [_Node(dual, (low, high), pool, leaf.at, cap) for leaf, low, high in cover]


def normalisers(dual: Dual) -> tuple[float, float]:
    """An interval that holds N(f) of every classifier within the boxes and the budget."""
    x = dual.atoms
    log_high = np.minimum(log_rest(x.log_co_low), 0.0)
    low = float(np.dot(x.weight, np.exp(x.scale * x.log_low)))
    high = float(np.dot(x.weight, np.exp(x.scale * log_high)))
    # Jensen: log N ≥ Σ P_r log(w/P_r) + s Σ P_r log f, and the risk bounds the last sum.
    live = x.retain > 0
    ratio = np.log(x.slope[live]) - x.log_oracle[live] + math.log1p(-x.gamma)
    rest = np.where(x.co_oracle > 0, x.log_co_oracle, 0.0)
    spent = dual.delta - float(np.dot(x.probability, x.co_oracle * rest))
    mean = float(np.dot(x.retain[live], x.log_oracle[live])) - spent / (1 - x.gamma)
    jensen = float(np.dot(x.retain[live], ratio)) + x.scale * mean
    low = max(low, math.exp(min(jensen, 0.0)), 1e-290)
    return low * (1 - 1e-9), high * (1 + 1e-9)  # 1e-9: sums over up to 1e6 rounded terms


def affordable(dual: Dual, guesses: Sequence[float] = ()) -> _Reach:
    """A narrower interval: the largest ±N within the budget, bounded by its own Lagrangian.

    ±N(f) ≤ λδ + Σ max_f [±w f^s − λ P kl(f*‖f)] for every λ > 0; the best λ spends the
    budget. `guesses`: λ for −N and for N.
    """
    atoms, plain = dual.atoms, ForgetDual(dual.atoms, dual.delta)
    ends, multipliers = [], []
    for i, sign in enumerate((-1.0, 1.0)):
        c = sign * atoms.slope
        multiplier = guesses[i] if guesses else spend(plain, c)[1]
        multipliers.append(multiplier)

        def sums(block: Atoms, part: Vector, multiplier: float = multiplier) -> Vector:
            point = maximise(block, part, multiplier, multiplier)
            return np.array([np.sum(block.weight * point.power), block.risk(point)])

        level, risk = atoms.total(sums, c)
        size = level + multiplier * (dual.delta + risk + 2 * atoms.entropy)
        slack = multiplier * (dual.delta - risk) + rounding(atoms) * size
        ends.append(sign * (sign * level + slack))
    low, high = normalisers(dual)
    # A bound that overflowed says nothing.
    low = max(low, ends[0]) if math.isfinite(ends[0]) else low
    high = min(high, ends[1]) if math.isfinite(ends[1]) else high
    return _Reach((float(low), float(max(high, low * (1 + 1e-12)))), multipliers)


def _split(node: _Node) -> list[_Node]:
    """Two nodes that cover this one: half the interval of N each, or half an atom's box each."""
    low, high = node.span
    width = math.log(high / low)
    if node.tie is None or 0.1 * node.tie[2] < node.dual.effect(width, node.value):
        if width < _NARROW:
            return []
        middle = math.sqrt(low) * math.sqrt(high)
        return [replace(node, span=half) for half in ((low, middle), (middle, high))]
    z, log_middle, _ = node.tie
    children = []
    for dual in _halves(node.dual, z, log_middle):
        reach = normalisers(dual)
        span = max(low, reach[0]), min(high, reach[1])
        if span[0] < span[1]:
            children.append(replace(node, dual=dual, span=span, pool=_Pool()))
    return children


def _halves(dual: Dual, z: int, log_middle: float) -> list[Dual]:
    """One atom of kind z has f ≤ middle, or all atoms of that kind have f ≥ middle."""
    lone, one = dual.atoms.separate(z)
    below, above = lone.log_co_low.copy(), dual.atoms.log_low.copy()
    below[one] = max(below[one], float(log_rest(np.array([log_middle]))[0]))
    above[z] = max(above[z], log_middle)
    return [
        replace(dual, atoms=replace(lone, log_co_low=below)),
        replace(dual, atoms=replace(dual.atoms, log_low=above)),
    ]


def _solve(node: _Node, guesses: list[tuple[float, float]], best: Climb, tolerance: float) -> _Node:
    """Minimise the node's bound over its multipliers by Kelley's cutting planes."""
    dual, span, pool = node.dual, node.span, node.pool
    value, at, tie, fresh = math.inf, guesses[0], None, not pool.columns

    def try_at(point: tuple[float, float]) -> None:
        nonlocal value, at
        bound = dual.bound(span, *point)
        pool.add(bound)
        if bound.value < value:  # never true of a nan: such a bound says nothing
            value, at = bound.value, point

    for guess in guesses:
        try_at((max(guess[0], dual.floor), guess[1]))
    # The scales of the linear programme: its solver's tolerances are absolute.
    size = max(best.value, 1e-3 * value)
    unit = max(abs(at[0]), dual.worth, 0.1 * size / dual.delta), max(abs(at[1]), 0.1 * size)
    basis: tuple[int, ...] = ()
    for _ in range(_PLANES if dual.atoms.size <= _SPLIT_ATOMS else _MANY_PLANES):
        if value <= best.value * (1 + tolerance) or not pool.columns:
            break
        cuts = dual.cuts(span, np.array(pool.columns))
        model, point, shares, basis = _lowest(cuts, unit, size, dual.floor, basis)
        if (
            model == -math.inf
            or value - model <= 0.1 * tolerance * value
            or (
                model > best.value * (1 + tolerance) and value - model <= 0.2 * (model - best.value)
            )
        ):
            tie = _tie(node, shares, at)
            if dual.atoms.size <= _SPLIT_ATOMS and (node.depth < _CLIMBS or fresh):
                climb(dual, dual.peak(span, *at), best)
            break
        try_at(point)
    return replace(node, at=at, value=min(value, node.value), tie=tie, depth=node.depth + 1)


def _lowest(
    cuts: tuple[Vector, Vector, Vector],
    unit: tuple[float, float],
    size: float,
    floor: float,
    basis: tuple[int, ...],
) -> Lowest:
    """Minimum of the largest cut, where it is, and the weight of each cut there."""
    slope, price, constant = cuts
    slopes = np.column_stack([slope * (unit[0] / size), price * (unit[1] / size)])
    low, high = (floor / unit[0], -_TRUST), (_TRUST, _TRUST)
    found = lowest_point(slopes, constant / size, low, high, basis)
    at = max(found.at[0] * unit[0], floor), found.at[1] * unit[1]
    return found._replace(value=found.value * size, at=at)


def _tie(node: _Node, shares: Vector, at: tuple[float, float]) -> tuple[int, float, float] | None:
    """The atom on which the active maximisers differ most, the log f between, the effect."""
    pool, x = node.pool, node.dual.atoms
    if x.size > _SPLIT_ATOMS or len(pool.powers) != len(pool.columns):
        return None
    active = np.flatnonzero(shares.reshape(len(pool.columns), -1).sum(axis=1) > 1e-6)
    if len(active) < 2:
        return None
    powers = np.array([pool.powers[k] for k in active])
    low, high = powers.min(axis=0), powers.max(axis=0)
    t = 1 / node.span[0]
    effect = t * (x.forget * x.base + abs(at[1]) * x.weight) * (high - low)
    if isinstance(node.dual, RetainDual):
        effect = (x.weight + x.retain) * (high - low)
    z = int(np.argmax(effect))
    middle = max(math.sqrt(max(low[z], 1e-12 * high[z]) * high[z]), 1e-300)
    return z, math.log(middle) / x.scale, float(effect[z] / node.value)
