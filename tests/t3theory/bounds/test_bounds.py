"""Every bound: holds on adversarial instances, is attained or nearly, fails when sharpened."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given
from strategies import instances

from t3theory import AssumptionError, Mixture, bayes_classifier, excess_risk, overlap
from t3theory.bounds import Bound, evaluate, guarantee, necessity_forget_error, necessity_instance
from t3theory.bounds.identity import chain_rule
from t3theory.bounds.pinsker import kl_inverse, weighted_gap_bound
from t3theory.classifier import log_odds_of
from t3theory.errors import forget_error, retain_error
from t3theory.estimator import temper_then_tilt

# Sums of 200 terms and exponentials of log-sums near 700 lose about 200·700·1e-16 = 1.4e-11;
# the divergences add the rounding of log f*, of the same size, relative to δ/(1−γ).
RELATIVE = 1e-9
UPPER = [
    *[("A", v) for v in ("identity", "normaliser")],
    ("B", ""),
    ("C", ""),
    *[("E", v) for v in ("a priori", "known normaliser")],
    *[("G", v) for v in ("slow", "fast", "a priori", "weighted", "centred")],
    *[("H", v) for v in ("slow", "fast", "weighted")],
    ("Q", ""),
]


def true_errors(mixture: Mixture, f: np.ndarray, temperature: float) -> dict[str, float]:
    with np.errstate(divide="ignore"):
        log_f = np.log(f)
    log_q = temper_then_tilt(mixture.log_density, log_f, temperature, 1.0, mixture.log_reference)
    return {
        "retain_error": float(retain_error(mixture, log_q)),
        "forget_error": float(forget_error(mixture, log_q)),
    }


def slack(bound: Bound, mixture: Mixture, delta: float) -> float:
    """What rounding may cost: relative to the largest number the two sides are made of."""
    if bound.quantity == "forget_error":
        # p̂ − p_r is a difference of densities known to 200·1e-16 or so each
        density = float(np.sum(mixture.forget * mixture.retain / mixture.reference))
        return RELATIVE * bound.value + 1e-13 * max(density, 1.0)
    size = max(bound.value, 1.0, delta / (1 - mixture.gamma) if math.isfinite(delta) else 1.0)
    return RELATIVE * size


def ratio_of(bound: Bound, error: float, mixture: Mixture, delta: float) -> float:
    """error/bound (bound/error for a lower bound), at most 1 where the bound holds."""
    allowed = slack(bound, mixture, delta)
    high, low = (bound.value, error) if bound.direction == "upper" else (error, bound.value)
    return low / (high + allowed) if math.isfinite(high) else 0.0


@given(instances())
def test_every_bound_holds(instance):
    mixture, f, temperature = instance
    delta = float(excess_risk(mixture, f))
    errors = true_errors(mixture, f, temperature)
    for bound in evaluate(mixture, f, temperature):
        assert not math.isnan(bound.value), bound
        assert ratio_of(bound, errors[bound.quantity], mixture, delta) <= 1, (bound, errors)


def spread(size: float = 1e-6) -> tuple[Mixture, np.ndarray]:
    """C's extreme: P_r = P_f uniform, γ → 1, log-odds ± a little."""
    m = Mixture([0.5, 0.5], [0.5, 0.5], 1 - 1e-3)
    return m, np.asarray(bayes_classifier(m)) * np.asarray([1 + size, 1 - size])


def fading(mass: float = 1e-8, f: float = 1e-300) -> tuple[Mixture, np.ndarray]:
    """B's extreme: disjoint supports, f → 0 on a retain set of mass → 0."""
    return Mixture([1 - mass, mass, 0.0], [0.0, 0.0, 1.0], 0.1), np.asarray([1.0, f, 0.0])


def small_leak() -> tuple[Mixture, np.ndarray]:
    """E's extreme: the family of F at δ → 0."""
    return necessity_instance(1000.0, 0.1, delta=1e-6)


def halves() -> tuple[Mixture, np.ndarray]:
    """G's extreme, centred: P_r = P_f, f a little high on one half and low on the other."""
    m = Mixture([0.5, 0.5], [0.5, 0.5], 0.3)
    return m, np.asarray(bayes_classifier(m)) * np.asarray([1 + 1e-6, 1 - 1e-6])


def shared() -> tuple[Mixture, np.ndarray]:
    """Q's extreme where the spike has retain mass: a share of it as high as δ lets, the rest at 0."""
    h, share = 1e6, 0.32
    law = np.asarray([share, 1 - share, 0.0])
    retain = law / h + np.asarray([0.0, 0.0, 1 - 1 / h])
    m = Mixture(retain / retain.sum(), law, 0.1, retain)
    raised = kl_inverse(float(bayes_classifier(m)[0]), 0.05 / 0.1 / share)
    return m, np.asarray([raised, 1e-12, 1.0])


def tilted(size: float = 1e-5) -> tuple[Mixture, np.ndarray]:
    """H's extreme: P_r = P_f and f* = 1/2, f moved by W itself, for which Pinsker is sharp."""
    m = Mixture([0.8, 0.2], [0.8, 0.2], 0.5)
    p = np.asarray(m.probabilities)
    return m, 0.5 + size * (p**-0.5 / np.sum(p**0.5 / 2) - 2)


def drowned() -> tuple[Mixture, np.ndarray]:
    """H's extreme as δ → ∞: half of the retain data all but lost."""
    return fading(0.5)


def starved() -> tuple[Mixture, np.ndarray]:
    """G's extreme in norms and Pinsker alone: f vanishes on nearly all the retain data."""
    m = Mixture([1 - 1e-8, 1e-8], [0.0, 1.0], 0.0324, [1.0, 1e-6])
    return m, np.asarray([1e-13, 6.6e-7])


def even() -> tuple[Mixture, np.ndarray]:
    """The same at T = 1, by the search: 0.65, where P_r = P_f and f* = 1/2 would give 1/2."""
    m = Mixture([1.0, 0.0], [0.0532, 0.9468], 0.0418, [5.2e-5, 9.3e-4])
    return m, np.asarray([0.002464, 0.999998])


ATTAINED = [
    # letter, variant, instance, temperature, least ratio of what is above the bias
    ("A", "identity", lambda: spread(0.5), 1.0, 1 - 1e-9),
    ("A", "normaliser", fading, 1.0, 0.99),
    ("B", "", fading, 1.0, 0.99),
    ("C", "", spread, 1.0, 0.99),
    ("E", "a priori", small_leak, 1.0, 0.99),
    ("E", "known normaliser", small_leak, 1.0, 0.99),
    ("G", "a priori", small_leak, 1.0, 0.99),
    ("G", "a priori", small_leak, 1.0 + 1e-6, 0.99),
    ("G", "fast", small_leak, 1.0, 0.99),
    ("G", "weighted", small_leak, 4.0, 0.99),
    ("G", "centred", small_leak, 4.0, 0.99),
    ("G", "through H", spread, 2.0, 0.99),
    ("G", "centred", halves, 1.0, 0.99),
    ("G", "centred", halves, 3.0, 0.99),
    ("Q", "split", shared, 8.0, 0.99),
    ("G", "fast", small_leak, 1.5, 0.99),
    ("G", "slow", even, 1.0, 0.65),
    ("G", "slow", starved, 2.0, 0.90),
    ("H", "weighted", fading, 1.0, 0.99),
    ("H", "weighted", tilted, 2.0, 0.99),
    ("H", "fast", drowned, 1.0, 0.99),
    ("H", "fast", drowned, 2.0, 0.99),
    ("H", "slow", drowned, 1.0, 0.95),
    ("H", "slow", drowned, 2.0, 0.95),
    ("Q", "", lambda: necessity_instance(1000.0, 0.1, delta=0.05), 1.0, 1 - 1e-9),
    ("Q", "", lambda: necessity_instance(1e6, 0.1, delta=0.05), 8.0, 1 - 1e-9),
    ("F", "Jensen", lambda: necessity_instance(1e6, 0.1, delta=0.05), 8.0, 1 - 1e-9),
]


@pytest.mark.parametrize(("letter", "variant", "make", "temperature", "least"), ATTAINED)
def test_sharp_and_one_percent_less_is_false(letter, variant, make, temperature, least):
    mixture, f = make()
    errors = true_errors(mixture, f, temperature)
    (bound,) = (
        b for b in evaluate(mixture, f, temperature) if (b.letter, b.variant) == (letter, variant)
    )
    bias = bound.terms.get("forget_bias", bound.terms.get("retain_bias", 0.0))
    error, value = errors[bound.quantity] - bias, bound.value - bias
    ratio = error / value if bound.direction == "upper" else value / error
    # so `least` of the bound (of a lower one its inverse) is below an error: refuted
    assert least < ratio <= 1 + RELATIVE


@given(instances(max_atoms=20))
def test_guarantees_hold_for_all_classifiers_of_that_risk(instance):
    mixture, f, temperature = instance
    delta = float(excess_risk(mixture, f))
    if not math.isfinite(delta):
        return
    errors = true_errors(mixture, f, temperature)
    for bound in guarantee(mixture, 1.5 * delta, temperature):
        assert ratio_of(bound, errors[bound.quantity], mixture, delta) <= 1


@given(instances(max_atoms=20))
def test_chain_rule_identity(instance):
    mixture, f, _ = instance
    parts = chain_rule(mixture, log_odds_of(f))
    total = parts.retain + parts.forget + parts.normaliser
    if not math.isfinite(parts.excess_risk):
        assert not math.isfinite(total)
    else:
        assert total == pytest.approx(parts.excess_risk, rel=1e-9, abs=1e-13)


def test_chain_rule_where_a_side_is_lost():
    """f = 1 (or 0) everywhere leaves nothing of the forget (the retain) side: ∞, not NaN."""
    up, down = (chain_rule(M, np.full(2, x)) for x in (math.inf, -math.inf))
    assert (up.forget, down.retain) == (math.inf, math.inf)
    # P_r against P itself, and P_f: P = ¼, ¾
    assert up.retain == pytest.approx(0.5 * (0.5 * math.log(2) + 0.5 * math.log(2 / 3)))
    assert down.forget == pytest.approx(0.5 * math.log(4 / 3))


@given(instances())
def test_local_pinsker_sums(instance):
    mixture, f, temperature = instance
    delta = float(excess_risk(mixture, f))
    distance = np.abs(f - np.asarray(bayes_classifier(mixture)))
    total = float(np.sum(mixture.probabilities * distance))
    if not math.isfinite(delta):
        return
    # f* is rounded to 1e-16, so a distance is known to about that
    assert total <= math.sqrt(2 * float(overlap(mixture)) * delta) * (1 + 1e-9) + delta + 1e-15
    log_weight = np.where(mixture.log_density > -np.inf, mixture.log_density, 0.0) / -temperature
    with np.errstate(over="ignore"):
        weights = np.where(mixture.probabilities > 0, mixture.probabilities, 0) * np.exp(log_weight)
    total, size = float(np.sum(weights * distance)), float(np.sum(weights))
    assert total <= weighted_gap_bound(mixture, log_weight, delta) * (1 + 1e-9) + 1e-14 * size


@pytest.mark.parametrize("h", [1.0, 1e3, 1e6, 1e100])
@pytest.mark.parametrize("temperature", [1.0, 2.0, 8.0])
def test_necessity_value_is_the_error(h, temperature):
    mixture, f = necessity_instance(h, 0.1, delta=0.01)
    value = necessity_forget_error(h, 0.1, 0.01, temperature)
    assert true_errors(mixture, f, temperature)["forget_error"] == pytest.approx(value, rel=1e-12)
    assert float(excess_risk(mixture, f)) == pytest.approx(0.01, rel=1e-12)


def test_necessity_grows_linearly_at_one_and_as_a_root_above():
    for t in (1.0, 2.0, 4.0):
        low, high = (necessity_forget_error(h, 0.1, 0.01, t) for h in (1e6, 1e8))
        assert math.log(high / low) / math.log(100) == pytest.approx(1 / t, abs=1e-3)


def test_bounds_scale_with_the_reference_measure_as_densities_do():
    m = Mixture([0.5, 0.3, 0.2], [0.1, 0.1, 0.8], 0.2, [1.0, 0.5, 0.1])
    scaled = Mixture(m.retain, m.forget, m.gamma, np.asarray(m.reference) * 100)
    f = np.asarray([0.9, 0.8, 0.3])
    for t in (1.0, 3.0):
        for a, b in zip(evaluate(m, f, t), evaluate(scaled, f, t), strict=True):
            factor = 100.0 if a.quantity == "forget_error" else 1.0
            assert a.value == pytest.approx(b.value * factor, rel=1e-11), a


def test_scale_is_another_classifier():
    m = Mixture([0.5, 0.3, 0.2], [0.1, 0.1, 0.8], 0.2)
    f = np.asarray([0.9, 0.8, 0.3])
    scaled = [b.value for b in evaluate(m, f, 2.0, guidance_scale=2.0)]
    assert scaled == pytest.approx([b.value for b in evaluate(m, f**2, 2.0)], rel=1e-12)
    assert evaluate(m, f, 2.0, guidance_scale=0.0) == ()


M = Mixture([0.5, 0.5], [0.0, 1.0], 0.5)
WRONG = [
    (evaluate, ([0.5, 1.5],), "f[1] must lie in [0, 1], got 1.5"),
    (evaluate, ([0.0, 0.0],), "f must be positive somewhere that P > 0, got 0.0"),
    (evaluate, ([0.5],), "f must have shape (2,), got (1,)"),
    (evaluate, ([0.5, 0.5], 0.0), "temperature must be positive and finite, got 0.0"),
    (evaluate, ([0.5, 0.5], math.inf), "temperature must be positive and finite, got inf"),
    (evaluate, ([0.5, 0.5], np.int64(-1)), "temperature must be positive and finite, got -1.0"),
    (evaluate, ([0.5, 0.5], np.ones(2)), "temperature must be one number, got ndarray"),
    (evaluate, ([0.5, 0.5], 1.0, -1.0), "guidance_scale must be ≥ 0 and finite, got -1.0"),
    (evaluate, ([0.5, 0.5], 1.0, math.inf), "guidance_scale must be ≥ 0 and finite, got inf"),
    (guarantee, (-1.0,), "excess_risk must be ≥ 0 and finite, got -1.0"),
    (guarantee, (math.inf,), "excess_risk must be ≥ 0 and finite, got inf"),
    (guarantee, (math.nan,), "excess_risk must be ≥ 0 and finite, got nan"),
    (guarantee, (0.1, math.inf), "temperature must be positive and finite, got inf"),
    (guarantee, (0.1, 0.0), "temperature must be positive and finite, got 0.0"),
]


@pytest.mark.parametrize(("function", "arguments", "said"), WRONG)
def test_wrong_use_is_named(function, arguments, said):
    with pytest.raises(AssumptionError, match=f"^{re.escape(said)}$"):
        function(M, *arguments)


def test_without_risk_nothing_is_left_but_the_bias():
    for t in (1.0, 3.0):
        for bound in guarantee(M, 0.0, t):
            bias = bound.terms.get("forget_bias", bound.terms.get("retain_bias", 0.0))
            if bound.letter != "Q" and bound.variant != "through H":
                assert bound.value == bias, bound


def test_no_risk_leaks_nothing_where_supports_are_apart():
    m, _ = necessity_instance(100.0, 0.1, epsilon=0.0)
    for t in (1.0, 3.0):
        assert {b.value for b in guarantee(m, 0.0, t) if b.letter == "Q"} == {0.0}


def test_guidance_is_meant_unless_a_temperature_is_given():
    assert guarantee(M, 0.1) == guarantee(M, 0.1, 1.0)
    assert {b.letter for b in evaluate(M, [0.9, 0.3])} == set("ABCEFGHQ")


def test_every_family_is_exercised():
    m, f = necessity_instance(10.0, 0.1, delta=0.01)
    found = {(b.letter, b.variant) for b in evaluate(m, f)}
    assert found == {*UPPER, ("F", "Jensen")}
    m, f = spread()
    found = {(b.letter, b.variant) for b in evaluate(m, f, 2.0)}
    above = {x for x in UPPER if x[0] in "GHQ"}
    assert found == {*above, ("F", "Jensen"), ("G", "through H"), ("Q", "split")}
