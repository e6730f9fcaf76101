"""A node of the search: classifiers of an interval of normalisers, and the best bound on them.

The bound is minimised over its two multipliers by Kelley's cutting planes; any multipliers give
a valid one. What pairs of multipliers on the way bound well enough is cut off the interval.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from t3theory.envelope.ascent import Climb, climb
from t3theory.envelope.dual import Bound, Dual, RetainDual
from t3theory.envelope.pinning import divide, fill
from t3theory.envelope.planes import Lowest, lowest_point
from t3theory.envelope.profile import Profile, uncovered

__all__ = ["SPLIT_ATOMS", "Node", "Pool", "Tie", "few", "solve"]

Vector = NDArray[np.float64]
SPLIT_ATOMS = 4096
"""Above this many distinct atoms no atom is split, but for what the search of a sketch settled."""
_PLANES, _MANY_PLANES = 40, 6  # at most: where each bound visits few atoms, and very many
_KEPT = 64  # columns, once there are twice as many
_CLIMBS = 8  # depth to which nodes are searched for better classifiers
_SINGLE = 2.0  # over the number of atoms: what one tie may close where halves of N are of no use
_REACH = 4.0  # how far from the best multipliers others are looked for, in units of the first


def few(dual: Dual) -> bool:
    """Whether the atoms are few enough to be split one by one."""
    return dual.atoms.size <= SPLIT_ATOMS


class Pool:
    """Columns found so far, with their f^s when the atoms are few enough to be split.

    Only the latest are kept: planes of multipliers far away cost time and bound nothing. `basis`
    is that of the latest linear programme over them.
    """

    def __init__(self) -> None:
        self.columns: Vector = np.empty((0, 4))
        self.powers: list[Vector] = []
        self.basis: tuple[int, ...] = ()

    def add(self, bound: Bound) -> bool:
        """Keep the columns of a bound, unless a sum overflowed; whether they are kept."""
        new = np.array(bound.columns)
        finite = bool(np.isfinite(new).all())
        if finite:
            self.columns = np.concatenate([self.columns, new])
            self.powers += bound.powers
        if len(self.columns) > 2 * _KEPT:
            self.columns, self.powers = self.columns[-_KEPT:], self.powers[-_KEPT:]
            self.basis = ()
        return finite


class Tie(NamedTuple):
    """The kind of atom on which the best multipliers' maximisers differ most.

    `share` is the part of the kind that is at the larger one in their optimal mixture.
    """

    kind: int
    log_middle: float
    effect: float
    share: float


@dataclass(frozen=True)
class Node:
    """Classifiers with N in `span` and within the boxes of `dual.atoms`.

    Args:
        stuck: that even one normaliser's bound is above what is attained, so that halving the
            interval is of no use.
        slack: the rounding in the least bound computed for it, or for a node that it is part of.
        lost: that this rounding alone is above what is attained, and halving has not reduced it.
    """

    dual: Dual
    span: tuple[float, float]
    pool: Pool
    at: tuple[float, float] = (1.0, 0.0)
    value: float = math.inf
    tie: Tie | None = None
    stuck: bool = False
    depth: int = 0
    slack: float = math.inf
    lost: bool = False


def solve(
    node: Node, guesses: list[tuple[float, float]], best: Climb, tolerance: float
) -> list[Node]:
    """Nodes that cover this one, with the least bounds found for them."""
    descent = _Descent(node, best, tolerance)
    for guess in guesses:
        descent.evaluate((max(guess[0], node.dual.floor), guess[1]))
    found = descent.descend()
    apart = (solve(part, [], best, tolerance) for part in descent.apart)
    return [found, *descent.covered, *itertools.chain.from_iterable(apart)]


class _Descent:
    """Kelley's cutting planes for a node, whose interval shrinks to what is still to be bounded."""

    def __init__(self, node: Node, best: Climb, tolerance: float) -> None:
        self.node, self.best, self.tolerance = node, best, tolerance
        self.fresh = len(node.pool.columns) == 0
        self.span, self.at = node.span, node.at
        self.value = math.inf if self.fresh else node.value
        self.computed = math.inf, math.inf
        self.covered: list[Node] = []
        self.apart: list[Node] = []

    @property
    def target(self) -> float:
        """What a bound has to meet."""
        return self.best.value * (1 + self.tolerance)

    def evaluate(self, point: tuple[float, float]) -> bool:
        """Bound the interval with these multipliers; whether the bound says anything."""
        bound = self.node.dual.bound(self.span, *point)
        kept = self.node.pool.add(bound)
        if math.isfinite(bound.value):  # what overflowed says nothing
            self.computed = min(self.computed, (bound.value, bound.slack))
            if bound.value < self.value:
                self.value, self.at = bound.value, point
            if bound.profile is not None and self.target < bound.value:
                self._cut(bound.profile, point)
        return kept

    def _cut(self, profile: Profile, point: tuple[float, float]) -> None:
        """Take off the interval what these multipliers bound well enough."""
        target, (low, high) = self.target, self.span
        left = uncovered(profile, self.span, target)
        if left == [self.span]:
            return
        if not left:  # but for rounding the bound met the target before
            self.value, self.at = target, point
            return
        ends = sorted([low, *(end for piece in left for end in piece), high])
        gaps = [(a, b) for a, b in zip(ends[::2], ends[1::2], strict=True) if a < b]
        self.covered += [
            replace(self.node, span=gap, at=point, value=target, tie=None) for gap in gaps
        ]
        parts = []
        for piece in left:
            value = max(profile.at(end).value for end in piece)
            at, value = (point, value) if value < self.value else (self.at, self.value)
            parts.append(replace(self.node, span=piece, at=at, value=min(value, self.node.value)))
        first, *apart = parts
        self.span, self.at, self.value = first.span, first.at, first.value
        self.apart += apart

    def descend(self) -> Node:
        """Lower the bound until it meets what is attained, or until branching is of more use."""
        node, dual, pool = self.node, self.node.dual, self.node.pool
        # The scales of the linear programme: its solver's tolerances are absolute.
        at, size = self.at, max(self.best.value, 1e-3 * self.value)
        unit = max(abs(at[0]), dual.worth, 0.1 * size / dual.delta), max(abs(at[1]), 0.1 * size)
        tie, stuck, stride, reach = None, False, 1.0, _REACH
        for _ in range(_PLANES if few(dual) else _MANY_PLANES):
            if self.value <= self.target or len(pool.columns) == 0:
                break
            low, inner = self._lowest(self.span, unit, size, reach)
            pool.basis, reach = low.basis, reach if inner else 8 * reach
            if low.value == -math.inf or (inner and self._settled(low.value)):
                tie, stuck = self._branching(low, unit, size)
                break
            # No cut where a sum overflows, as without a multiplier: the planes would lead there again.
            trial = (
                self.at[0] + stride * (low.at[0] - self.at[0]),
                self.at[1] + stride * (low.at[1] - self.at[1]),
            )
            stride = 1.0 if self.evaluate(trial) else stride / 4
        least, slack = self.computed
        return replace(
            node,
            span=self.span,
            at=self.at,
            value=min(self.value, node.value),
            tie=tie,
            stuck=stuck,
            depth=node.depth + 1,
            slack=min(slack, node.slack),
            lost=least - slack <= self.target and 2 * slack >= node.slack,
        )

    def _settled(self, model: float) -> bool:
        """Whether the planes leave nothing to gain, or too little to meet what is attained."""
        left = self.value - model
        return left <= 0.1 * self.tolerance * self.value or (
            model > self.target and left <= 0.2 * (model - self.best.value)
        )

    def _branching(
        self, low: Lowest, unit: tuple[float, float], size: float
    ) -> tuple[Tie | None, bool]:
        """What ties, and whether halving the interval is of no use; a climb from there."""
        dual, span = self.node.dual, self.span
        if not few(dual):
            return None, False
        tie, middle = self._tie(low), math.sqrt(span[0]) * math.sqrt(span[1])
        point, inner = self._lowest((middle, middle), unit, size, _REACH)
        high = inner and point.value > self.target
        if (self.node.depth < _CLIMBS or self.fresh) and self.best.hopeful():
            if high:
                climb(dual, dual.peak((middle, middle), *point.at), self.best)
            if not high or self.node.depth < 2:
                climb(dual, dual.peak(span, *self.at), self.best)
            if isinstance(dual, RetainDual):
                fill(self.best, dual, *low.at)
            elif tie:
                divide(self.best, dual, (tie.kind, tie.share), dual.peak(span, *self.at))
        if high and point.value > self.target:
            there, missing = self._tie(point), point.value - self.best.value
            worth = min(0.1 * there.effect, _SINGLE / dual.atoms.size) if there else 0.0
            if missing <= worth * point.value:
                return there, True
        return tie, False

    def _lowest(
        self,
        span: tuple[float, float],
        unit: tuple[float, float],
        size: float,
        reach: float,
    ) -> tuple[Lowest, bool]:
        """Minimum of the largest cut near the best multipliers; whether it is so everywhere."""
        dual = self.node.dual
        slope, price, constant = dual.cuts(span, self.node.pool.columns)
        slopes = np.column_stack([slope * (unit[0] / size), price * (unit[1] / size)])
        centre = self.at[0] / unit[0], self.at[1] / unit[1]
        low = max(dual.floor / unit[0], centre[0] - reach), centre[1] - reach
        high = centre[0] + reach, centre[1] + reach
        found = lowest_point(slopes, constant / size, low, high, self.node.pool.basis)
        inner = found.at[0] < high[0] and low[1] < found.at[1] < high[1]
        inner = inner and (found.at[0] > low[0] or low[0] * unit[0] <= dual.floor)
        at = max(found.at[0] * unit[0], dual.floor), found.at[1] * unit[1]
        return found._replace(value=found.value * size, at=at), inner

    def _tie(self, low: Lowest) -> Tie | None:
        """The kind on which the active maximisers differ most, the log f between, the effect."""
        pool, x = self.node.pool, self.node.dual.atoms
        if len(pool.powers) != len(pool.columns):
            return None
        weights = low.weights.reshape(len(pool.columns), -1).sum(axis=1)
        active = np.flatnonzero(weights > 1e-6)
        if len(active) < 2:
            return None
        powers = np.array([pool.powers[k] for k in active])
        least, most = powers.min(axis=0), powers.max(axis=0)
        if isinstance(self.node.dual, RetainDual):
            effect = (x.weight + x.retain) * (most - least)
            if x.scale <= 1:  # where f* = 0 only c f^s + b log(1−f) is left, which is concave
                effect[x.oracle == 0] = 0.0
        else:
            effect = (x.moved + abs(low.at[1]) * x.weight) * (most - least) / self.span[0]
            if x.scale == 1:  # only signs tie
                effect[x.sign != 0] = 0.0
        effect *= x.single / x.probability  # like atoms mix, but for one
        z = int(np.argmax(effect))
        middle = max(math.sqrt(max(least[z], 1e-12 * most[z]) * most[z]), 1e-300)
        share = float(weights[active][powers[:, z] > middle].sum() / weights[active].sum())
        return Tie(z, math.log(middle) / x.scale, float(effect[z] / self.value), share)
