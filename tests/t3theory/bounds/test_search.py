"""hypothesis.target: a search, letter by letter, for an error above its bound."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings, target
from measured import RELATIVE, ratio_of, true_errors
from strategies import instances

from t3theory import bayes_classifier, excess_risk
from t3theory.bounds import evaluate
from t3theory.bounds.pinsker import gap_bound
from t3theory.classifier import overlap


@pytest.mark.parametrize("letter", list("ABCEFGHQ"))
@given(instances(tiny=False))
@settings(max_examples=100)
def test_search_for_the_largest_ratio_finds_none_above_one(letter, instance):
    m, f, t = instance
    if letter in "ABCE":  # guidance's
        t = 1.0
    delta = float(excess_risk(m, f))
    errors = true_errors(m, f, t)
    # the identity is attained always, and would hide the rest of A
    found = [b for b in evaluate(m, f, t) if b.letter == letter and b.variant != "identity"]
    worst = max((ratio_of(b, errors[b.quantity], m, delta) for b in found), default=0.0)
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
