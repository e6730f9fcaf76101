"""The lowest point of a maximum of planes, by the dual simplex method on three active rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["lowest_point"]

Vector = NDArray[np.float64]
_PIVOTS = 100
_TOLERANCE = 1e-12  # of the planes' heights, in units where they are of order one


def lowest_point(
    slopes: Vector, heights: Vector, low: tuple[float, float], high: tuple[float, float]
) -> tuple[float, tuple[float, float], Vector]:
    """min over a box of max_k slopes_k·x + heights_k.

    Args:
        slopes: shape (k, 2); `heights`: shape (k,).
        low, high: the box.
    Returns:
        the minimum (a lower bound on it should the pivots run out, −inf should the planes be
        too ill-scaled to start), a minimiser, and the weight of each plane in the optimal
        mixture, shape (k,).

    >>> value, at, weights = lowest_point(np.array([[1.0, 0.0], [-1.0, 0.0]]), np.zeros(2),
    ...                                   low=(-1.0, -1.0), high=(1.0, 1.0))
    >>> value == 0, at[0] == 0, weights
    (True, True, array([0.5, 0.5]))
    """
    count = len(heights)
    # Rows r·(x, z) ≤ b: the planes, then the sides of the box.
    rows = np.zeros((count + 4, 3))
    rows[:count, :2], rows[:count, 2] = slopes, -1.0
    rows[count : count + 2, :2], rows[count + 2 :, :2] = -np.eye(2), np.eye(2)
    limits = np.concatenate([-heights, [-low[0], -low[1]], high])
    basis = [0, *(count + i + (0 if slopes[0, i] >= 0 else 2) for i in range(2))]
    weights = np.array([1.0, abs(slopes[0, 0]), abs(slopes[0, 1])])
    try:
        point = np.linalg.solve(rows[basis], limits[basis])
    except np.linalg.LinAlgError:
        return -np.inf, low, np.zeros(count)
    for _ in range(_PIVOTS):
        violation = rows @ point - limits
        enter = int(np.argmax(violation))
        if violation[enter] <= _TOLERANCE:
            break
        try:
            share = np.linalg.solve(rows[basis].T, rows[enter])
        except np.linalg.LinAlgError:
            break
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(share > 1e-13, weights / share, np.inf)
        leave = int(np.argmin(ratio))
        if not np.isfinite(ratio[leave]):
            break
        weights = weights - ratio[leave] * share
        weights[leave] = ratio[leave]
        basis[leave] = enter
        try:
            point = np.linalg.solve(rows[basis], limits[basis])
        except np.linalg.LinAlgError:
            break
    mixture = np.zeros(count + 4)
    mixture[basis] = np.maximum(weights, 0.0)
    return float(point[2]), (float(point[0]), float(point[1])), mixture[:count]
