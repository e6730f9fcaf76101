"""Both errors by numbers worked out by hand, and where densities vanish or overflow."""

from __future__ import annotations

import math

import numpy as np
import pytest

from t3theory import Mixture, forget_error, retain_error
from t3theory.errors import forget_bias, oracle_tilt, retain_bias

# densities of retain 2, 0.5, 0 and of forget 0, 1, 1
M = Mixture([0.5, 0.5, 0.0], [0.0, 0.5, 0.5], 0.5, [0.25, 1.0, 0.5])


def test_by_hand():
    log_q = np.log([1.0, 0.25, 1.0])  # masses 0.25, 0.25, 0.5
    assert retain_error(M, log_q) == pytest.approx(math.log(2.0), rel=1e-15)
    assert forget_error(M, log_q) == pytest.approx(0.5 * 0.25 + 0.5 * 1.0, rel=1e-15)


def test_nothing_where_the_estimate_is_the_truth():
    assert retain_error(M, M.log_retain_density) == 0.0
    assert forget_error(M, M.log_retain_density) == 0.0


def test_small_differences_keep_their_digits():
    shift = 1e-9 * np.asarray([1.0, -1.0, 0.0])
    log_q = M.log_retain_density + shift
    assert forget_error(M, log_q) == pytest.approx(0.5 * 0.5 * 1e-9, rel=1e-7)
    # KL(P‖P(1±ε)) = ε²/2
    assert retain_error(M, log_q) == pytest.approx(5e-19, rel=1e-6)


def test_infinite_where_the_estimate_lacks_retain_mass():
    assert retain_error(M, np.asarray([-np.inf, 0.0, 0.0])) == math.inf
    assert forget_error(M, np.asarray([0.0, -np.inf, -np.inf])) == pytest.approx(0.25)


def test_a_density_that_overflows_off_the_forget_data_is_not_seen():
    assert forget_error(M, np.asarray([800.0, np.log(0.5), -np.inf])) == 0.0


def test_biases_are_the_errors_of_the_bayes_classifier():
    # p = 1, 0.5, 0.5 and f* = 1, 1/2, 0: at T = 2 scores 1, √½/2, 0, of masses ¼, √½/2, 0
    total = 0.25 + math.sqrt(0.5) / 2
    q = np.asarray([1.0, math.sqrt(0.5) / 2, 0.0]) / total
    assert np.exp(oracle_tilt(M, 2.0)) == pytest.approx(q, rel=1e-14)
    assert forget_bias(M, 2.0) == pytest.approx(0.5 * abs(0.5 - q[1]), rel=1e-13)
    retain = 0.5 * math.log(2.0 / q[0]) + 0.5 * math.log(0.5 / q[1])
    assert retain_bias(M, 2.0) == pytest.approx(retain, rel=1e-13)
    # with a scale of 3: f*³ = 1, ⅛, 0 (a scale of 2 happens to have the errors of 1)
    total = 0.25 + math.sqrt(0.5) / 8
    q = np.asarray([1.0, math.sqrt(0.5) / 8, 0.0]) / total
    assert np.exp(oracle_tilt(M, 2.0, 3.0)) == pytest.approx(q, rel=1e-14)
    assert forget_bias(M, 2.0, 3.0) == pytest.approx(0.5 * abs(0.5 - q[1]), rel=1e-13)
    retain = 0.5 * math.log(2.0 / q[0]) + 0.5 * math.log(0.5 / q[1])
    assert retain_bias(M, 2.0, 3.0) == pytest.approx(retain, rel=1e-13)
    assert retain_bias(M, 1.0) == pytest.approx(0.0, abs=1e-15)
    assert forget_bias(M, 1.0) == pytest.approx(0.0, abs=1e-15)
