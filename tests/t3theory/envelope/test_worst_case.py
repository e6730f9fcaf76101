"""Statement I: upper holds for every classifier, lower is attained, and they nearly meet."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from t3theory import (
    AssumptionError,
    Mixture,
    bayes_classifier,
    excess_risk,
    forget_bias,
    forget_error,
    retain_bias,
    retain_error,
    temper_then_tilt,
)
from t3theory.bounds import guarantee
from t3theory.envelope import worst_case

QUANTITIES = {"forget_error": forget_error, "retain_error": retain_error}
BIASES = {"forget_error": forget_bias, "retain_error": retain_bias}


def error(m, f, temperature, quantity, scale=1.0):
    log_q = temper_then_tilt(m.log_density, np.log(f), temperature, scale, m.log_reference)
    return float(QUANTITIES[quantity](m, log_q))


def overlapping(rng, n, gamma=0.1):
    """All atoms shared, densities within a few orders of magnitude."""
    return Mixture(
        rng.dirichlet(np.ones(n)), rng.dirichlet(np.full(n, 0.5)), gamma, rng.gamma(1, size=n) / 10
    )


def spike(h, atoms=1, gamma=0.1):
    """Statement F's instance: P_f uniform on a set of measure 1/h, apart from P_r."""
    return Mixture(
        np.r_[np.full(atoms, 1 / atoms), 0.0],
        np.r_[np.zeros(atoms), 1.0],
        gamma,
        np.r_[np.full(atoms, 1 / atoms), 1 / h],
    )


def feasible(m, delta, rng, count):
    """Random classifiers scaled along log-odds towards f* until their risk is at most δ.

    Shape (count, n): all are bisected at once.
    """
    star = np.clip(np.asarray(bayes_classifier(m)), 1e-15, 1 - 1e-15)
    centre = np.log(star / (1 - star))
    step = rng.normal(size=(count, m.size)) * 10.0 ** rng.uniform(-1, 2, (count, m.size))
    low, high = np.zeros((count, 1)), np.ones((count, 1))
    for _ in range(25):
        scale = (low + high) / 2
        x = centre + scale * step
        log_f, log_g = -np.logaddexp(0, -x), -np.logaddexp(0, x)
        kl = star * (np.log(star) - log_f) + (1 - star) * (np.log(1 - star) - log_g)
        fits = (kl @ np.asarray(m.probabilities) <= delta)[:, None]
        low, high = np.where(fits, scale, low), np.where(fits, high, scale)
    f = np.clip(1 / (1 + np.exp(-(centre + low * step))), 1e-300, 1 - 2.0**-53)
    return [g for g in f if float(excess_risk(m, g)) <= delta]


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("n", [2, 3, 4, 50])
def test_meets_itself_on_generic_instances(n, temperature, quantity):
    m = overlapping(np.random.default_rng(n), n)
    c = worst_case(m, 0.01, temperature, quantity)
    assert float(excess_risk(m, c.witness)) <= 0.01
    # 1e-12: the same formula, from float64 sums in another order.
    assert c.lower == pytest.approx(error(m, c.witness, temperature, quantity), rel=1e-12)
    assert 0 <= c.gap < 1e-3


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize(("temperature", "scale"), [(1.0, 1.0), (4.0, 1.0), (2.0, 0.5), (2.0, 2.0)])
def test_no_random_classifier_exceeds_upper(temperature, scale, quantity):
    rng = np.random.default_rng(7)
    m = overlapping(rng, 3)
    # A loose tolerance: s ≠ 1 is slow, and validity must not depend on where the search stops.
    c = worst_case(m, 0.05, temperature, quantity, scale, tolerance=0.05, nodes=10)
    tried = feasible(m, 0.05, rng, 1000)
    assert len(tried) > 900
    reached = max(error(m, f, temperature, quantity, scale) for f in tried)
    assert reached <= c.upper
    # The search is real: it comes to within a third of the worst case.
    assert reached >= 0.67 * c.lower


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_agrees_with_a_fine_grid_over_two_atoms(temperature, quantity):
    m = overlapping(np.random.default_rng(3), 2)
    c = worst_case(m, 0.02, temperature, quantity)
    grid = np.linspace(0, 1, 1501)[1:-1]
    f = np.stack(np.meshgrid(grid, grid, indexing="ij"), axis=-1)
    a = np.asarray(bayes_classifier(m))
    risk = ((a * np.log(a / f) + (1 - a) * np.log((1 - a) / (1 - f))) * m.probabilities).sum(-1)
    f = f[risk <= 0.02]
    p = np.exp(m.log_density / temperature) * f
    q = p / (p * m.reference).sum(-1, keepdims=True)
    density = m.retain / m.reference
    if quantity == "forget_error":
        values = (m.forget * np.abs(density - q)).sum(-1)
    else:
        values = (m.retain * np.log(density / q)).sum(-1)
    assert values.max() <= c.upper
    # The grid's step of 1/1500 and the risk left unspent cost up to a few per cent of δ.
    assert values.max() >= 0.95 * c.lower


@pytest.mark.parametrize("h", [10.0, 1e3, 1e6])
def test_reaches_the_necessity_instance(h):
    gamma, delta = 0.1, 0.01
    c = worst_case(spike(h), delta, temperature=1.0)
    kept = math.exp(-delta / gamma)
    exact = gamma * (1 - kept) * h / (1 - gamma * kept)
    # 1e-5: the multiplier that spends the budget is found to 1e-6, and δ enters linearly.
    assert c.lower >= exact * (1 - 1e-5)
    assert c.upper >= exact


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_below_the_bounds_for_all_classifiers(temperature):
    rng = np.random.default_rng(11)
    for m in (overlapping(rng, 5), spike(100.0, 4)):
        bounds = guarantee(m, 0.01, temperature)
        assert bounds
        for bound in bounds:
            assert worst_case(m, 0.01, temperature, bound.quantity).lower <= bound.value * (
                1 + 1e-9
            )


def test_retain_error_of_guidance_is_at_most_b():
    m = overlapping(np.random.default_rng(5), 30)
    for delta in (1e-6, 1e-3, 1.0):
        c = worst_case(m, delta, 1.0, "retain_error")
        assert c.lower <= delta / 0.9
        assert c.upper <= delta / 0.9 * (1 + 1e-14)


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_grows_with_the_budget(quantity):
    m = overlapping(np.random.default_rng(2), 6)
    found = [worst_case(m, d, 2.0, quantity) for d in (0.0, 1e-6, 1e-4, 1e-2, 1.0)]
    bias = float(BIASES[quantity](m, 2.0))
    assert found[0].lower == pytest.approx(bias, rel=1e-12)
    for small, large in itertools.pairwise(found):
        assert small.lower <= large.upper


def test_equal_atoms_cost_what_one_does():
    one, many = spike(1e3, 2), spike(1e3, 20)
    few = Mixture([0.4, 0.6], [0.7, 0.3], 0.2, [0.5, 0.5])
    split = Mixture(np.repeat([0.2, 0.3], 2), np.repeat([0.35, 0.15], 2), 0.2, np.full(4, 0.25))
    for a, b in ((one, many), (few, split)):
        # Splitting an atom can only add classifiers; here symmetry keeps the optimum.
        x, y = worst_case(a, 0.01), worst_case(b, 0.01)
        assert x.lower <= y.upper
        assert y.lower == pytest.approx(x.lower, rel=1e-3)


@settings(max_examples=15)
@given(
    h=st.floats(1, 1e6),
    delta=st.floats(1e-6, 1.0),
    gamma=st.sampled_from([1e-12, 1e-3, 0.1, 0.5, 0.9]),
    temperature=st.sampled_from([1.0, 1.5, 2.0, 8.0, 100.0]),
)
def test_extreme_spikes_stay_finite_and_tight(h, delta, gamma, temperature):
    m = spike(h, 3, gamma)
    c = worst_case(m, delta, temperature)
    assert math.isfinite(c.upper)
    assert float(excess_risk(m, c.witness)) <= delta
    assert c.lower <= c.upper
    assert c.lower >= float(forget_bias(m, temperature)) * (1 - 1e-12)


@pytest.mark.parametrize("delta", [-1e-9, math.nan, math.inf])
def test_refuses_a_budget_that_is_none(delta):
    with pytest.raises(AssumptionError, match="delta"):
        worst_case(spike(10.0), delta)


def test_no_guidance_is_silent_where_supports_are_apart():
    """f⁰ = 1 whatever f: all classifiers give the tempered model."""
    found = worst_case(spike(10.0), 0.1, guidance_scale=0.0)
    assert 0 < found.lower <= found.upper <= found.lower * (1 + 1e-9)


def test_refuses_an_unknown_quantity():
    with pytest.raises(AssumptionError, match="retain_error"):
        worst_case(spike(10.0), 0.1, quantity="forget")


@pytest.mark.parametrize("n", [1000, 5000])
@pytest.mark.parametrize("delta", [1e-6, 1e-3])
def test_forget_error_of_guidance_is_tight_where_up_and_down_are_worth_the_same(n, delta):
    """Without bias and at small δ every atom ties: halving N closes it, splitting atoms does not."""
    rng = np.random.default_rng(3)
    retain, forget = (x / x.sum() for x in rng.uniform(0.5, 1.5, (2, n)))
    m = Mixture(retain, forget, 0.1, np.full(n, 1 / n))
    assert worst_case(m, delta, 1.0).gap < 1e-3


def test_a_thousand_distinct_atoms():
    m = overlapping(np.random.default_rng(1), 1000)
    for quantity in QUANTITIES:
        assert worst_case(m, 0.01, 2.0, quantity).gap < 1e-3


@pytest.mark.parametrize(("n", "delta", "worst"), [(2, 1.0, 1.0), (4, 3.0, 1.5)])
def test_equal_laws_on_equal_atoms_leave_an_error_on_one_atom_apart(n, delta, worst):
    """Merged into one kind no start but f* was left, whose error is 0: all mass goes on one atom."""
    even = np.full(n, 1 / n)
    found = worst_case(Mixture(even, even, 0.99, even), delta, 1.0)
    assert found.lower == pytest.approx(worst, rel=1e-3)
    assert found.gap < 1e-3


@pytest.mark.parametrize("n", [2, 3, 7])
def test_one_atom_apart_closes_the_gap_of_uniform_laws_at_every_budget(n):
    even = np.full(n, 1 / n)
    for gamma, delta in itertools.product((0.05, 0.5), (1e-6, 1e-2, 0.5)):
        m = Mixture(even, even, gamma, even)
        assert worst_case(m, delta, 1.0).gap < 1e-3


@pytest.mark.parametrize("delta", [1e-4, 1e-8, 1e-10, 1e-14])
def test_small_budgets_are_spent_where_supports_are_apart(delta):
    """f = 1 − λ/c on a forget atom: the risk falls to 0 between multipliers a part δ apart."""
    assert worst_case(Mixture([1.0, 0.0], [0.0, 1.0], 0.1), delta, 1.0).gap < 1e-3
    m = Mixture([0.8, 0.2, 0, 0], [0, 0, 0.8, 0.2], 0.9, [1e-2, 0.3, 1e-5, 1e-5])
    assert worst_case(m, delta, 1.0).gap < 1e-3


def test_one_atom_is_raised_where_it_adds_least_to_the_normaliser():
    """γ near 1, s < 1, T = 50: another atom moves more of the forget data's mass, and N with it."""
    m = Mixture(
        [0.37964892, 0.19621627, 0.04448589, 0.37964892],
        [0.49307725, 0.23915322, 0.26776953, 1e-100],
        1 - 1e-9,
        [4.52494974, 47.2087807, 0.0233989223, 0.00101640224],
    )
    assert worst_case(m, 4.44e-4, 50.0, "forget_error", 0.4, nodes=30).lower > 7.7
