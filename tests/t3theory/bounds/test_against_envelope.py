"""The bounds and closed forms against the certified worst case."""

from __future__ import annotations

import numpy as np
import pytest

from t3theory import Mixture
from t3theory.bounds import guarantee, necessity_instance
from t3theory.envelope import worst_case
from t3theory.temperature import optimal_temperature, spike_worst_forget_error

QUANTITIES = ("forget_error", "retain_error")


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_no_guarantee_is_below_an_attained_error(seed, temperature):
    rng = np.random.default_rng(seed)
    retain, forget = rng.dirichlet(np.ones(5), 2)
    m = Mixture(retain, forget, rng.uniform(0.05, 0.9), 10 ** rng.uniform(-2, 0, 5))
    delta = 10 ** rng.uniform(-4, -0.5)
    for quantity in QUANTITIES:
        attained = worst_case(m, delta, temperature=temperature, quantity=quantity).lower
        values = [b.value for b in guarantee(m, delta, temperature) if b.quantity == quantity]
        assert attained <= min(values) * (1 + 1e-9)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 8.0])
@pytest.mark.parametrize("h", [10.0, 1e5])
def test_leakage_bound_is_the_worst_case_of_the_disjoint_spike(h, temperature):
    m, _ = necessity_instance(h, 0.1, epsilon=0.0)
    (q,) = (b.value for b in guarantee(m, 0.01, temperature) if b.letter == "Q")
    found = worst_case(m, 0.01, temperature=temperature, quantity="forget_error")
    # certificates are promised to 1e-3
    assert found.lower == pytest.approx(q, rel=1e-3)
    assert found.lower <= q * (1 + 1e-9)
    assert q <= found.upper * (1 + 1e-9)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_closed_form_of_the_overlapping_spike(temperature):
    h, gamma, delta = 1000.0, 0.1, 0.01
    m = Mixture([1 / h, 1 - 1 / h], [1.0, 0.0], gamma, [1 / h, 1 - 1 / h])
    exact = spike_worst_forget_error(h, gamma, delta, temperature)
    found = worst_case(m, delta, temperature=temperature, quantity="forget_error")
    assert found.lower * (1 - 1e-9) <= exact <= found.upper * (1 + 1e-9)


def test_temperature_by_the_envelope():
    m = Mixture([1e-3, 0.999], [1.0, 0.0], 0.1, [1e-3, 0.999])

    def worst(t: float) -> float:
        return worst_case(m, 0.01, temperature=t, quantity="forget_error").upper

    choice = optimal_temperature(worst, temperatures=(1.0, 16.0), grid=9)
    assert choice.forget < 0.1 * worst(1.0)
    exact = optimal_temperature(
        lambda t: spike_worst_forget_error(1000.0, 0.1, 0.01, t), temperatures=(1.0, 16.0)
    )
    assert choice.forget == pytest.approx(exact.forget, rel=2e-3)
