"""Checks of arguments, one line each: the value to compute with, or an error that names it.

nan fails every one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from t3theory._xp import Array, as_float_array, namespace, plain, require
from t3theory.exceptions import AssumptionError

__all__ = [
    "at_least",
    "classifier_values",
    "count",
    "nonnegative",
    "number",
    "positive",
    "probability",
    "share",
]


def number(name: str, value: Any, requirement: str, holds: Callable[[float], bool]) -> float:
    """One number of any kind, as a float, of which `holds` is true."""
    found = plain(value)
    if not isinstance(found, float):
        raise AssumptionError(name, "must be one number", type(value).__name__)
    if not holds(found):
        raise AssumptionError(name, requirement, value)
    return found


def positive(name: str, value: Any) -> float:
    """A number in (0, ∞)."""
    return number(name, value, "must be positive and finite", lambda x: 0 < x < math.inf)


def nonnegative(name: str, value: Any) -> float:
    """A number in [0, ∞), as δ."""
    return at_least(name, value, 0)


def at_least(name: str, value: Any, least: int) -> float:
    """A number in [least, ∞)."""
    return number(name, value, f"must be ≥ {least} and finite", lambda x: least <= x < math.inf)


def share(name: str, value: Any) -> float:
    """A number in (0, 1), as γ."""
    return number(name, value, "must lie in (0, 1)", lambda x: 0 < x < 1)


def probability(name: str, value: Any) -> float:
    """A number in [0, 1]."""
    return number(name, value, "must lie in [0, 1]", lambda x: 0 <= x <= 1)


def count(name: str, value: Any, least: int) -> int:
    """A whole number ≥ least.

    >>> count("n", 0, 1)
    Traceback (most recent call last):
    t3theory.exceptions.AssumptionError: n must be at least 1, got 0
    """
    number(name, value, f"must be at least {least}", lambda x: x >= least)
    return int(number(name, value, "must be a whole number", float.is_integer))


def classifier_values(name: str, f: Array, like: Array) -> Array:
    """f in [0, 1], of the shape of `like`: one that broadcasts would be another classifier."""
    f = as_float_array(f, namespace(like, f), like)
    if f.shape != like.shape:
        raise AssumptionError(name, f"must have shape {tuple(like.shape)}", tuple(f.shape))
    require((f >= 0) & (f <= 1), name, "must lie in [0, 1]", f)
    return f
