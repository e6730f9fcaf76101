"""Decoding with gates, against enumeration in exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from sims.learners import tabular
from sims.sequences import Sequences, memorised
from t3theory.exceptions import AssumptionError

VOCABULARY, LENGTH, TEMPERATURE = 3, 3, 4.0


def make(seed, n):
    """A text, the labelled prefixes drawn from it, and the add-one classifier's log-odds."""
    generator = np.random.default_rng(seed)
    text = memorised(VOCABULARY, LENGTH, 2, 0.2, generator)
    counts = text.draw(n, generator)
    return text, counts, [tabular(c) for c in counts]


def mass(text, prefix):
    """(retain, forget) mass of a prefix, as fractions of the same floats."""
    at = tuple(prefix)
    gamma = Fraction(text.gamma)
    return tuple(
        weight * sum(map(Fraction, law[at].ravel().tolist()))
        for weight, law in ((1 - gamma, text.retain), (gamma, text.forget))
    )


def says(counts, prefix):
    """f of the add-one classifier, exactly; None where nothing was drawn."""
    kept, dropped = (int(c[tuple(prefix)]) for c in counts[len(prefix) - 1])
    return Fraction(kept + 1, kept + dropped + 2)


def by_hand(text, counts, gate, threshold):
    """P̂ of every sequence and the shares of gated mass, context by context."""
    estimate = dict.fromkeys(product(range(VOCABULARY), repeat=LENGTH), 1.0)
    gated = [Fraction(0), Fraction(0)]
    for t in range(LENGTH):
        for context in product(range(VOCABULARY), repeat=t):
            weights = mass(text, context)
            words = [(*context, y) for y in range(VOCABULARY)]
            p = [sum(mass(text, w)) / sum(weights) for w in words]
            f = [says(counts, w) for w in words]
            suspicion = sum(a * (1 - b) for a, b in zip(p, f, strict=True))
            if gate == "hard":
                share = Fraction(int(suspicion > Fraction(threshold)))
            else:
                share = Fraction(1) if gate == "none" else suspicion
            gated = [g + w * share for g, w in zip(gated, weights, strict=True)]
            heat = 1 + (TEMPERATURE - 1) * float(share)
            raw = [float(a) ** (1 / heat) * float(b) for a, b in zip(p, f, strict=True)]
            for word, value in zip(words, raw, strict=True):
                for sequence in estimate:
                    if sequence[: t + 1] == word:
                        estimate[sequence] *= value / math.fsum(raw)
    retain, forget = gated
    gamma = Fraction(text.gamma)
    return estimate, float(retain / (1 - gamma) / LENGTH), float(forget / gamma / LENGTH)


@pytest.mark.parametrize("gate", ["none", "hard", "soft"])
@pytest.mark.parametrize("threshold", [0.25, 0.5])
def test_decoding_is_what_enumeration_gives(gate, threshold):
    unknown = 0
    for seed in range(6):
        text, counts, log_odds = make(seed, n=6)  # few: most contexts are without draws
        unknown += sum(int((c.sum(axis=(0, -1)) == 0).sum()) for c in counts)
        log_q, shares = text.decode(log_odds, TEMPERATURE, gate, threshold)
        estimate, retain, forget = by_hand(text, counts, gate, threshold)
        for sequence, value in estimate.items():
            # Three factors, each a power and a sum of three.
            assert math.exp(log_q[sequence]) == pytest.approx(value, rel=1e-12)
        assert shares["retain_gated"] == pytest.approx(retain, abs=1e-12)
        assert shares["forget_gated"] == pytest.approx(forget, abs=1e-12)
    assert unknown > 20


def test_a_context_without_draws_is_not_tempered():
    generator = np.random.default_rng(0)
    text = memorised(10, 4, 8, 0.1, generator)
    nothing = [tabular(0 * c) for c in text.draw(1, generator)]
    log_q, shares = text.decode(nothing, TEMPERATURE, "hard", 0.5)
    assert shares == {"retain_gated": 0.0, "forget_gated": 0.0}
    open_q, shares = text.decode(nothing, TEMPERATURE, "hard", 0.49)
    assert shares["retain_gated"] == pytest.approx(1, abs=1e-12)
    assert not np.allclose(log_q, open_q)


@pytest.mark.parametrize(
    ("change", "symbol"),
    [
        ({"gamma": 7.0}, "gamma"),
        ({"retain": np.array([0.5, 0.6])}, "retain"),
        ({"retain": np.array([1.5, -0.5])}, "retain"),
        ({"forget": np.array([np.nan, 1.0])}, "forget"),
        ({"forget": np.array([1.0, 0.0, 0.0])}, "forget"),
    ],
)
def test_what_is_no_law_is_named(change, symbol):
    even = {"retain": np.array([0.5, 0.5]), "forget": np.array([1.0, 0.0]), "gamma": 0.1}
    with pytest.raises(AssumptionError, match=rf"^{symbol}(\[\d\])? must"):
        Sequences(**even | change)
