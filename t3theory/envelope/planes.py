"""The lowest point of a maximum of planes, by the dual simplex method on three active rows."""

from __future__ import annotations

import contextlib
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Lowest", "lowest_point"]

Vector = NDArray[np.float64]
Matrix = list[list[float]]
_PIVOTS = 100
_TOLERANCE = 1e-12  # of the planes' heights, in units where they are of order one


class Lowest(NamedTuple):
    """A minimum, where it is, and what holds it up.

    Args:
        value: the minimum (a lower bound on it should the pivots run out, −inf should the
            planes be too ill-scaled to start).
        at: a minimiser.
        weights: the weight of each plane in the optimal mixture, shape (k,).
        basis: the three active rows: where a search with more planes may start.
    """

    value: float
    at: tuple[float, float]
    weights: Vector
    basis: tuple[int, ...]


def lowest_point(
    slopes: Vector,
    heights: Vector,
    low: tuple[float, float],
    high: tuple[float, float],
    basis: tuple[int, ...] = (),
) -> Lowest:
    """min over a box of max_k slopes_k·x + heights_k.

    Args:
        slopes: shape (k, 2); `heights`: shape (k,).
        low, high: the box.
        basis: that of an earlier search over the same box and the first of the same planes.

    >>> found = lowest_point(np.array([[1.0, 0.0], [-1.0, 0.0]]), np.zeros(2),
    ...                      low=(-1.0, -1.0), high=(1.0, 1.0))
    >>> found.value == 0, found.at[0] == 0, found.weights
    (True, True, array([0.5, 0.5]))
    """
    count = len(heights)
    # Rows r·(x, z) ≤ b: the sides of the box, then the planes.
    rows = np.zeros((count + 4, 3))
    rows[:2, :2], rows[2:4, :2] = -np.eye(2), np.eye(2)
    rows[4:, :2], rows[4:, 2] = slopes, -1.0
    limits = np.concatenate([[-low[0], -low[1]], high, -heights])
    try:
        active, weights, inverse = _start(rows, slopes[0], basis)
        for _ in range(_PIVOTS):
            bound = [float(limits[k]) for k in active]
            point = [sum(x * y for x, y in zip(row, bound, strict=True)) for row in inverse]
            violation = rows @ np.array(point) - limits
            enter = int(violation.argmax())
            if not violation[enter] > _TOLERANCE:
                break
            row = rows[enter].tolist()
            share = [sum(row[i] * inverse[i][j] for i in range(3)) for j in range(3)]
            ratio = [w / s if s > 1e-13 else math.inf for w, s in zip(weights, share, strict=True)]
            leave = ratio.index(min(ratio))
            least = ratio[leave]
            if not least < math.inf:
                break
            weights = [w - least * s for w, s in zip(weights, share, strict=True)]
            weights[leave] = least
            active[leave] = enter
            inverse = _replaced(inverse, leave, share)
        # Free of what the replacements have rounded.
        inverse = np.linalg.inv(rows[active]).tolist()
        point = [sum(row[i] * float(limits[k]) for i, k in enumerate(active)) for row in inverse]
    except np.linalg.LinAlgError:
        return Lowest(-np.inf, low, np.zeros(count), ())
    mixture = np.zeros(count + 4)
    mixture[active] = np.maximum(weights, 0.0)
    return Lowest(point[2], (point[0], point[1]), mixture[4:], tuple(active))


def _replaced(inverse: Matrix, leave: int, share: list[float]) -> Matrix:
    """The inverse once a row is replaced by one whose shares of the others are given."""
    moved = [x - (k == leave) for k, x in enumerate(share)]
    factors = [row[leave] / share[leave] for row in inverse]
    return [
        [x - factor * y for x, y in zip(row, moved, strict=True)]
        for row, factor in zip(inverse, factors, strict=True)
    ]


def _start(
    rows: Vector, slope: Vector, basis: tuple[int, ...]
) -> tuple[list[int], list[float], Matrix]:
    """Active rows with weights ≥ 0 that balance them: the given ones if they do."""
    if basis:
        with contextlib.suppress(np.linalg.LinAlgError):
            inverse = np.linalg.inv(rows[list(basis)]).tolist()
            weights = [-x for x in inverse[2]]
            if min(weights) >= -_TOLERANCE:
                return list(basis), weights, inverse
    active = [4, *((i if slope[i] >= 0 else i + 2) for i in range(2))]
    weights = [1.0, abs(float(slope[0])), abs(float(slope[1]))]
    return active, weights, np.linalg.inv(rows[active]).tolist()
