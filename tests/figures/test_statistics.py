"""Intervals: they cover as often as they say."""

from __future__ import annotations

import numpy as np
import pytest

from figures.statistics import geometric_mean, group, loglog_slope, mean, proportion
from t3theory.exceptions import InputError


def test_slope_intervals_cover_the_true_slope():
    generator = np.random.default_rng(0)
    x = np.repeat([1.0, 10.0, 100.0, 1000.0], 5)
    hits = 0
    for _ in range(400):
        y = 3 * x**0.5 * np.exp(0.2 * generator.standard_normal(x.size))
        fit = loglog_slope(x, y)
        hits += fit.low <= 0.5 <= fit.high
    # 400 trials at 0.95: binomial deviation 0.011, so ±0.033 is three of them.
    assert abs(hits / 400 - 0.95) < 0.033


@pytest.mark.parametrize("centre", [mean, geometric_mean])
def test_mean_intervals_cover(centre):
    generator = np.random.default_rng(1)
    exact = 1.0 if centre is geometric_mean else np.exp(0.02)
    hits = 0
    for _ in range(400):
        found = centre(np.exp(0.2 * generator.standard_normal(10)).tolist())
        hits += found.low <= exact <= found.high
    assert abs(hits / 400 - 0.95) < 0.033


def test_a_single_value_has_no_interval():
    for one in (mean([2.0]), geometric_mean([2.0])):
        assert one.value == pytest.approx(2.0, rel=1e-15)
        assert not one.has_interval
    assert mean([2.0, 2.0]).has_interval


def test_proportion_at_the_ends():
    assert proportion(0, 10).low == 0
    # Clopper-Pearson: 1 − 0.025^{1/10}.
    assert proportion(0, 10).high == pytest.approx(1 - 0.025**0.1, rel=1e-12)


@pytest.mark.parametrize(
    "call",
    [
        lambda: mean([]),
        lambda: geometric_mean([1.0, 0.0]),
        lambda: loglog_slope([1, 1, 1], [1, 2, 3]),
        lambda: loglog_slope([1, 2], [1, 2]),
        lambda: proportion(0, 0),
    ],
)
def test_too_little_is_refused(call):
    with pytest.raises(InputError, match="expected"):
        call()


def test_group_sorts():
    assert list(group([3, 1, 2, 1], key=lambda r: r)) == [1, 2, 3]
