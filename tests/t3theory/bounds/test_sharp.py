"""How near each bound comes to an error: an instance for each, which refutes smaller constants."""

from __future__ import annotations

import numpy as np
import pytest
from measured import RELATIVE, true_errors

from t3theory import Mixture, bayes_classifier
from t3theory.bounds import evaluate, necessity_instance
from t3theory.bounds.pinsker import kl_inverse


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
