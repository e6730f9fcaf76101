"""Estimates with intervals, the same for figures, captions and claims."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from scipy import stats

from t3theory.exceptions import InputError

__all__ = [
    "Estimate",
    "Sample",
    "TooFewPoints",
    "fits",
    "geometric_mean",
    "geometric_mean_of",
    "group",
    "local_slopes",
    "loglog_slope",
    "mean",
    "mean_of",
    "proportion",
    "sample_of",
    "seeds_of",
    "share_of",
    "slope_of",
]

Records = Sequence[Mapping[str, Any]]
_Key = TypeVar("_Key")
_Fit = TypeVar("_Fit")

_ROUNDING = 1e-12
"""Copies of a number differ from their mean by a few of its last digits, of 10^-16 each."""


class TooFewPoints(InputError):
    """No slope can be told of so few."""


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

    @property
    def has_spread(self) -> bool:
        """Whether the interval is wider than rounding: copies of one number have none."""
        return self.has_interval and self.half > _ROUNDING * abs(self.value)

    def __format__(self, spec: str) -> str:
        spec = spec or ".3g"
        if not self.has_interval:
            return f"{self.value:{spec}} (one value, no interval)"
        if not self.has_spread:
            return f"{self.value:{spec}}"
        return f"{self.value:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"


@dataclass(frozen=True)
class Sample:
    """How many numbers, their mean, their squared deviations summed: what intervals need."""

    count: int
    mean: float
    squares: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Sample:
        """The sample of these numbers.

        >>> Sample.of([1.0, 3.0])
        Sample(count=2, mean=2.0, squares=2.0)
        """
        if not len(values):
            raise InputError("mean: expected at least one value, got none")
        x = np.asarray(values, dtype=np.float64)
        centre = float(x.mean())
        return cls(len(x), centre, float(((x - centre) ** 2).sum()))

    def __add__(self, other: Sample) -> Sample:
        count = self.count + other.count
        gap = other.mean - self.mean
        return Sample(
            count,
            self.mean + gap * other.count / count,
            self.squares + other.squares + gap**2 * self.count * other.count / count,
        )

    def interval(self, confidence: float = 0.95) -> Estimate:
        """The mean with Student's t interval; a single value has none."""
        if self.count == 1:
            return Estimate(self.mean, math.nan, math.nan)
        error = math.sqrt(self.squares / (self.count - 1) / self.count)
        half = float(stats.t.ppf((1 + confidence) / 2, self.count - 1)) * error
        return Estimate(self.mean, self.mean - half, self.mean + half)


def sample_of(records: Records, name: str, logarithm: bool = False) -> Sample:
    """A value over records, of one seed each or pooled over seeds; or its logarithm.

    The interval of the plain mean of values that were pooled as logarithms is not a number.

    Raises:
        InputError: no records, or a logarithm of what is not positive.
    """
    raw = [r["values"][name] for r in records]
    pooled = [v for v in raw if isinstance(v, Mapping)]
    single = [float(v) for v in raw if not isinstance(v, Mapping)]
    if logarithm and not all(v > 0 for v in single):
        raise InputError(f"geometric mean: expected positive values of {name} only")
    if logarithm and not all("log" in v for v in pooled):
        raise InputError(f"geometric mean: expected positive values of {name} only")
    samples = [
        # Pooled as logarithms, the spread of the values themselves is not known.
        Sample(v["count"], *(v["log"] if logarithm else (v["mean"], v.get("squares", math.nan))))
        for v in pooled
    ]
    if single or not samples:
        samples.append(Sample.of([math.log(v) for v in single] if logarithm else single))
    return sum(samples[1:], samples[0])


def mean(values: Sequence[float], confidence: float = 0.95) -> Estimate:
    """The mean with Student's t interval.

    >>> f"{mean([1.0, 2.0, 3.0]):.2f}"
    '2.00 [-0.48, 4.48]'
    """
    return Sample.of(values).interval(confidence)


def mean_of(records: Records, name: str) -> Estimate:
    """The mean of a value over records, with Student's t interval."""
    return sample_of(records, name).interval()


def geometric_mean(values: Sequence[float], confidence: float = 0.95) -> Estimate:
    """The geometric mean with Student's t interval of the logarithms.

    >>> f"{geometric_mean([1.0, 10.0, 100.0]):.2f}"
    '10.00 [0.03, 3048.86]'
    """
    x = np.asarray(values, dtype=np.float64)
    if not (x > 0).all():
        raise InputError("geometric mean: expected positive values only")
    return _exponential(Sample.of(np.log(x).tolist()).interval(confidence))


def geometric_mean_of(records: Records, name: str) -> Estimate:
    """The geometric mean of a value over records, with the interval of its logarithms."""
    return _exponential(sample_of(records, name, logarithm=True).interval())


def _exponential(logs: Estimate) -> Estimate:
    with np.errstate(over="ignore"):  # an end beyond the floats is ∞
        value, low, high = np.exp([logs.value, logs.low, logs.high]).tolist()
    return Estimate(value, low, high)


def loglog_slope(x: Sequence[float], y: Sequence[float], confidence: float = 0.95) -> Estimate:
    """The exponent b of y ∝ x^b: least squares on the logarithms, with Student's t interval.

    >>> f"{loglog_slope([1, 10, 100], [3, 30, 300]):.2f}"
    '1.00'
    """
    logs = [math.log(v) for v in y]
    return _slope(
        [(math.log(a), Sample(1, b, 0.0)) for a, b in zip(x, logs, strict=True)], confidence
    )


def slope_of(
    records: Records, x: Callable[[Mapping[str, Any]], float], name: str, confidence: float = 0.95
) -> Estimate:
    """The exponent b of a value ∝ x^b over records: pooled or not, the same numbers."""
    samples = [(math.log(x(r)), sample_of([r], name, logarithm=True)) for r in records]
    return _slope(samples, confidence)


def local_slopes(
    records: Records, x: Callable[[Mapping[str, Any]], float], name: str
) -> list[float]:
    """The exponents of a value ∝ x^b from each x to the next: what one fit would average over.

    >>> rs = [{"config": {"h": h}, "values": {"v": v}} for h, v in ((1, 1), (10, 10), (100, 10))]
    >>> local_slopes(rs, lambda r: r["config"]["h"], "v")
    [1.0, 0.0]
    """
    places = [
        (math.log(place), sample_of(found, name, logarithm=True).mean)
        for place, found in group(records, x).items()
    ]
    if len(places) < 2:
        raise TooFewPoints("slope: expected points at two places")
    return [(y - b) / (x - a) for (a, b), (x, y) in itertools.pairwise(places)]


def fits(fit: Callable[[Records], _Fit], groups: Mapping[_Key, Records]) -> dict[_Key, _Fit]:
    """`fit` of each group whose points are enough for it; a grid may have fewer."""
    found = {}
    for key, records in groups.items():
        with suppress(TooFewPoints):
            found[key] = fit(records)
    return found


def _slope(points: Sequence[tuple[float, Sample]], confidence: float) -> Estimate:
    """Least squares through samples at places; the spread within a sample counts too."""
    count = sum(s.count for _, s in points)
    if len({x for x, _ in points}) < 2 or count < 3:
        raise TooFewPoints("slope: expected at least three points at two places")
    x = np.array([x for x, _ in points])
    y = np.array([s.mean for _, s in points])
    weight = np.array([s.count for _, s in points])
    x = x - weight @ x / count
    y = y - weight @ y / count
    slope = float(weight @ (x * y) / (weight @ x**2))
    residual = sum(s.squares for _, s in points) + float(weight @ (y - slope * x) ** 2)
    error = math.sqrt(residual / (count - 2) / float(weight @ x**2))
    half = float(stats.t.ppf((1 + confidence) / 2, count - 2)) * error
    return Estimate(slope, slope - half, slope + half)


def seeds_of(records: Records) -> int:
    """How many seeds stand behind records, pooled or not."""
    pooled = [r["config"]["seeds"] for r in records if r["seed"] is None]
    return max([*pooled, len({r["seed"] for r in records if r["seed"] is not None})])


def share_of(records: Records, name: str) -> Estimate:
    """How often a value of yes or no was yes, with its exact interval."""
    sample = sample_of(records, name)
    return proportion(round(sample.mean * sample.count), sample.count)


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
