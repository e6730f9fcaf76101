"""hypothesis.target: a search, letter by letter, for an error above its bound."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings, target
from strategies import instances

from t3theory import bayes_classifier, excess_risk
from t3theory.bounds import evaluate
from t3theory.bounds.pinsker import gap_bound
from t3theory.classifier import overlap
from t3theory.errors import forget_error, retain_error
from t3theory.estimator import temper_then_tilt

RELATIVE = 1e-9
"""As in test_bounds: sums of 200 terms and exponentials of log-sums near 700."""


@pytest.mark.parametrize("letter", list("ABCEFGHQ"))
@given(instances(tiny=False))
@settings(max_examples=100)
def test_search_for_the_largest_ratio_finds_none_above_one(letter, instance):
    m, f, t = instance
    if letter in "ABCE":  # guidance's
        t = 1.0
    delta = float(excess_risk(m, f))
    with np.errstate(divide="ignore"):
        log_q = temper_then_tilt(m.log_density, np.log(f), t, 1.0, m.log_reference)
    errors = {
        "retain_error": float(retain_error(m, log_q)),
        "forget_error": float(forget_error(m, log_q)),
    }
    density = max(float(np.sum(m.forget * m.retain / m.reference)), 1.0)
    worst = 0.0
    for b in evaluate(m, f, t):
        # the identity is attained always, and would hide the rest of A
        if b.letter != letter or b.variant == "identity" or not math.isfinite(b.value):
            continue
        error = errors[b.quantity]
        high, low = (b.value, error) if b.direction == "upper" else (error, b.value)
        if b.quantity == "forget_error":  # p̂ − p_r, densities known to 200 roundings each
            allowed = RELATIVE * high + 1e-13 * density
        else:
            allowed = RELATIVE * max(high, 1.0, delta / (1 - m.gamma))
        worst = max(worst, low / (high + allowed))
    target(worst, label=letter)
    assert worst <= 1


@given(instances(tiny=False))
@settings(max_examples=100)
def test_search_for_the_largest_distance_from_the_bayes_classifier(instance):
    """D: E_P|f − f*| ≤ Δ."""
    m, f, _ = instance
    delta = float(excess_risk(m, f))
    if not math.isfinite(delta):
        return
    distance = float(np.sum(m.probabilities * np.abs(f - np.asarray(bayes_classifier(m)))))
    # f* is rounded to 1e-16
    ratio = distance / (gap_bound(float(overlap(m)), delta) * (1 + RELATIVE) + 1e-15)
    target(ratio, label="D")
    assert ratio <= 1
