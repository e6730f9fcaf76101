"""Chunked errors agree with the estimator's own, whatever the threads."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from sims import kernels, large
from sims.families import spike
from sims.large import exact_errors
from sims.learners import random_of_risk
from sims.measure import errors
from t3theory._xp import log_sigmoid
from t3theory.errors import forget_error, retain_error
from t3theory.estimator import temper_then_tilt
from t3theory.exceptions import AssumptionError
from t3theory.mixture import Mixture

TEMPERATURES = (1.0, 1.5, 4.0)


@pytest.mark.parametrize("overlap", [0.0, 0.3])
def test_agrees_with_the_estimator(overlap, monkeypatch):
    monkeypatch.setattr(large, "_CHUNK", 1000)  # several chunks, the last one short
    m = spike(1e4, 0.1, retain_atoms=9_000, forget_atoms=77, overlap=overlap, skew=0.7)
    log_odds = random_of_risk(m, 0.01, np.random.default_rng(0))
    for found in exact_errors(m, log_sigmoid(log_odds), TEMPERATURES):
        expected = errors(m, log_odds, found.temperature)
        # Sums of 9,077 terms of both signs up to about 10.
        assert found.retain_error == pytest.approx(expected["retain_error"], abs=1e-12)
        assert found.forget_error == pytest.approx(expected["forget_error"], rel=1e-11)


def test_threads_do_not_change_a_bit(monkeypatch):
    monkeypatch.setattr(large, "_CHUNK", 100)
    m = spike(1e4, 0.1, retain_atoms=5_000, skew=0.7)
    log_f = log_sigmoid(random_of_risk(m, 0.01, np.random.default_rng(0)))
    assert exact_errors(m, log_f, TEMPERATURES, 1) == exact_errors(m, log_f, TEMPERATURES, 4)


def test_dense_forget_data_and_atoms_without_mass(monkeypatch):
    monkeypatch.setattr(large, "_CHUNK", 64)
    generator = np.random.default_rng(0)
    retain, forget = generator.random((2, 500))
    retain[::7] = 0
    forget[::5] = 0  # every 35th atom has neither
    m = Mixture(retain / retain.sum(), forget / forget.sum(), 0.3, generator.random(500) + 0.1)
    log_odds = generator.standard_normal(500)
    log_odds[::35] = -np.inf
    for found in exact_errors(m, log_sigmoid(log_odds), TEMPERATURES):
        expected = errors(m, log_odds, found.temperature)
        # Sums of 500 terms of order 1.
        assert found.retain_error == pytest.approx(expected["retain_error"], abs=1e-13)
        assert found.forget_error == pytest.approx(expected["forget_error"], rel=1e-12)


def test_mistakes_are_named():
    m = spike(10.0, 0.1, retain_atoms=2)
    with pytest.raises(AssumptionError, match="temperature must be positive"):
        exact_errors(m, np.zeros(m.size), [0.0])
    for wrong in (np.nan, 0.1):
        with pytest.raises(AssumptionError, match="log_f must be numbers ≤ 0"):
            exact_errors(m, np.array([wrong, *[-1.0] * (m.size - 1)]), [1.0])
    with pytest.raises(AssumptionError, match="temperatures must have at least one"):
        exact_errors(m, np.zeros(m.size), [])
    with pytest.raises(AssumptionError, match="log_f must have shape"):
        exact_errors(m, np.zeros(3), [1.0])


def test_squares_stand_in_for_exponentials():
    places = [1 + k / 3 for k in range(10)]
    order, exponents = large._plan([1 / t for t in places])
    assert sorted(order) == list(range(10))
    squares = np.flatnonzero(np.isnan(exponents))
    # T of 1 is half of 2, and 4/3, 5/3 and 2 are halves of 8/3, 10/3 and 4, one by a rounding.
    assert set(order[squares]) == {0, 1, 2, 3}
    for i in squares:
        # 2T off by its own rounding.
        assert places[order[i - 1]] == pytest.approx(2 * places[order[i]], rel=1e-15)


def _units(found, expected):
    """How far floats are from numbers of 50 digits, in units in the last place."""
    apart = [abs(a - b) for a, b in zip(found.tolist(), expected, strict=True)]
    return max(float(d) / np.spacing(abs(float(b))) for d, b in zip(apart, expected, strict=True))


def test_exponential_and_logarithm_are_within_two_units():
    generator = np.random.default_rng(0)
    x = np.concatenate([generator.uniform(-708, 709, 1000), generator.uniform(-1, 1, 1000), [709]])
    y = np.concatenate(
        [np.exp(generator.uniform(-744, 709, 1000)), generator.uniform(0.4, 2, 1000)]
    )
    y = np.concatenate([y, 1 + np.geomspace(1e-15, 1, 100), [5e-324, np.finfo(float).max]])
    with mpmath.workdps(50):
        assert _units(np.array([kernels.exp(v) for v in x]), [mpmath.exp(v) for v in x]) <= 2
        assert _units(np.array([kernels.log(v) for v in y]), [mpmath.log(v) for v in y]) <= 2


def test_exponential_and_logarithm_at_the_ends():
    assert [kernels.exp(v) for v in (-np.inf, -709.0, 0.0, 710.0)] == [0, 0, 1, np.inf]
    assert [kernels.log(v) for v in (1.0, np.inf)] == [0, np.inf]


def test_every_grid_of_temperatures_gives_the_same_errors():
    m = spike(1e4, 0.1, retain_atoms=50, overlap=0.3, skew=0.7)
    log_f = log_sigmoid(random_of_risk(m, 0.01, np.random.default_rng(0)))
    alone = [exact_errors(m, log_f, [t])[0] for t in (0.5, 1.0, 2.0, 2.0, 4.0)]
    for one, other in zip(alone, exact_errors(m, log_f, [0.5, 1.0, 2.0, 2.0, 4.0]), strict=True):
        # A square doubles the rounding of its root.
        assert one.forget_error == pytest.approx(other.forget_error, rel=1e-13)
        assert one.retain_error == pytest.approx(other.retain_error, abs=1e-13)


def test_a_classifier_that_leaves_nothing_is_refused():
    m = spike(10.0, 0.1, retain_atoms=2)
    with pytest.raises(AssumptionError, match="log_f must leave mass"):
        exact_errors(m, np.full(m.size, -np.inf), [1.0])


def test_an_atom_that_the_classifier_rules_out():
    m = Mixture([0.5, 0.5, 0.0], [0.0, 0.5, 0.5], 0.2)
    log_odds = np.array([2.0, 0.5, -np.inf])  # 0 · log 0 in the retain error
    [found] = exact_errors(m, log_sigmoid(log_odds), [2.0])
    expected = errors(m, log_odds, 2.0)
    # Sums of three terms of order 1.
    assert found.retain_error == pytest.approx(expected["retain_error"], abs=1e-15)
    assert found.forget_error == pytest.approx(expected["forget_error"], rel=1e-14)


def test_beyond_the_floats_the_estimator_answers():
    m = Mixture([0.5, 0.5], [0.0, 1.0], 0.1, [1e-4, 1e6])
    log_f = np.log([0.9, 0.2])
    [found] = exact_errors(m, log_f, [0.01])
    # p₁ = 4500, p₂ = 5.5e-7 to the power of 100: all of p̂ is on the first atom, in logarithms
    # RE = ½ log(½/1) + ½ (log ½ − log q₂).
    log_q2 = (
        100 * (np.log(0.55 / 1e6) - np.log(0.45 / 1e-4)) + np.log(0.2 / 0.9) + np.log(1e6 / 1e-4)
    )
    assert found.retain_error == pytest.approx(np.log(0.5) - log_q2 / 2, rel=1e-12)
    assert found.forget_error == pytest.approx(0.5 / 1e6, rel=1e-12)
    sharp = spike(1e300, 0.1, retain_atoms=3)
    log_odds = random_of_risk(sharp, 0.01, np.random.default_rng(0))
    for one in exact_errors(sharp, log_sigmoid(log_odds), [0.5, 1.0]):
        expected = errors(sharp, log_odds, one.temperature)
        # T = 1/2 is the estimator's own; T = 1 a sum of terms up to 700.
        assert one.forget_error == pytest.approx(expected["forget_error"], rel=1e-11)
        assert one.retain_error == pytest.approx(expected["retain_error"], abs=1e-11)


@pytest.mark.parametrize("workers", [-1, 1.5])
def test_workers_are_counted(workers):
    m = spike(10.0, 0.1, retain_atoms=2)
    with pytest.raises(AssumptionError, match=r"^workers must"):
        exact_errors(m, np.zeros(m.size), [1.0], workers)


@pytest.mark.parametrize(
    ("mixture", "log_f", "temperature"),
    [
        # (1−γ) P_r + γ P_f rounds to nothing where P_f does not
        (Mixture([1.0, 0.0, 0.0], [0.0, 1.0, 5e-324], 0.1), [-0.1, -1.0, -2.0], 1.5),
        # n P_f p_r overflows, a density underflows, f is no normal float
        (Mixture([0.4, 0.3, 0.3], [0.2, 0.3, 0.5], 0.2, [1e-100, 1e240, 1.0]), [-0.1] * 3, 100.0),
        (Mixture([0.5, 0.5], [0.5, 0.5], 0.1, [1e-100, 1e300]), [-0.1, -0.2], 10.0),
        (spike(1e300, 0.1, retain_atoms=1), [-0.1] + [-715.0] * 4, 1.0),
        # as good as nothing is left of the retain error
        (Mixture([0.25] * 4, [0.25] * 4, 0.5), [-0.5] * 4, 4.0),
    ],
)  # fmt: skip
def test_where_sums_of_floats_fail_the_estimator_answers(mixture, log_f, temperature):
    log_f = np.array(log_f[: mixture.size])
    [found] = exact_errors(mixture, log_f, [temperature])
    log_q = temper_then_tilt(mixture.log_density, log_f, temperature, 1.0, mixture.log_reference)
    # Two sums of a few terms of one sign, in another order.
    assert found.retain_error == pytest.approx(float(retain_error(mixture, log_q)), rel=1e-11)
    assert found.forget_error == pytest.approx(float(forget_error(mixture, log_q)), rel=1e-11)
