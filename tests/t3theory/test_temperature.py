"""J: the choice of temperature."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from t3theory import AssumptionError, Mixture, excess_risk
from t3theory.bounds import guarantee, necessity_instance
from t3theory.bounds.leakage import worst_leak
from t3theory.errors import forget_error, retain_bias
from t3theory.estimator import temper_then_tilt
from t3theory.temperature import (
    bound_objective,
    optimal_temperature,
    pareto_front,
    spike_temperature,
    spike_worst_forget_error,
)


@pytest.mark.parametrize("h", [2.0, 30.0, 1e4])
@pytest.mark.parametrize("delta", [1e-4, 1e-2, 0.5, 1.0])
@pytest.mark.parametrize("temperature", [1.0, 3.0, math.inf])
def test_spike_worst_case_against_brute_force(h, delta, temperature):
    """Against a grid of 1.4 million pairs of values, in formulas of its own."""
    gamma = 0.2
    worst = spike_worst_forget_error(h, gamma, delta, temperature)
    spike_density = 1 - gamma + gamma * h
    prior = (1 - gamma) / spike_density
    # cubes put most points near the Bayes classifier, where small δ keeps f
    odds = math.log(prior / (1 - prior)) + 15 * np.linspace(-1, 1, 2001) ** 3
    on = (1 / (1 + np.exp(-odds)))[:, None]
    off = np.exp(-np.r_[0.0, np.geomspace(1e-7, 5, 699)])[None, :]
    kl = prior * np.log(prior / on) + (1 - prior) * np.log((1 - prior) / (1 - on))
    risk = spike_density / h * kl - (1 - gamma) * (1 - 1 / h) * np.log(off)
    high = spike_density ** (1 / temperature) * on
    low = (1 - gamma) ** (1 / temperature) * off
    errors = np.abs(high / (high / h + low * (1 - 1 / h)) - 1)
    found = float(np.max(errors[risk <= delta]))
    assert 0.97 * worst <= found <= worst * (1 + 1e-9)  # a cubic grid's step is below 3 % of it


@pytest.mark.parametrize("h", [10.0, 1e3, 1e6])
@pytest.mark.parametrize("delta", [1e-4, 1e-2, 0.05])
def test_spike_temperature_minimises_the_worst_case(h, delta):
    choice = optimal_temperature(
        lambda t: spike_worst_forget_error(h, 0.1, delta, t), temperatures=(1.0, 200.0)
    )
    at = spike_worst_forget_error(h, 0.1, delta, spike_temperature(h, 0.1, delta))
    assert at <= choice.forget * (1 + 1e-12)  # exact, so nothing found is lower but by rounding


@pytest.mark.parametrize("gamma", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("delta", [1e-3, 0.3, 0.5, 1.0])
def test_best_temperature_against_a_fine_grid(gamma, delta):
    """T* is the least minimiser over T ≥ 1 among 400 up to 10⁴ and T = ∞, whatever h."""
    for h in (1.5, 3.0, 10.0, 1e2, 1e4, 1e6):
        best = spike_temperature(h, gamma, delta)
        values = [
            spike_worst_forget_error(h, gamma, delta, t)
            for t in (*np.geomspace(1, 1e4, 400), math.inf)
        ]
        at = spike_worst_forget_error(h, gamma, delta, best)
        assert at <= min(values) * (1 + 1e-14)  # balanced exactly, but for rounding
        if best > 1:  # below it the error falls with T
            before = 0.999 * best if best < math.inf else 1e4
            assert spike_worst_forget_error(h, gamma, delta, before) > at * (1 + 1e-7)


@pytest.mark.parametrize("h", [1 + 1e-15, 2.0, 1e150, 1e307])
@pytest.mark.parametrize("gamma", [5e-324, 1e-16, 0.5, 1 - 1e-9])
def test_best_temperature_at_the_ends_of_the_floats(h, gamma):
    for delta in (0.0, 5e-324, 1e-300, 1e-16, 0.1, 36.0, 1e308):
        best = spike_temperature(h, gamma, delta)
        near = (1.0, 0.99 * best, 1.01 * best, math.inf)
        values = [spike_worst_forget_error(h, gamma, delta, max(t, 1.0)) for t in near]
        # an error below 1e-14 is rounding of a density of 1
        at = spike_worst_forget_error(h, gamma, delta, best)
        assert 0 <= at <= min(values) * (1 + 1e-9) + 1e-14


@pytest.mark.parametrize("gamma", [0.01, 0.1, 0.5])
def test_no_temperature_is_best_past_the_threshold(gamma):
    """X∞ = 2 where δ = γ log(1/γ) + (1−γ) log(2/(1−γ)): h = 10⁸ is within 1 % of the limit."""
    delta = gamma * math.log(1 / gamma) + (1 - gamma) * math.log(2 / (1 - gamma))
    assert spike_temperature(1e8, gamma, 0.99 * delta) < math.inf
    assert spike_temperature(1e8, gamma, 1.01 * delta) == math.inf
    limit = (1 - gamma) * math.exp((1.5 * delta + gamma * math.log(gamma)) / (1 - gamma))
    assert spike_worst_forget_error(1e8, gamma, 1.5 * delta, math.inf) == pytest.approx(
        limit - 1, rel=1e-5
    )


@pytest.mark.parametrize("alpha", [0.25, 0.5, 1.0])
def test_asymptotic_exponent(alpha):
    """Along δ = γh^{−α}, T* → 1/α; convergence is as 1/log h."""
    for log_h in (100, 280):
        h = 10.0**log_h
        t = spike_temperature(h, 0.1, 0.1 * h**-alpha)
        assert t == pytest.approx(1 / alpha, rel=2 / (alpha * log_h))


@pytest.mark.parametrize("delta", [0.05, 0.23, 0.3, 0.5])
def test_fixed_risk_grows_as_the_logarithm(delta):
    """Before and past the turning point, δ = 0.2303 for γ = 0.1; with the error's own constant."""
    turning = 0.1 * math.log(10)
    leak = -math.expm1(-10 * delta)
    if delta > turning:
        leak = 0.9 * math.exp((delta - turning) / 0.9)
    slope = math.log(2 / leak)
    growth = [spike_temperature(10.0**k, 0.1, delta) for k in (100, 200)]
    assert growth[1] - growth[0] == pytest.approx(100 * math.log(10) / slope, rel=1e-9)
    for h in (1e4, 1e6):
        log_r = math.log((1 + 0.1 * (h - 1)) / 0.9)
        # X instead of its limit, to which it is O(log h/h): t = 2/X·(1 + 1/h) as a vanishes
        b, rest = worst_leak(0.9 / (1 + 0.1 * (h - 1)), 0.1 + 0.9 / h, 0.9 * (1 - 1 / h), delta)
        own = math.log(2 / b) - rest / (0.9 * (1 - 1 / h))
        missing = spike_temperature(h, 0.1, delta) - log_r / own
        assert missing == pytest.approx(-log_r / (h * own**2), rel=100 / h)
        limit = math.log(h / 9) / slope
        assert abs(spike_temperature(h, 0.1, delta) - limit) < 5 * math.log(h) ** 2 / h


@pytest.mark.parametrize("gamma", [0.01, 0.1, 0.5])
def test_within_two_of_the_worst_case_on_the_disjoint_spike(gamma):
    """Q is the worst case there: checked with the classifier that attains it."""
    for h in (1.0, 1e2, 1e4, 1e6):
        for delta in 10.0 ** np.arange(-6.0, 0.1, 1.0):
            for t in (1.0, 2.0, 8.0):
                m, _ = necessity_instance(h, gamma, epsilon=0.0)
                q = min(b.value for b in guarantee(m, delta, t) if b.letter == "Q")
                b = min(-math.expm1(-delta / gamma), 1 - gamma)
                rest = max(delta + gamma * math.log1p(-b), 0.0)
                f = np.asarray([math.exp(-rest / (1 - gamma)), b])
                assert float(excess_risk(m, f)) == pytest.approx(delta, rel=1e-9)
                log_q = temper_then_tilt(m.log_density, np.log(f), t, 1.0, m.log_reference)
                assert float(forget_error(m, log_q)) == pytest.approx(q, rel=1e-9)


def test_budget_and_front():
    m = Mixture([0.6, 0.3, 0.1, 0.0], [0.0, 0.0, 0.1, 0.9], 0.1, [1, 1, 1, 1e-4])
    forget = bound_objective(m, 0.01, "forget_error")

    def bias(t: float) -> float:
        return float(retain_bias(m, t))

    free = optimal_temperature(forget, bias)
    tight = optimal_temperature(forget, bias, retain_budget=0.5 * free.retain)
    assert tight.retain <= 0.5 * free.retain
    assert 1 < tight.temperature < free.temperature
    assert tight.forget >= free.forget
    front = pareto_front(forget, bias, np.linspace(1, 20, 20).tolist())
    assert len(front) > 2
    assert all(a.forget > b.forget and a.retain < b.retain for a, b in pairwise(front))


def test_wrong_use_is_named():
    with pytest.raises(AssumptionError, match="retain_budget must be at least"):
        optimal_temperature(lambda t: t, lambda t: 1.0, retain_budget=0.5)
    with pytest.raises(AssumptionError, match="temperatures must be"):
        optimal_temperature(lambda t: t, temperatures=(2.0, 1.0))
