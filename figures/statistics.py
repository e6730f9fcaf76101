"""Estimates with intervals, the same for figures, captions and claims."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from t3theory.exceptions import InputError

__all__ = ["Estimate", "geometric_mean", "group", "loglog_slope", "mean", "proportion"]


@dataclass(frozen=True)
class Estimate:
    """A number and an interval around it; a single measurement has none: its ends are NaN."""

    value: float
    low: float
    high: float

    @property
    def has_interval(self) -> bool:
        """Whether more than one measurement stands behind it."""
        return not math.isnan(self.low)

    @property
    def half(self) -> float:
        """Half the width of the interval."""
        return (self.high - self.low) / 2

    def __format__(self, spec: str) -> str:
        spec = spec or ".3g"
        if not self.has_interval:
            return f"{self.value:{spec}} (one value, no interval)"
        return f"{self.value:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"


def mean(values: Sequence[float], confidence: float = 0.95) -> Estimate:
    """The mean with Student's t interval; a single value has no interval.

    >>> f"{mean([1.0, 2.0, 3.0]):.2f}", f"{mean([1.0]):.2f}"
    ('2.00 [-0.48, 4.48]', '1.00 (one value, no interval)')
    """
    if not len(values):
        raise InputError("mean: expected at least one value, got none")
    x = np.asarray(values, dtype=np.float64)
    centre = float(x.mean())
    if len(x) == 1:
        return Estimate(centre, math.nan, math.nan)
    error = float(x.std(ddof=1)) / math.sqrt(len(x))
    half = float(stats.t.ppf((1 + confidence) / 2, len(x) - 1)) * error
    return Estimate(centre, centre - half, centre + half)


def geometric_mean(values: Sequence[float], confidence: float = 0.95) -> Estimate:
    """The geometric mean with Student's t interval of the logarithms.

    >>> f"{geometric_mean([1.0, 10.0, 100.0]):.2f}"
    '10.00 [0.03, 3048.86]'
    """
    x = np.asarray(values, dtype=np.float64)
    if not (x > 0).all():
        raise InputError("geometric mean: expected positive values only")
    logs = mean(np.log(x).tolist(), confidence)
    return Estimate(math.exp(logs.value), math.exp(logs.low), math.exp(logs.high))


def loglog_slope(x: Sequence[float], y: Sequence[float], confidence: float = 0.95) -> Estimate:
    """The exponent b of y ∝ x^b: least squares on the logarithms, with Student's t interval.

    >>> f"{loglog_slope([1, 10, 100], [3, 30, 300]):.2f}"
    '1.00 [1.00, 1.00]'
    """
    if len(set(x)) < 2 or len(x) < 3:
        raise InputError("slope: expected at least three points at two places")
    fit = stats.linregress(np.log(np.asarray(x)), np.log(np.asarray(y)))
    half = float(stats.t.ppf((1 + confidence) / 2, len(x) - 2)) * float(fit.stderr)
    slope = float(fit.slope)
    return Estimate(slope, slope - half, slope + half)


def proportion(hits: int, trials: int, confidence: float = 0.95) -> Estimate:
    """A share of successes with its Clopper-Pearson interval, exact at any sample size.

    >>> f"{proportion(20, 20):.2f}"
    '1.00 [0.83, 1.00]'
    """
    if trials < 1:
        raise InputError("proportion: expected at least one trial, got none")
    interval = stats.binomtest(hits, trials).proportion_ci(confidence, method="exact")
    return Estimate(hits / trials, float(interval.low), float(interval.high))


def group(
    records: Iterable[Mapping[str, Any]], key: Callable[[Mapping[str, Any]], Hashable]
) -> dict[Any, list[Mapping[str, Any]]]:
    """Records by `key`, in ascending order of it.

    >>> group([{"a": 2}, {"a": 1}], key=lambda r: r["a"])
    {1: [{'a': 1}], 2: [{'a': 2}]}
    """
    found: dict[Any, list[Mapping[str, Any]]] = defaultdict(list)
    for record in records:
        found[key(record)].append(record)
    return {k: found[k] for k in sorted(found)}
