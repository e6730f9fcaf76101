"""Many distinct atoms seen as few: a sketch that tells a search where to look, and proves nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from t3theory.envelope.atoms import Atoms
from t3theory.envelope.reduction import budget_floor

__all__ = ["coarsen"]

Vector = NDArray[np.float64]
_SIDES = (56, 112, 224, 448, 896)  # quantiles: the keys of smooth laws lie on a curve, in few cells
_MOST = 3136  # groups, few enough to be split one by one: all cells of the least side
_HEAVY = 64  # atoms that stay alone, as one of them may tie
_SAMPLE = 16384  # atoms whose order statistics set the edges


def coarsen(atoms: Atoms, delta: float) -> tuple[Atoms, NDArray[np.intp]]:
    """Groups of atoms with nearly equal density and f*, each replaced by its average.

    At one temperature these two numbers say everything about an atom but its size. The
    groups are quantiles of each.

    Returns:
        the groups, and which of them each atom is in.
    """
    measure = atoms.weight / atoms.base
    keys = np.log(atoms.probability / measure), atoms.log_oracle - atoms.log_co_oracle
    group, number = _groups(atoms, keys)

    def total(x: Vector) -> Vector:
        return np.bincount(group, weights=x).astype(np.float64)

    mass = total(measure)
    probability, retain, forget = map(total, (atoms.probability, atoms.retain, atoms.forget))
    weight, single = total(atoms.weight), probability / number
    oracle = np.minimum((1 - atoms.gamma) * retain / probability, 1.0)
    co_oracle = np.minimum(atoms.gamma * forget / probability, 1.0)
    with np.errstate(divide="ignore"):
        log_oracle, log_co_oracle, budget = np.log(oracle), np.log(co_oracle), delta / single
        log_slope = np.log(weight / probability)
    sketch = Atoms(
        gamma=atoms.gamma,
        scale=atoms.scale,
        probability=probability,
        single=single,
        forget=forget,
        retain=retain,
        weight=weight,
        oracle=oracle,
        co_oracle=co_oracle,
        log_oracle=log_oracle,
        log_co_oracle=log_co_oracle,
        base=weight / mass,
        slope=weight / probability,
        log_slope=log_slope,
        retain_density=retain / mass,
        log_low=budget_floor(oracle, co_oracle, budget),
        log_co_low=budget_floor(co_oracle, oracle, budget),
        sign=np.where((retain > 0) & (forget > 0), 0.0, -1.0),
        log_normaliser=atoms.log_normaliser,
        largest_log=atoms.largest_log,
        inverse=np.arange(len(number)),
    )
    return sketch, group


def _groups(atoms: Atoms, keys: tuple[Vector, Vector]) -> tuple[Any, Vector]:
    """The group of each atom, and how many are in each; the heaviest atoms are alone."""
    laws = atoms.retain, atoms.forget, atoms.weight
    importance = 1 / atoms.size + sum(law / law.sum() for law in laws)
    cell = _cells(keys, importance)
    heavy = np.argsort(-importance)[: min(_HEAVY, atoms.size // _HEAVY)]
    cell[heavy] = cell.max() + 1 + np.arange(len(heavy))
    count = np.bincount(cell)
    return (np.cumsum(count > 0) - 1)[cell], count[count > 0].astype(np.float64)


def _cells(keys: tuple[Vector, Vector], importance: Vector) -> Any:
    """The cell of each atom: as many quantiles to a side as leave few enough cells in use.

    Quantiles of where any of the laws has its mass: of numbers alone, few cells would hold all
    of a narrow law.
    """
    some = slice(None, None, max(1, len(importance) // _SAMPLE))
    sample = tuple(key[some] for key in keys)
    orders = [np.argsort(key) for key in sample]
    ranks = [np.cumsum(importance[some][order]) for order in orders]

    def cells(which: tuple[Vector, ...], side: int) -> Any:
        inner = np.arange(1, side) / side
        found: Any = 0
        for key, seen, order, rank in zip(which, sample, orders, ranks, strict=True):
            edges = seen[order][np.searchsorted(rank, rank[-1] * inner)]
            found = found * side + np.searchsorted(edges, key, side="right")
        return found

    for side in _SIDES[:0:-1]:
        if all(_used(cell := cells(which, side)) <= _MOST for which in (sample, keys)):
            return cell
    return cells(keys, _SIDES[0])


def _used(cell: Any) -> int:
    return int(np.count_nonzero(np.bincount(cell)))
