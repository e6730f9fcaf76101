"""P: what excess risk says of contexts that no retain data has, and what it cannot say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from t3theory.contexts import ContextMixture

MIXTURE = ContextMixture([[0.5, 0.3, 0.2], [0, 0, 0]], [[0, 0, 0], [0.1, 0.2, 0.7]], 0.1)


@given(st.lists(st.floats(0.01, 1), min_size=3, max_size=3), st.floats(1, 10))
def test_vanishing_risk_reaches_every_limit(weights, temperature):
    """Any conditional on the forget context is the estimate of classifiers with δ → 0."""
    wanted = np.asarray(weights) / sum(weights)
    base = np.exp(MIXTURE.log_conditional[1])
    shape = wanted / base ** (1 / temperature)
    for size in (1e-3, 1e-6, 1e-9):
        f = np.asarray([np.ones(3), size * shape / shape.max()])
        assert MIXTURE.excess_risk(f) <= 2 * size
        reached = np.exp(MIXTURE.estimate(f, temperature)[1])
        assert reached == pytest.approx(wanted, rel=1e-12)


@given(st.floats(0, 5), st.floats(1, 10), st.integers(0, 2**31))
def test_bounded_variation_of_log_f_keeps_to_the_tempered_base(variation, temperature, seed):
    """If log f varies by at most R within a context, log P̂(·|c) is within R of the base's."""
    rng = np.random.default_rng(seed)
    f = np.exp(-1 - variation * rng.random((2, 3)))
    base = MIXTURE.estimate(np.full((2, 3), 0.5), temperature)
    seen = MIXTURE.log_conditional > -np.inf
    moved = np.abs(np.where(seen, MIXTURE.estimate(f, temperature) - base, 0.0))
    assert moved.max() <= variation + 1e-12


def test_variation_bound_is_attained():
    """A rare outcome at f = 1 among others at e^{−R} moves by nearly R: 1 % less is false."""
    m = ContextMixture([[1.0, 0.0], [0, 0]], [[0, 0], [1e-9, 1 - 1e-9]], 0.1)
    f = np.asarray([[1.0, 1.0], [1.0, np.exp(-2.0)]])
    moved = m.estimate(f, 1.0)[1, 0] - m.estimate(np.ones((2, 2)), 1.0)[1, 0]
    assert 0.99 <= moved / 2 <= 1
