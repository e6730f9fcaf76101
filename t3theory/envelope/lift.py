"""What the search of a sketch says of all atoms: where to climb from, and nodes that cover all."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from t3theory.envelope.ascent import Climb
from t3theory.envelope.atoms import Point
from t3theory.envelope.budget import spend
from t3theory.envelope.dual import Dual, ForgetDual
from t3theory.envelope.nodes import Node, Pool
from t3theory.envelope.reach import affordable
from t3theory.envelope.sides import rewards

__all__ = ["cover", "starts"]

Group = NDArray[np.intp]
Signs = tuple[tuple[int, float], ...]
_GUESSES = 3  # ascents whose multipliers are tried
_ALIKE = 1e-2  # multipliers from which ascents end alike


def starts(dual: Dual, found: Climb, group: Group) -> Iterator[tuple[Point, float]]:
    """Where to climb from with all atoms, as far as their sketch did: points, multipliers."""
    level = float(np.dot(found.atoms.weight, found.point.power))
    seen: list[tuple[float, float]] = []
    for multiplier, price in found.multipliers[:_GUESSES]:
        if any(np.allclose((multiplier, price), other, rtol=_ALIKE, atol=0) for other in seen):
            continue
        seen.append((multiplier, price))
        if len(seen) == 1 and isinstance(dual, ForgetDual):
            sign = replace(dual, atoms=found.atoms).signs(found.point)[0][group]
            yield spend(dual, rewards(dual.atoms, sign, price), multiplier)[0], multiplier
        yield dual.peak((level, level), multiplier, price), multiplier


def cover(dual: Dual, sketch: Dual, group: Group, leaves: list[Node], cap: float) -> list[Node]:
    """Nodes that together cover every classifier, opened by the multipliers of a sketch's leaves.

    At every normaliser the leaves there hold all choices of signs, of the groups of one atom too:
    those choices are kept, all others and all boxes are left open.
    """
    reach = affordable(dual, affordable(sketch).multipliers).span
    duals: dict[Signs, tuple[Dual, Pool]] = {(): (dual, Pool())}
    signs = [_settled(leaf, sketch, group) for leaf in leaves]
    inner = {end for leaf in leaves for end in leaf.span if reach[0] < end < reach[1]}
    found: dict[tuple[Signs, int], Node] = {}
    covered: list[Node] = []
    for low, high in itertools.pairwise(sorted({*reach, *inner})):
        open_nodes, found = found, {}
        for choice, owner in _owners(leaves, signs, math.sqrt(low) * math.sqrt(high)).items():
            if choice not in duals:
                duals[choice] = _with_signs(dual, choice), Pool()
            of, pool = duals[choice]
            before = open_nodes.pop((choice, owner), None)
            span = (before.span[0] if before else low), high
            found[choice, owner] = Node(of, span, pool, leaves[owner].at, cap)
        covered += open_nodes.values()
    return [*covered, *found.values()]


def _owners(leaves: list[Node], signs: list[Signs], level: float) -> dict[Signs, int]:
    """For each choice of signs at a normaliser the leaf with the largest bound.

    One leaf, the nearest, and no choice where the leaves there leave a choice of signs out: beyond
    the sketch's normalisers, and where boxes that are open here have none.
    """
    away = [max(leaf.span[0] / level, level / leaf.span[1], 1.0) for leaf in leaves]
    inside = [k for k, far in enumerate(away) if far == 1]
    owners = {signs[k]: k for k in sorted(inside, key=lambda k: leaves[k].value)}
    if _complete([dict(choice) for choice in owners]):
        return owners
    return {(): max(inside, key=lambda k: leaves[k].value, default=int(np.argmin(away)))}


def _complete(choices: list[dict[int, float]]) -> bool:
    """Whether every way to give all atoms signs agrees with one of the choices."""
    if not choices or not all(choices):  # none, or one that leaves all open
        return bool(choices)
    atom = next(iter(choices[0]))
    return all(
        _complete(
            [
                {z: other for z, other in choice.items() if z != atom}
                for choice in choices
                if choice.get(atom, sign) == sign
            ]
        )
        for sign in (1.0, -1.0)
    )


def _settled(leaf: Node, sketch: Dual, group: Group) -> Signs:
    """The atoms that are a group of their own and have a sign in a leaf, and that sign."""
    count = sketch.atoms.size
    changed = np.flatnonzero(leaf.dual.atoms.sign[:count] != sketch.atoms.sign)
    number = np.rint(sketch.atoms.probability[changed] / sketch.atoms.single[changed])
    return tuple(
        (int(np.argmax(group == k)), float(leaf.dual.atoms.sign[k])) for k in changed[number == 1]
    )


def _with_signs(dual: Dual, choice: Signs) -> Dual:
    sign = dual.atoms.sign.copy()
    for atom, value in choice:
        sign[atom] = value
    return replace(dual, atoms=replace(dual.atoms, sign=sign))
