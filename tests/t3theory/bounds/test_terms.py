"""The parts of bounds, each against the number it bounds, where it is nearly that number."""

from __future__ import annotations

import math
import sys

import mpmath
import numpy as np
import pytest
from hypothesis import given
from strategies import instances

from t3theory import AssumptionError, Mixture, bayes_classifier, excess_risk
from t3theory.bounds import evaluate, guarantee
from t3theory.bounds.leakage import Leakage, _largest, worst_leak
from t3theory.bounds.pinsker import (
    exp_or_inf,
    gap_bound,
    kl_inverse,
    local_pinsker,
    log_sum,
    weighted_gap_bound,
)
from t3theory.bounds.tempered import _over_means
from t3theory.bounds.terms import Terms

mpmath.mp.dps = 50
APART = Mixture([0.5, 0.5, 0.0], [0.0, 0.0, 1.0], 0.1, [1e-4, 1e-4, 1e-4])


def normaliser(m: Mixture, f: np.ndarray, t: float) -> float:
    density = np.asarray(m.probabilities / m.reference)
    return float(np.sum(m.reference * density ** (1 / t) * f))


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
@pytest.mark.parametrize("low", [0.9, math.exp(-3)])
def test_normaliser_floor_is_below_and_near(temperature, low):
    """f constant on the retain data: N̂ = N* e^{−δ/(1−γ)}, the floor at most e lower."""
    f = np.asarray([low, low, 0.0])
    terms = Terms(APART, float(excess_risk(APART, f)), temperature)
    true = normaliser(APART, f, temperature)
    assert true / (math.e * 1.000001) <= terms.normaliser_floor <= true * (1 + 1e-12)


@given(instances(max_atoms=12, tiny=False))
def test_normaliser_parts(instance):
    m, f, t = instance
    delta = float(excess_risk(m, f))
    if not math.isfinite(delta):
        return
    terms = Terms(m, delta, t)
    true, oracle = normaliser(m, f, t), terms.oracle_normaliser
    slack = 1e-10 * max(true, oracle)  # a dozen terms, logarithms of size up to 40
    assert terms.normaliser_floor <= true + slack
    for gap in (terms.normaliser_gap, terms.holder_gap, terms.slow_holder_gap):
        assert abs(true - oracle) <= gap + slack


@pytest.mark.parametrize(("temperature", "power"), [(1.0, 2.0), (1.5, 2.0), (2.0, 2.0), (4.0, 4.0)])
def test_slow_holder_gap_has_the_stated_exponent(temperature, power):
    terms = Terms(APART, 1e-6, temperature)
    mass = 3e-4 ** (1 - 1 / temperature)
    assert terms.slow_holder_gap == pytest.approx(mass * 5e-7 ** (1 / power), rel=1e-12)
    # on disjoint supports the fast form has δ itself as first moment
    first = 1e-6 if temperature == 1 else None
    assert terms.holder_gap <= terms.slow_holder_gap
    if first:
        assert terms.holder_gap == pytest.approx(first, rel=1e-12)


def test_holder_gap_is_attained_up_to_a_constant_above_two():
    """Retain mass m at f = 1/2: N̂ − N* and D_N fall at the same rate δ^{1/T}, T = 4."""
    ratios = []
    for mass in (1e-4, 1e-8, 1e-12):
        m = Mixture([1 - mass, mass, 0.0], [0.0, 0.0, 1.0], 0.1)
        f = np.asarray([1.0, 0.5, 0.0])
        terms = Terms(m, float(excess_risk(m, f)), 4.0)
        ratios.append((terms.oracle_normaliser - normaliser(m, f, 4.0)) / terms.slow_holder_gap)
    assert min(ratios) > 0.1
    assert max(ratios) < 1


@pytest.mark.parametrize("a", [0.0, 1e-12, 0.3, 0.999])
@pytest.mark.parametrize("k", [1e-14, 1e-3, 0.7, 30.0])
def test_kl_inverse_inverts(a, k):
    def kl(b: float) -> float:
        first = a * math.log(a / b) if a else 0.0
        return first + (1 - a) * (math.log1p(-a) - math.log1p(-b))

    high, low = kl_inverse(a, k), kl_inverse(a, k, upper=False)
    assert 0 <= low <= a <= high <= 1
    # a KL formed by subtraction is known to 1e-15 or so
    if high < 1 - 1e-9:
        assert kl(high) == pytest.approx(k, rel=1e-6, abs=1e-15)
    if low > 1e-300:
        assert kl(low) == pytest.approx(k, rel=1e-6, abs=1e-15)


def test_weighted_gap_takes_the_least_of_its_three_forms():
    m = Mixture([0.5, 0.5], [0.5, 0.5], 0.5)
    zero = np.zeros(2)
    assert weighted_gap_bound(m, zero, 0.0) == 0.0
    assert weighted_gap_bound(m, zero, 1e-4) == pytest.approx(math.sqrt(5e-5))
    assert weighted_gap_bound(APART, np.zeros(3), 1e-4) == pytest.approx(1e-4)
    assert weighted_gap_bound(APART, np.zeros(3), 100.0) == pytest.approx(1.0)


EVEN = Mixture([0.8, 0.2], [0.8, 0.2], 0.5)
ASIDE = Mixture([1.0, 0.0], [0.0, 1.0], 0.3)
TILTED = Mixture([0.5, 0.5], [0.5, 0.5], 0.1)


@pytest.mark.parametrize(
    ("mixture", "weight", "f"),
    [
        # Pinsker's form where f* = 1/2 and f is moved in proportion to the weight
        (EVEN, [1.0, 3.0], [0.5 + 1e-5, 0.5 + 3e-5]),
        # the root of the local form where f* = 0.9, its linear part for disjoint supports
        (TILTED, [1.0, 3.0], [0.9 + 1e-9, 0.9 + 3e-9]),
        (ASIDE, [1.0, 3.0], [1.0 - 1e-16, 1e-6]),
        # all of f* lost
        (ASIDE, [1.0, 1e-6], [1e-300, 1e-6]),
    ],
)
def test_every_form_of_the_weighted_sum_is_attained(mixture, weight, f):
    """So that D with any of its constants 1 % smaller is false."""
    f, weight = np.asarray(f), np.asarray(weight)
    distance = mixture.probabilities * np.abs(f - np.asarray(bayes_classifier(mixture)))
    bound = weighted_gap_bound(mixture, np.log(weight), float(excess_risk(mixture, f)))
    assert 0.99 <= float(np.sum(weight * distance)) / bound <= 1 + 1e-6  # f − f* to 1e-16/1e-9


def test_weights_where_nothing_is_are_not_read():
    m = Mixture([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], 0.5)
    for silly in (700.0, -np.inf):  # the largest weight counts here, δ being the least form
        assert weighted_gap_bound(m, np.asarray([0.0, 0.0, silly]), 1e-4) == pytest.approx(1e-4)
    assert weighted_gap_bound(m, np.full(3, -np.inf), 1e-4) == 0.0


def test_weights_of_another_shape_are_refused_by_it():
    with pytest.raises(AssumptionError, match=r"^log_weight must have shape \(3,\), got \(2,\)$"):
        weighted_gap_bound(APART, np.zeros(2), 0.1)


def test_leak_where_all_retain_data_are_among_the_forget_data():
    """Nothing outside to lower: all of δ goes into raising f."""
    assert worst_leak(0.3, 0.1, 0.0, 0.05) == (kl_inverse(0.3, 0.5), 0.0)


def test_a_leak_that_underflows_is_the_least_number():
    """And 0 where there is no risk, as kl⁻¹(a; 0) is a."""
    assert Leakage(Terms(APART, 5e-324)).leak(0.4) == sys.float_info.min
    assert Leakage(Terms(APART, 0.0)).leak(0.4) == 0.0


@pytest.mark.parametrize("shape", [0.5, 2.0])
@pytest.mark.parametrize("slope", [0.2, 0.7, 1.0, 3.0])
def test_largest_of_an_increasing_function_less_a_line(shape, slope):
    """θ^{1/2} and θ² over [0, 1], whose maxima are known; nothing beyond is asked for."""

    def function(theta: float) -> float:
        assert 0 <= theta <= 1
        return theta**shape

    inside = min(1.0, (2 * slope) ** -2.0) if shape < 1 else 1.0
    exact = max(inside**shape - slope * inside, 0.0)
    found = _largest(function, slope)
    assert (
        exact <= found <= exact * 1.002 + 1e-15
    )  # where it is 0, the rounding of what is added and taken off


def test_search_for_the_largest_stops_at_a_fifth_of_a_percent():
    """√θ − 0.7θ: near enough after 180 of the 1,000 rounds it may take."""
    asked = []

    def function(theta: float) -> float:
        asked.append(theta)
        return math.sqrt(theta)

    assert _largest(function, 0.7) == pytest.approx(1 / 2.8, rel=2e-3)
    assert len(asked) < 300


def test_a_share_below_the_floats_costs_nothing():
    """γθ = 1e-310: all of it may be raised, and all of the risk is left."""
    terms = Terms(Mixture([1.0, 0.0], [0.0, 1.0], 1e-300), 0.1)
    assert Leakage(terms).split(1e-10) == (1.0, 0.1)


def test_mean_of_the_bayes_classifier_is_at_most_one():
    """f* = 1 to rounding: exp of the log-sum of ten tenths is 1 + 4e-16."""
    law = np.full(10, 0.1)
    leakage = Leakage(Terms(Mixture(law, law, 1e-300), 0.1))
    assert leakage.prior <= 1


def test_which_statements_apply():
    def letters(t: float) -> set[str]:
        return {b.letter for b in evaluate(APART, np.asarray([0.9, 0.8, 0.1]), t)}

    assert letters(1.0) == set("ABCEFGHQ")
    assert letters(2.0) == set("FGHQ")
    assert letters(0.5) == set("FQ")
    # a classifier that is surely wrong somewhere has infinite risk: only the lower bound is left
    assert {b.letter for b in evaluate(APART, np.asarray([1.0, 1.0, 1.0]), 2.0)} == {"F"}
    assert all(not b.needs_classifier for b in guarantee(APART, 0.1))


def test_gaps_by_hand():
    assert local_pinsker(0.2, 0.02) == pytest.approx(math.sqrt(2 * 0.2 * 0.8 * 0.02) + 0.02)
    assert local_pinsker(0.0, 0.3) == 0.3
    assert gap_bound(0.25, 0.02) == pytest.approx(0.1)  # Pinsker: √0.01
    assert gap_bound(0.01, 0.02) == pytest.approx(0.04)  # local: √(0.0004) + 0.02
    assert gap_bound(0.25, 8.0) == 1.0
    assert gap_bound(0.0, 0.0) == 0.0


@pytest.mark.parametrize("k", [1e-300, 1e-12, 0.3, 40.0, 800.0])
def test_kl_inverse_is_rounded_outwards_at_the_ends(k):
    """a = 0 gives 1 − e^{−k} from above, a = 1 gives e^{−k} from below, each by at most two steps."""
    k_big = mpmath.mpf(k)
    high, low = kl_inverse(0.0, k), kl_inverse(1.0, k, upper=False)
    assert min(-mpmath.expm1(-k_big), 1) <= high <= min(-mpmath.expm1(-k_big) * (1 + 5e-16), 1)
    assert mpmath.exp(-k_big) * (1 - 5e-16) - mpmath.mpf(5e-324) <= low <= mpmath.exp(-k_big)
    assert (kl_inverse(0.0, k, upper=False), kl_inverse(1.0, k)) == (0.0, 1.0)


@pytest.mark.parametrize("a", [1e-300, 1e-9, 0.02, 0.5, 0.9, 1 - 1e-12])
@pytest.mark.parametrize("k", [1e-9, 1e-2, 0.5, 3.0, 100.0])
def test_kl_inverse_against_fifty_digits(a, k):
    """The root itself, by the KL at its neighbours 1e-12 to either side (of b or of 1 − b)."""

    def kl(b: mpmath.mpf) -> mpmath.mpf:
        x = mpmath.mpf(a)
        return x * mpmath.log(x / b) + (1 - x) * mpmath.log((1 - x) / (1 - b))

    width = mpmath.mpf(1e-12)
    high = mpmath.mpf(kl_inverse(a, k))
    if high < 1 - 1e-9:  # nearer to 1 a float has no digits left for 1 − b
        step = width * (high + mpmath.sqrt(high * mpmath.mpf(k)) * 1e-3)
        assert kl(high - step) <= k <= kl(high + step)
    low = mpmath.mpf(kl_inverse(a, k, upper=False))
    if low > 0:
        assert kl(low * (1 + width * 10)) <= k <= kl(low * (1 - width * 10))


def test_everything_is_within_no_bound_and_nothing_within_none():
    for a in (0.0, 0.3, 1.0):
        assert kl_inverse(a, math.inf) == 1.0
        assert kl_inverse(a, math.inf, upper=False) == 0.0
        assert kl_inverse(a, 0.0) == pytest.approx(a, rel=1e-15)
        assert kl_inverse(a, 0.0, upper=False) == pytest.approx(a, rel=1e-15)


def test_exponential_saturates():
    assert exp_or_inf(1.0) == math.e
    assert exp_or_inf(-800.0) == sys.float_info.min  # e^−800 is positive, and less than this
    assert exp_or_inf(-math.inf) == 0.0
    assert exp_or_inf(709.5) == exp_or_inf(1e6) == math.inf
    assert exp_or_inf(708.9) < math.inf


def test_sum_of_exponentials():
    assert log_sum(math.log(3), math.log(4)) == pytest.approx(math.log(7), rel=1e-15)
    assert log_sum(-math.inf, 2.0) == log_sum(2.0, -math.inf) == 2.0
    assert log_sum(-math.inf, -math.inf) == -math.inf


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_an_atom_of_no_mass_changes_no_bound(temperature):
    """Densities of 20 to 80 beside it: it would have the largest p^{1/T−1}, were it counted."""
    retain, forget, mu = [0.6, 0.4, 0.0], [0.0, 0.2, 0.8], [0.01, 0.02, 0.01]
    some = Mixture(retain, forget, 0.3, mu)
    more = Mixture([*retain, 0.0], [*forget, 0.0], 0.3, [*mu, 1.0])
    for a, b in zip(
        guarantee(some, 0.1, temperature), guarantee(more, 0.1, temperature), strict=True
    ):
        assert (a.letter, a.variant) == (b.letter, b.variant)
        assert b.value == pytest.approx(a.value, rel=1e-12), a


def test_jensen_where_estimate_and_truth_are_both_nothing():
    """p_r = 0 on the forget data, f = 0 on one of them: p̂ = (0.2·½)/(0.6 + 0.2·½) on the other."""
    m = Mixture([1.0, 0.0, 0.0], [0.0, 0.5, 0.5], 0.4)
    (jensen,) = (b for b in evaluate(m, [1.0, 0.5, 0.0]) if b.variant == "Jensen")
    assert jensen.value == pytest.approx(0.5 * 0.1 / 0.7, rel=1e-14)


def test_the_floor_of_the_normaliser_allows_for_rounding():
    """At δ = 0 it is N* itself, of which float64's exponentials lose 2e-14 here."""
    rng = np.random.default_rng(2877)
    n, width = int(rng.integers(2, 40)), 10 ** rng.uniform(-1, 2)
    retain, forget, reference = (np.exp(rng.normal(0, width, n)) for _ in range(3))
    m = Mixture(retain / retain.sum(), forget / forget.sum(), 1e-6, reference)
    exact = mpmath.mpf(0)
    for columns in zip(m.retain, m.forget, m.reference, strict=True):
        r, f, u = (mpmath.mpf(float(x)) for x in columns)
        p = (1 - mpmath.mpf(m.gamma)) * r + mpmath.mpf(m.gamma) * f
        exact += u * (p / u) ** (mpmath.mpf(1) / 8) * (1 - mpmath.mpf(m.gamma)) * r / p
    floor = Terms(m, 0.0, 8.0).normaliser_floor
    assert 1 - 1e-12 < floor / exact <= 1


def test_cells_of_means_cost_half_a_percent_where_the_largest_lies_inside():
    """Square 1, cross 0, other 0.1, rise 0.5: φ peaks inside [0, 1], the second part rises."""
    m = np.linspace(0, 1, 200_001)
    phi = 1 + 2 * m * 0.5 * (1 - m) + 0.1 * m**2
    true = float(np.max(np.sqrt(2 * phi * 0.1) + 0.1 * (1 + m)))
    found = _over_means((1.0, 0.0, 0.1, 0.5), (math.sqrt(0.2), 0.1, 0.1))
    assert 1 <= found / true < 1.006


def test_the_largest_mean_within_a_cell():
    """φ(m) = 0.5 + 0.4m − 0.6m², largest at 1/3: in one cell, and in the second of four."""
    moments = 0.5, 0.2, 0.2, 0.4
    for cells in (1, 4):
        found = _over_means(moments, (1.0, 0.0, 0.0), cells=cells)
        # above, by what is added for rounding
        assert 0 <= found - math.sqrt(0.5 + 0.2 / 3) <= 1e-10
