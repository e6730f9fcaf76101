"""The exact Kolmogorov-Smirnov test, counted, and where scipy ends."""

from __future__ import annotations

import math
import warnings
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from llm.tofu.metrics import forget_quality
from llm.tofu.metrics.forget_quality import log_ks_tail

# A handful of float64 operations on numbers of moderate size.
ROUNDING = 1e-12


def enumerated_tail(n: int, m: int, statistic: float) -> float:
    """P(D ≥ statistic) by going through every interleaving."""
    count = total = 0
    for places in combinations(range(n + m), n):
        first = np.isin(np.arange(n + m), places)
        gap = np.abs(np.cumsum(first) / n - np.cumsum(~first) / m).max()
        count += gap >= statistic - 1e-9  # gaps are fractions with denominators up to nm
        total += 1
    return count / total


@pytest.mark.parametrize(("n", "m"), [(1, 1), (3, 3), (4, 6), (5, 3), (2, 7)])
def test_tail_is_the_share_of_interleavings(n: int, m: int) -> None:
    reachable = sorted({abs(i / n - j / m) for i in range(n + 1) for j in range(m + 1)})
    for statistic in reachable:
        expected = math.log(enumerated_tail(n, m, statistic))
        assert log_ks_tail(n, m, statistic) == pytest.approx(expected, abs=ROUNDING)


def test_complete_separation_at_the_size_of_tofu() -> None:
    result = forget_quality(np.arange(400.0), np.arange(400.0) + 1000)
    exact = 2 / math.comb(800, 400)
    assert result.statistic == 1.0
    # scipy multiplies 400 factors
    assert result.p_value == pytest.approx(exact, rel=1e-9)
    assert result.log10_p == pytest.approx(math.log10(2) - math.log10(math.comb(800, 400)))


@pytest.mark.parametrize(("n", "m"), [(2000, 2000), (700, 900)])
def test_where_float64_ends_the_logarithm_goes_on(n: int, m: int) -> None:
    result = forget_quality(np.arange(float(n)), np.arange(float(m)) + 1e6)
    expected = math.log10(2) - math.log10(math.comb(n + m, n))
    assert expected < -308
    assert result.log10_p == pytest.approx(expected, rel=1e-10)
    assert result.p_value == pytest.approx(0.0, abs=1e-300)


@given(st.integers(0, 2**32 - 1), st.integers(2, 60), st.integers(2, 60), st.floats(0.0, 3.0))
def test_quality_is_the_exact_test(seed: int, n: int, m: int, shift: float) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.lognormal(size=n), rng.lognormal(shift, size=m)
    result = forget_quality(x, y)
    with warnings.catch_warnings(record=True) as gave_up:
        warnings.simplefilter("always", RuntimeWarning)
        theirs = ks_2samp(x, y, method="exact").pvalue
    if not gave_up:
        assert result.p_value == pytest.approx(theirs, rel=1e-12)
    assert 10**result.log10_p == pytest.approx(result.p_value, rel=1e-10)
    tail = log_ks_tail(n, m, result.statistic)
    # scipy's own sum for unequal sizes is good to about ten digits
    assert tail == pytest.approx(math.log(result.p_value), abs=1e-9)


def test_the_exact_value_where_scipy_gives_up() -> None:
    """At n = m = 5, D = 1/5 scipy's exact p exceeds 1 by rounding, and it turns to asymptotics."""
    x, y = [1.0, 3.0, 5.0, 7.0, 9.0], [2.0, 4.0, 6.0, 8.0, 10.0]
    assert forget_quality(x, y) == pytest.approx((1.0, 0.2, 0.0), abs=ROUNDING)


@given(st.integers(0, 2**32 - 1))
def test_quality_depends_on_ranks_alone(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.lognormal(size=30), rng.lognormal(0.7, size=40)
    base = forget_quality(x, y)
    for change in (np.log, np.reciprocal):
        moved = forget_quality(change(x), change(y))
        assert moved == pytest.approx(base, rel=ROUNDING)
    assert forget_quality(y, x).p_value == pytest.approx(base.p_value, rel=1e-9)
