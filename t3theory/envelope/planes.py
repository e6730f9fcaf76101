"""The lowest point of a maximum of planes, by the dual simplex method on three active rows."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Lowest", "lowest_point"]

Vector = NDArray[np.float64]
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
            point = inverse @ limits[active]
            violation = rows @ point - limits
            enter = int(np.argmax(violation))
            if violation[enter] <= _TOLERANCE:
                break
            share = rows[enter] @ inverse
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = np.where(share > 1e-13, weights / share, np.inf)
            leave = int(np.argmin(ratio))
            if not np.isfinite(ratio[leave]):
                break
            weights = weights - ratio[leave] * share
            weights[leave] = ratio[leave]
            active[leave] = enter
            inverse = np.linalg.inv(rows[active])
    except np.linalg.LinAlgError:
        return Lowest(-np.inf, low, np.zeros(count), ())
    mixture = np.zeros(count + 4)
    mixture[active] = np.maximum(weights, 0.0)
    at = float(point[0]), float(point[1])
    return Lowest(float(point[2]), at, mixture[4:], tuple(active))


def _start(rows: Vector, slope: Vector, basis: tuple[int, ...]) -> tuple[list[int], Any, Any]:
    """Active rows with weights ≥ 0 that balance them: the given ones if they do."""
    if basis:
        inverse = np.linalg.inv(rows[list(basis)])
        weights = -inverse[2]
        if np.all(weights >= -_TOLERANCE):
            return list(basis), weights, inverse
    active = [4, *((i if slope[i] >= 0 else i + 2) for i in range(2))]
    inverse = np.linalg.inv(rows[active])
    return active, np.array([1.0, abs(slope[0]), abs(slope[1])]), inverse
