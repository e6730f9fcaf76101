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

import numpy as np
from numpy.typing import NDArray

from t3theory.envelope.ascent import Climb, Dual, climb, polish, starts
from t3theory.envelope.atoms import log_rest
from t3theory.envelope.dual import Bound, Column, RetainDual
from t3theory.envelope.planes import lowest_point

__all__ = ["search"]

Vector = NDArray[np.float64]
_NARROW = 1e-9  # log-width below which an interval of N is a point
_PLANES = 40
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


def search(dual: Dual, tolerance: float, nodes: int) -> tuple[Climb, float]:
    """The best classifier found, and a bound on all; stops at the tolerance or after `nodes`."""
    best = Climb(dual)
    for from_dual, point in starts(dual):
        climb(from_dual, point, best)
    guesses = best.multipliers or [(1.0, dual.linearise(dual.atoms.bayes())[0])]
    root = _solve(_Node(dual, normalisers(dual), _Pool()), guesses, best, tolerance)
    few, open_ = dual.atoms.size <= _SPLIT_ATOMS, root.value > best.value * (1 + tolerance)
    if few and open_ and isinstance(dual, RetainDual):
        polish(best, dual)
    count = itertools.count()
    queue = [(-root.value, next(count), root)]
    for _ in range(nodes):
        node = queue[0][2]
        if node.value <= best.value * (1 + tolerance):
            break
        children = _split(node)
        if not children:
            break
        heapq.heappop(queue)
        for child in children:
            solved = _solve(child, [child.at], best, tolerance)
            heapq.heappush(queue, (-solved.value, next(count), solved))
    return best, queue[0][2].value


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


def _split(node: _Node) -> list[_Node]:
    """Two nodes that cover this one: half the interval of N each, or half an atom's box each."""
    low, high = node.span
    width = math.log(high / low)
    if node.tie is None or 0.1 * node.tie[2] < width:
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
    for _ in range(_PLANES):
        if value <= best.value * (1 + tolerance) or not pool.columns:
            break
        cuts = dual.cuts(span, np.array(pool.columns))
        model, point, shares = _lowest(cuts, unit, size, dual.floor)
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
    cuts: tuple[Vector, Vector, Vector], unit: tuple[float, float], size: float, floor: float
) -> tuple[float, tuple[float, float], Vector]:
    """Minimum of the largest cut, where it is, and the weight of each cut there."""
    slope, price, constant = cuts
    slopes = np.column_stack([slope * (unit[0] / size), price * (unit[1] / size)])
    low, high = (floor / unit[0], -_TRUST), (_TRUST, _TRUST)
    model, (x, y), shares = lowest_point(slopes, constant / size, low, high)
    return model * size, (max(x * unit[0], floor), y * unit[1]), shares


def _tie(node: _Node, shares: Vector, at: tuple[float, float]) -> tuple[int, float, float] | None:
    """The atom on which the active maximisers differ most, the log f between, the effect."""
    pool, x = node.pool, node.dual.atoms
    if x.size > _SPLIT_ATOMS or len(pool.powers) != len(pool.columns):
        return None
    active = np.flatnonzero(shares.reshape(-1, len(pool.columns)).sum(axis=0) > 1e-6)
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
