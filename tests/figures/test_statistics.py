"""Intervals: they cover as often as they say."""

from __future__ import annotations

import numpy as np
import pytest

from figures.statistics import geometric_mean, group, local_slopes, loglog_slope, mean, proportion
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


def test_copies_of_a_number_have_no_spread_and_show_none():
    # Summed as logarithms, copies differ in the last digit.
    copies = geometric_mean([2.79] * 12)
    assert copies.has_interval
    assert not copies.has_spread
    assert f"{copies:.3g}" == "2.79"
    assert f"{mean([2.0, 2.1]):.2g}" == "2 [1.4, 2.7]"
    assert "no interval" in f"{mean([2.0]):.2g}"


def test_exponents_from_place_to_place():
    def at(x, *values):
        return [{"config": {"x": x}, "values": {"v": v}} for v in values]

    # Geometric means 1, 10, 1000: exponents 1 and 2, where one fit says 1.5.
    records = at(100, 1000) + at(1, 0.5, 2.0) + at(10, 10)
    found = local_slopes(records, lambda r: r["config"]["x"], "v")
    assert found == pytest.approx([1.0, 2.0], rel=1e-14)
    with pytest.raises(InputError, match="two places"):
        local_slopes(at(1, 2, 3), lambda r: r["config"]["x"], "v")


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
