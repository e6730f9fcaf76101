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
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from t3theory.envelope.ascent import Climb, Dual, climb, concentrated, polish, starts
from t3theory.envelope.atoms import log_rest
from t3theory.envelope.coarse import coarsen
from t3theory.envelope.dual import Bound, Column, ForgetDual, RetainDual
from t3theory.envelope.planes import Lowest, lowest_point
from t3theory.envelope.reach import LEAST_NORMALISER, affordable, normalisers

__all__ = ["search"]

Vector = NDArray[np.float64]
_NARROW = 1e-9  # log-width below which an interval of N is a point
_PLANES = 40
_MANY_PLANES, _MANY_NODES = 6, 12  # the same limits where each bound visits very many atoms
_GUESSES = 3  # ascents whose multipliers open a search
_CLIMBS = 8  # depth to which nodes are searched for better classifiers
_TRUST = 1e5  # how far, in units of the first guess, multipliers are looked for
_PINNED_ATOMS = 100_000  # above it f is pinned on no atom: on a million that would take a minute
_SPLIT_ATOMS = 4096  # above this many distinct atoms a tie in one of them is below the tolerance


@dataclass
class _Pool:
    """Columns found so far, with their f^s when the atoms are few enough to be split."""

    columns: list[Column] = field(default_factory=list)
    powers: list[Vector] = field(default_factory=list)

    def add(self, bound: Bound) -> bool:
        """Keep the columns of a bound, unless a sum overflowed; whether they are kept."""
        finite = all(math.isfinite(x) for column in bound.columns for x in column)
        if finite:
            self.columns.extend(bound.columns)
            self.powers.extend(bound.powers)
        return finite


class _Tie(NamedTuple):
    """The kind of atom on which the best multipliers' maximisers differ most."""

    kind: int
    log_middle: float
    effect: float


@dataclass(frozen=True)
class _Node:
    """Classifiers with N in `span` and within the boxes of `dual.atoms`."""

    dual: Dual
    span: tuple[float, float]
    pool: _Pool
    at: tuple[float, float] = (1.0, 0.0)
    value: float = math.inf
    tie: _Tie | None = None
    depth: int = 0


def search(dual: Dual, tolerance: float, nodes: int, cap: float = math.inf) -> tuple[Climb, float]:
    """The best classifier found, and a bound on all; stops at the tolerance or after `nodes`.

    `cap` is a bound known beforehand.
    """
    best, leaves = _branch(dual, tolerance, nodes, cap)
    if normalisers(dual)[0] <= LEAST_NORMALISER:  # some classifiers are in no leaf
        return best, cap
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
            polish(best, dual, cap / (1 + tolerance))
    if cap <= best.value * (1 + tolerance):
        return best, roots
    count = itertools.count()
    queue: list[tuple[float, int, _Node]] = []
    guesses = best.multipliers[:_GUESSES] or [(1.0, dual.linearise(dual.atoms.bayes())[0])]
    for root in roots:
        solved = _solve(root, [root.at] if many else guesses, best, tolerance)
        heapq.heappush(queue, (-solved.value, next(count), solved))
    first = queue[0][2]
    if many and first.value > best.value * (1 + tolerance):
        climb(dual, dual.peak(first.span, *first.at), best)
    if first.value > best.value * (1 + tolerance) and dual.atoms.size <= _PINNED_ATOMS:
        polish(best, dual, first.value / (1 + tolerance))
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


def _split(node: _Node) -> list[_Node]:
    """Two nodes that cover this one: half the interval of N each, or a sign or half a box each."""
    low, high = node.span
    width = math.log(high / low)
    if node.tie is None or 0.1 * node.tie.effect < node.dual.effect(width, node.value):
        if width < _NARROW:
            return []
        middle = math.sqrt(low) * math.sqrt(high)
        return [replace(node, span=half) for half in ((low, middle), (middle, high))]
    if isinstance(node.dual, ForgetDual) and node.dual.atoms.sign[node.tie.kind] == 0:
        duals = _signs(node.dual, node.tie.kind)
    else:
        duals = _halves(node.dual, node.tie.kind, node.tie.log_middle)
    children = []
    for dual in duals:
        reach = normalisers(dual)
        span = max(low, reach[0]), min(high, reach[1])
        if span[0] < span[1]:
            children.append(replace(node, dual=dual, span=span, pool=_Pool()))
    return children


def _signs(dual: Dual, z: int) -> list[Dual]:
    """One atom of kind z has p_r − p̂ counted as positive, or all of that kind as negative.

    For s = 1 an atom's problem is concave once its sign is settled: it never ties again.
    """
    lone, one = dual.atoms.separate(z)
    plus, minus = lone.sign.copy(), dual.atoms.sign.copy()
    plus[one], minus[z] = 1.0, -1.0
    return [
        replace(dual, atoms=replace(lone, sign=plus)),
        replace(dual, atoms=replace(dual.atoms, sign=minus)),
    ]


def _halves(dual: Dual, z: int, log_middle: float) -> list[Dual]:
    """One atom of kind z has f ≤ middle, or all atoms of that kind have f ≥ middle."""
    lone, one = dual.atoms.separate(z)
    below, above = lone.log_co_low.copy(), dual.atoms.log_low.copy()
    # 1e-12: log(1 − middle) is rounded, and the halves have to overlap
    rest = float(log_rest(np.array([log_middle]))[0])
    below[one] = max(below[one], rest - 1e-12 * (1 + abs(rest)))
    above[z] = max(above[z], log_middle)
    return [
        replace(dual, atoms=replace(lone, log_co_low=below)),
        replace(dual, atoms=replace(dual.atoms, log_low=above)),
    ]


def _solve(node: _Node, guesses: list[tuple[float, float]], best: Climb, tolerance: float) -> _Node:
    """Minimise the node's bound over its multipliers by Kelley's cutting planes."""
    dual, span, pool = node.dual, node.span, node.pool
    value, at, tie, fresh = math.inf, guesses[0], None, not pool.columns

    def try_at(point: tuple[float, float]) -> bool:
        nonlocal value, at
        bound = dual.bound(span, *point)
        kept = pool.add(bound)
        if math.isfinite(bound.value) and bound.value < value:  # what overflowed says nothing
            value, at = bound.value, point
        return kept

    for guess in guesses:
        try_at((max(guess[0], dual.floor), guess[1]))
    # The scales of the linear programme: its solver's tolerances are absolute.
    size = max(best.value, 1e-3 * value)
    unit = max(abs(at[0]), dual.worth, 0.1 * size / dual.delta), max(abs(at[1]), 0.1 * size)
    basis: tuple[int, ...] = ()
    stride = 1.0
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
        # No cut where a sum overflows, as without a multiplier: the planes would lead there again.
        trial = at[0] + stride * (point[0] - at[0]), at[1] + stride * (point[1] - at[1])
        stride = 1.0 if try_at(trial) else stride / 4
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


def _tie(node: _Node, shares: Vector, at: tuple[float, float]) -> _Tie | None:
    """The kind on which the active maximisers differ most, the log f between, the effect."""
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
    elif x.scale == 1:  # only signs tie
        effect[x.sign != 0] = 0.0
    z = int(np.argmax(effect))
    middle = max(math.sqrt(max(low[z], 1e-12 * high[z]) * high[z]), 1e-300)
    return _Tie(z, math.log(middle) / x.scale, float(effect[z] / node.value))
