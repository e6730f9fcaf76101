"""What holds without a search and what one is spared: Jensen's bound, rounding's share, levels."""

from __future__ import annotations

import math
import time

import mpmath
import numpy as np
import pytest

from t3theory import AssumptionError, Mixture
from t3theory.envelope import worst_case

THREE = Mixture([0.5, 0.3, 0.2], [0.1, 0.2, 0.7], 0.2, [1.0, 0.5, 2.0])


def exact(m, temperature, scale, quantity):
    """The Bayes classifier's error in 60 digits."""
    with mpmath.workdps(60):
        gamma, t = mpmath.mpf(m.gamma), mpmath.mpf(temperature)
        columns = zip(m.retain, m.forget, m.reference, strict=True)
        rows = [[mpmath.mpf(float(x)) for x in row] for row in columns]
        mixed = [(1 - gamma) * r + gamma * f for r, f, _ in rows]
        tilted = [
            (p / u) ** (1 / t) * ((1 - gamma) * r / p) ** mpmath.mpf(scale)
            for p, (r, _, u) in zip(mixed, rows, strict=True)
        ]
        total = mpmath.fsum(q * u for q, (_, _, u) in zip(tilted, rows, strict=True))
        pairs = [(r, f, r / u, q / total) for q, (r, f, u) in zip(tilted, rows, strict=True)]
        if quantity == "forget_error":
            return mpmath.fsum(f * abs(p - q) for _, f, p, q in pairs)
        return mpmath.fsum(r * mpmath.log(p / q) for r, _, p, q in pairs)


@pytest.mark.parametrize("quantity", ["forget_error", "retain_error"])
def test_without_a_budget_upper_covers_what_cancels(quantity):
    """Laws and base measure equal to 1e-6 … 1e-14: errors are differences of nearly equal numbers."""
    rng = np.random.default_rng(0)
    for k in range(120):
        even = rng.dirichlet(np.ones(5))
        near = 10.0 ** -rng.uniform(6, 14)
        retain, forget, reference = (even * (1 + near * rng.normal(size=5)) for _ in range(3))
        m = Mixture(retain / retain.sum(), forget / forget.sum(), 0.3, reference)
        temperature, delta, scale = [(2.0, 0.0, 1.0), (1.0, 0.0, 2.0), (4.0, 0.1, 0.0)][k % 3]
        found = worst_case(m, delta, temperature, quantity, scale)
        assert exact(m, temperature, scale, quantity) <= found.upper
        assert found.upper - found.lower <= 1e-12


@pytest.mark.parametrize(
    ("m", "delta", "temperature"),
    [
        (Mixture([1.0, 0.0], [0.0, 1.0], 0.999999), 0.01, 2.0),
        (THREE, 0.01, 0.001),
        (THREE, 500.0, 2.0),
    ],
)
def test_a_retain_error_has_a_finite_bound(m, delta, temperature):
    found = worst_case(m, delta, temperature, "retain_error", nodes=3)
    spread = float(np.ptp(m.log_density)) * (1 + 1 / temperature)
    most = (delta + math.log(2)) / (1 - m.gamma) + spread + 10
    assert 0 < found.lower <= found.upper <= most
    assert math.isfinite(found.gap)


def test_a_budget_beyond_the_floats_is_named():
    with pytest.raises(AssumptionError, match="delta"):
        worst_case(THREE, 1.7e308, 1.0, "retain_error")
    assert worst_case(THREE, 1.7e308, 1.0).gap < 1e-3


@pytest.mark.parametrize(
    ("m", "delta", "quantity"),
    [
        (THREE, 1e-14, "retain_error"),
        (Mixture([1.0, 2.41037e-238], [1.0, 1.11796e-18], 0.3), 0.736, "forget_error"),
    ],
)
def test_nothing_is_searched_below_rounding(m, delta, quantity):
    """300 branchings of 13 and 8 s for a bound that is all rounding."""
    start = time.process_time()
    found = worst_case(m, delta, 1.0, quantity)
    assert time.process_time() - start < 2
    assert found.upper - found.lower < 1e-11


def test_one_atom_falls_among_more_than_are_pinned_at_every_level():
    """All risk on one atom, or on many alike, lacked a tenth of the worst case."""
    rng, half = np.random.default_rng(0), 3000
    retain, forget = np.zeros((2, 2 * half))
    retain[:half], forget[half:] = rng.dirichlet(np.ones(half)), rng.dirichlet(np.full(half, 0.1))
    m = Mixture(retain, forget, 0.3, np.full(2 * half, 0.5 / half))
    assert worst_case(m, 0.1, 2.0, "retain_error").gap < 1e-3
