"""What the metrics ask of their arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike, DTypeLike

from t3theory.exceptions import AssumptionError

EPSILON = 1e-10
"""What open-unlearning adds to denominators."""


def to_numpy(values: Any, dtype: DTypeLike) -> np.ndarray:
    """`values` as a NumPy array; tensors come from any device and precision."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().tolist()
    return np.asarray(values, dtype=dtype)


def vector(symbol: str, values: ArrayLike) -> Float[np.ndarray, " n"]:
    """`values` as a one-dimensional array of at least one number, none of them nan."""
    array = to_numpy(values, np.float64)
    if array.ndim != 1 or array.size == 0:
        raise AssumptionError(symbol, "must be a list of at least one number", array.shape)
    return without_nan(symbol, array)


def without_nan(symbol: str, array: np.ndarray) -> np.ndarray:
    """The array, if nothing in it is nan."""
    bad = np.argwhere(np.isnan(array))
    if bad.size:
        raise AssumptionError(symbol, "must be a number", np.nan, tuple(int(i) for i in bad[0]))
    return array


def rows_of(symbol: str, values: ArrayLike, n: int) -> Float[np.ndarray, "n k"]:
    """`values` as an array of `n` rows of at least one number, none of them nan."""
    array = to_numpy(values, np.float64)
    if array.ndim != 2 or array.shape[0] != n or array.shape[1] == 0:
        raise AssumptionError(symbol, f"must have the shape ({n}, k) with k ≥ 1", array.shape)
    return without_nan(symbol, array)
