"""Branching: a node as two that cover it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from t3theory.envelope.atoms import log_rest
from t3theory.envelope.dual import Dual, ForgetDual
from t3theory.envelope.nodes import Node, Pool
from t3theory.envelope.reach import normalisers

__all__ = ["halves", "signs", "split"]

_NARROW = 1e-9  # log-width below which an interval of N is a point
_PART = 0.1  # of a tie's effect counts as much as the width of an interval; all of it at s ≠ 1


def split(node: Node) -> list[Node]:
    """Two nodes that cover this one: half the interval of N each, or a sign or half a box each."""
    low, high = node.span
    width = math.log(high / low)
    part = _PART if node.dual.atoms.scale == 1 else 1.0
    if node.tie is None or (
        not node.stuck and part * node.tie.effect < node.dual.effect(width, node.value)
    ):
        if width < _NARROW:
            return []
        middle = math.sqrt(low) * math.sqrt(high)
        return [replace(node, span=half) for half in ((low, middle), (middle, high))]
    if isinstance(node.dual, ForgetDual) and node.dual.atoms.sign[node.tie.kind] == 0:
        duals = signs(node.dual, node.tie.kind)
    else:
        duals = halves(node.dual, node.tie.kind, node.tie.log_middle)
    children = []
    for dual in duals:
        reach = normalisers(dual)
        span = max(low, reach[0]), min(high, reach[1])
        if span[0] < span[1]:
            children.append(replace(node, dual=dual, span=span, pool=Pool()))
    return children


def signs(dual: Dual, z: int) -> list[Dual]:
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


def halves(dual: Dual, z: int, log_middle: float) -> list[Dual]:
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
