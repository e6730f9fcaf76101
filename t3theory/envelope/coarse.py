"""Many distinct atoms seen as few: a sketch that tells a search where to look, and proves nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from t3theory.envelope.atoms import Atoms
from t3theory.envelope.reduction import budget_floor

__all__ = ["coarsen"]

Vector = NDArray[np.float64]
_CELLS = 56  # a side: at most 3,136 groups, few enough to be split one by one
_SAMPLE = 16384  # atoms whose order statistics set the edges


def coarsen(atoms: Atoms, delta: float) -> Atoms:
    """Groups of atoms with nearly equal density and f*, each replaced by its average.

    At one temperature these two numbers say everything about an atom but its size. The
    groups are quantiles of each.
    """
    measure = atoms.weight / atoms.base
    keys = np.log(atoms.probability / measure), atoms.log_oracle - atoms.log_co_oracle
    cell = _bins(keys[0]) * _CELLS + _bins(keys[1])
    count = np.bincount(cell, minlength=_CELLS * _CELLS)
    used = count > 0

    def total(x: Vector) -> Vector:
        return np.bincount(cell, weights=x, minlength=len(count))[used].astype(np.float64)

    number, mass = count[used].astype(np.float64), total(measure)
    probability, retain, forget = map(total, (atoms.probability, atoms.retain, atoms.forget))
    weight, single = total(atoms.weight), probability / number
    oracle = np.minimum((1 - atoms.gamma) * retain / probability, 1.0)
    co_oracle = np.minimum(atoms.gamma * forget / probability, 1.0)
    with np.errstate(divide="ignore"):
        log_oracle, log_co_oracle, budget = np.log(oracle), np.log(co_oracle), delta / single
    return Atoms(
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
        retain_density=retain / mass,
        log_low=budget_floor(oracle, co_oracle, budget),
        log_co_low=budget_floor(co_oracle, oracle, budget),
        sign=np.where(retain > 0, 0.0, -1.0),
        log_normaliser=atoms.log_normaliser,
        largest_log=atoms.largest_log,
        inverse=np.arange(len(number)),
    )


def _bins(key: Vector) -> Any:
    sample = np.sort(key[:: max(1, len(key) // _SAMPLE)])
    edges = sample[np.linspace(0, len(sample) - 1, _CELLS + 1).astype(int)[1:-1]]
    return np.searchsorted(edges, key, side="right")
