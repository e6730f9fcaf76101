"""Bounds that need δ only are within 2 of the worst case on the whole spike family."""

from __future__ import annotations

import numpy as np
import pytest

from t3theory import Mixture
from t3theory.bounds import guarantee
from t3theory.envelope import worst_case

CLOSED = [
    # h, γ, δ, T
    (1.0, 0.1, 1e-3, 1.0),
    (1.1, 0.1, 0.05, 8.0),
    (3.0, 0.1, 0.05, 2.0),
    (1e3, 0.5, 1e-3, 2.0),
    (1e6, 0.1, 1.0, 8.0),
]
DUAL = [  # where every closed form exceeds 2
    (1.96, 0.01, 0.217, 8.0),
    (1.32, 0.01, 0.449, 1.5),
    (1.73, 0.1, 0.289, 2.0),
    (2.49, 0.1, 0.112, 1.0),
]


def spike(h: float, gamma: float, atoms: int = 8) -> Mixture:
    """P_r uniform on measure 1, P_f on a part of measure 1/h, each part in equal atoms."""
    on, off = np.full(atoms, 1 / h / atoms), np.full(atoms, (1 - 1 / h) / atoms)
    retain = np.r_[on, off] if h > 1 else on
    forget = np.where(np.arange(retain.size) < atoms, 1 / atoms, 0.0)
    return Mixture(retain, forget, gamma, retain)


@pytest.mark.parametrize(("h", "gamma", "delta", "temperature"), CLOSED)
def test_within_two_of_the_worst_case(h, gamma, delta, temperature):
    m = spike(h, gamma)
    worst = worst_case(m, delta, temperature=temperature)
    bounds = guarantee(m, delta, temperature)
    least = min(b.value for b in bounds if b.quantity == "forget_error")
    assert worst.lower * (1 - 1e-9) <= least <= 2 * worst.lower


@pytest.mark.parametrize(("h", "gamma", "delta", "temperature"), DUAL)
def test_dual_without_branching_is_within_two_where_closed_forms_are_not(
    h, gamma, delta, temperature
):
    m = spike(h, gamma)
    worst = worst_case(m, delta, temperature=temperature)
    dual = worst_case(m, delta, temperature=temperature, nodes=0)
    bounds = guarantee(m, delta, temperature)
    least = min(b.value for b in bounds if b.quantity == "forget_error")
    assert worst.lower <= dual.upper <= 2 * worst.lower < least
