"""The upper side: branch and bound over the normaliser and, where duality leaves a gap, atoms.

A node is an interval of normalisers N together with narrower boxes for a few atoms. The
nodes in the queue always cover every classifier within the budget, so the largest of their
bounds holds for all of them whenever the search stops.
"""

from __future__ import annotations

import heapq
import itertools
import math
from dataclasses import replace

from t3theory.envelope.ascent import Climb, climb
from t3theory.envelope.atoms import Point
from t3theory.envelope.budget import spend
from t3theory.envelope.coarse import coarsen
from t3theory.envelope.dual import Dual, ForgetDual, RetainDual
from t3theory.envelope.lift import cover, starts
from t3theory.envelope.nodes import Node, Pool, few, solve
from t3theory.envelope.pinning import alone, concentrated, fill, polish, raised, steepest
from t3theory.envelope.reach import LEAST_NORMALISER, affordable, normalisers
from t3theory.envelope.splits import split

__all__ = ["search"]

_MANY_NODES, _MANY_CLIMBS = 12, 3  # branchings and climbs where each bound visits very many atoms
_GUESSES = 3  # ascents whose multipliers open a search
_PATIENCE = 8  # branchings before f is pinned at many levels


def search(dual: Dual, tolerance: float, nodes: int, cap: float = math.inf) -> tuple[Climb, float]:
    """The best classifier found, and a bound on all; stops at the tolerance or after `nodes`.

    `cap` is a bound known beforehand.
    """
    best, leaves = _branch(dual, tolerance, nodes, cap)
    if normalisers(dual)[0] <= LEAST_NORMALISER:  # some classifiers are in no leaf
        return best, cap
    return best, min(cap, max((leaf.value for leaf in leaves), default=cap))


def _branch(dual: Dual, tolerance: float, nodes: int, cap: float) -> tuple[Climb, list[Node]]:
    """The best classifier found, and nodes that together cover all."""
    best, many = Climb(dual), not few(dual)
    if many:
        roots, nodes = _sketched(dual, best, tolerance, nodes, cap), min(nodes, _MANY_NODES)
    else:
        _ascend(dual, best, cap / (1 + tolerance))
        roots = [Node(dual, affordable(dual).span, Pool(), value=cap)]
    if cap <= best.value * (1 + tolerance):
        return best, roots
    count = itertools.count()
    queue: list[tuple[float, int, Node]] = []
    guesses = list(dict.fromkeys(best.multipliers))[:_GUESSES] or [
        (1.0, dual.linearise(dual.atoms.bayes())[0])
    ]
    for root in roots:
        for solved in solve(root, [root.at] if many else guesses, best, tolerance):
            heapq.heappush(queue, (-solved.value, next(count), solved))
    patience = 0 if many or dual.atoms.scale > 1 else min(_PATIENCE, nodes)
    for trial in range(nodes + 1):
        node = queue[0][2]
        if _met(node, best, tolerance):
            break
        if many and trial < _MANY_CLIMBS:
            climb(dual, dual.peak(node.span, *node.at), best, stall=tolerance / 4)
        if trial == patience:
            _refine(best, dual, node, tolerance)
        children = [] if trial == nodes or _met(node, best, tolerance) else split(node)
        if not children:
            break
        heapq.heappop(queue)
        for child in children:
            guesses = [] if len(child.pool.columns) else [child.at]
            for solved in solve(child, guesses, best, tolerance):
                heapq.heappush(queue, (-solved.value, next(count), solved))
    return best, [entry[2] for entry in queue]


def _met(node: Node, best: Climb, tolerance: float) -> bool:
    """Whether a node's bound is near enough to what is attained, but for rounding."""
    return node.lost or node.value <= best.value * (1 + tolerance)


def _refine(best: Climb, dual: Dual, node: Node, tolerance: float) -> None:
    """Pin f on one atom: at every level, or of many atoms at what the others leave."""
    if few(dual):
        polish(best, dual, node.value / (1 + tolerance))
    elif isinstance(dual, RetainDual):
        fill(best, dual, *node.at)


def _ascend(dual: Dual, best: Climb, enough: float) -> None:
    """Climb from every start; for the retain error until an error is `enough`."""
    for from_dual, point in _starts(dual):
        climb(from_dual, point, best)
        if isinstance(dual, RetainDual) and enough <= best.value:
            return
    for from_dual, point in alone(dual) if isinstance(dual, ForgetDual) else []:
        if from_dual.value(point) > best.value:
            climb(from_dual, point, best)


def _starts(dual: Dual) -> list[tuple[Dual, Point]]:
    """Where to climb from: f*, p̂ pushed up or down everywhere, all risk on few atoms."""
    bayes = dual.atoms.bayes()
    found: list[tuple[Dual, Point]] = [(dual, bayes)]
    if dual.atoms.scale > 1:
        found += [raised(dual, z) for z in steepest(dual)]
    if isinstance(dual, RetainDual):
        return [*found, *concentrated(dual)]
    return found + [(dual, spend(dual, c)[0]) for c in dual.pushes()]


def _sketched(dual: Dual, best: Climb, tolerance: float, nodes: int, cap: float) -> list[Node]:
    """Climb where the sketch of many atoms did, and cover their normalisers as its search did.

    The multipliers come from the sketch; every bound is computed anew on all atoms.
    """
    if cap < math.inf and isinstance(dual, RetainDual):
        for from_dual, point in concentrated(dual):
            climb(from_dual, point, best)
        if cap <= best.value * (1 + tolerance):
            return []
    groups, group = coarsen(dual.atoms, dual.delta)
    sketch = replace(dual, atoms=groups)
    found, leaves = _branch(sketch, tolerance / 2, nodes // 4, cap)
    enough = found.value * (1 - tolerance / 4)
    climbed = max((end[0] for end in found.ends), default=-math.inf)
    if isinstance(dual, RetainDual) and leaves and climbed < enough:  # the best has f pinned
        fill(best, dual, *max(leaves, key=lambda leaf: leaf.value).at)
    for point, multiplier in starts(dual, found, group) if best.value < enough else []:
        climb(dual, point, best, multiplier, tolerance / 4)
        if best.value >= enough:
            break
    if (
        cap == math.inf
        and isinstance(dual, RetainDual)
        and best.value < found.value * (1 - tolerance)
    ):
        for from_dual, point in concentrated(dual):
            climb(from_dual, point, best)
    return cover(dual, sketch, group, leaves, cap)
