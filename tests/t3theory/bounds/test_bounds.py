"""Every bound: holds on adversarial instances, is attained or nearly, fails when sharpened."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given
from measured import ratio_of, true_errors
from strategies import instances

from t3theory import AssumptionError, Mixture, bayes_classifier, excess_risk, overlap
from t3theory.bounds import evaluate, guarantee, necessity_forget_error, necessity_instance
from t3theory.bounds.identity import chain_rule
from t3theory.bounds.pinsker import weighted_gap_bound
from t3theory.classifier import log_odds_of

UPPER = [
    *[("A", v) for v in ("identity", "normaliser")],
    ("B", ""),
    ("C", ""),
    *[("E", v) for v in ("a priori", "known normaliser")],
    *[("G", v) for v in ("slow", "fast", "a priori", "weighted", "centred")],
    *[("H", v) for v in ("slow", "fast", "weighted")],
    ("Q", ""),
]


@given(instances())
def test_every_bound_holds(instance):
    mixture, f, temperature = instance
    delta = float(excess_risk(mixture, f))
    errors = true_errors(mixture, f, temperature)
    for bound in evaluate(mixture, f, temperature):
        assert not math.isnan(bound.value), bound
        assert ratio_of(bound, errors[bound.quantity], mixture, delta) <= 1, (bound, errors)


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
    m = Mixture([0.5, 0.5], [0.5, 0.5], 0.5)
    f = np.asarray([0.5, 0.51])
    found = {(b.letter, b.variant) for b in evaluate(m, f, 2.0)}
    above = {x for x in UPPER if x[0] in "GHQ"}
    assert found == {*above, ("F", "Jensen"), ("G", "through H"), ("Q", "split")}
