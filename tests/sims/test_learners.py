"""Learners: trained ones obey statement K, built ones have the excess risk asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from sims import network as networks
from sims.families import spike
from sims.features import cosine_features
from sims.learners import (
    check_leaking,
    check_random,
    draw,
    leaking,
    logistic,
    random_of_risk,
    tabular,
    train,
    worst,
)
from sims.measure import errors
from sims.network import network
from t3theory.classifier import change_prior, excess_risk_of_log_odds
from t3theory.envelope import worst_case
from t3theory.exceptions import AssumptionError, InputError
from t3theory.samples import tabular_excess_risk


def test_draws_have_the_right_means():
    m = spike(100.0, 0.2, retain_atoms=4, forget_atoms=2, skew=1.0)
    n = 100_000
    counts = draw(m, n, np.random.default_rng(0))
    assert counts.sum() == n
    expected = n * np.stack([0.8 * m.retain, 0.2 * m.forget])
    # Five standard deviations of a binomial count: a seeded draw, 12 counts.
    assert np.all(np.abs(counts - expected) <= 5 * np.sqrt(expected) + 1e-9)


def test_tabular_stays_below_its_bound_on_average():
    m = spike(100.0, 0.1, retain_atoms=16, overlap=0.3)
    generator = np.random.default_rng(0)
    n = 300
    risks = [excess_risk_of_log_odds(m, tabular(draw(m, n, generator))) for _ in range(400)]
    bound = tabular_excess_risk(m.size, n)
    assert np.mean(risks) + 3 * np.std(risks) / 20 < bound
    # A bound ten times tighter would be wrong: the comparison above can fail.
    assert np.mean(risks) > bound / 10


def test_logistic_learns_what_its_features_can_say():
    m = spike(100.0, 0.1, retain_atoms=16, forget_atoms=16)
    risks = [
        float(excess_risk_of_log_odds(m, train("logistic", m, n, np.random.default_rng(1))))
        for n in (100, 10_000)
    ]
    assert risks[1] < risks[0] / 10


@pytest.mark.parametrize("penalty", [1.0, 30.0])
@pytest.mark.parametrize("n", [200, 10**6])
def test_logistic_is_where_its_penalised_loss_is_least(n, penalty):
    m = spike(100.0, 0.2, retain_atoms=16, forget_atoms=16, overlap=0.3)
    counts = draw(m, n, np.random.default_rng(0))
    log_odds = logistic(counts, penalty=penalty)
    features = cosine_features(m.size, 32)
    weights = np.linalg.lstsq(features, log_odds, rcond=None)[0]
    pull = features.T @ (counts[0] - counts.sum(axis=0) * expit(log_odds))
    # A sum over n draws of terms near one, each rounded: 1e-10 of n.
    assert pull == pytest.approx(penalty * weights, abs=1e-10 * n + 1e-8)
    assert np.abs(pull).max() > 1, "the two sides are far from 0"


def test_pseudo_counts_follow_the_prior():
    counts = np.array([[3, 0], [1, 0]])
    f = expit(tabular(counts, prior=0.1))
    assert f == pytest.approx([4.8 / 6, 0.9], rel=1e-15)
    # Shifted to γ, draws in equal parts know of an atom without draws what natural ones do.
    assert change_prior(tabular(counts), 0.5, 0.1)[1] == pytest.approx(np.log(9), rel=1e-14)


@pytest.mark.parametrize("row", [0, 1])
def test_logistic_with_one_class_only_is_constant(row):
    counts = np.zeros((2, 5), dtype=int)
    counts[row] = 3
    f = logistic(counts)
    assert np.ptp(f) == 0
    assert np.sign(f[0]) == (1 if row == 0 else -1)


@given(
    delta=st.floats(1e-9, 0.05),
    h=st.floats(10, 1e6),
    share=st.sampled_from([0.0, 0.2]),
    seed=st.integers(0, 99),
)
def test_built_classifiers_have_the_risk_asked_for(delta, h, share, seed):
    m = spike(h, 0.1, retain_atoms=8, overlap=share)
    for log_odds in (random_of_risk(m, delta, np.random.default_rng(seed)), leaking(m, delta)):
        # The root is found to 1e-14 of a logarithm of at most 700.
        assert float(excess_risk_of_log_odds(m, log_odds)) == pytest.approx(delta, rel=1e-9)


def test_leaking_is_the_classifier_of_statement_f():
    m = spike(1000.0, 0.1, retain_atoms=3, forget_atoms=2)
    f = expit(leaking(m, 0.01))
    # Root finding to 1e-14, then the rounding of f next to 1.
    assert f == pytest.approx([1, 1, 1, *[-np.expm1(-0.1)] * 2], rel=1e-9)


@pytest.mark.parametrize("delta", [0.0, 1e-310, -1.0, float("nan"), 1e9])
def test_impossible_risks_are_refused(delta):
    m = spike(10.0, 0.1)
    for refuse in (leaking, check_leaking):
        with pytest.raises(AssumptionError, match=r"^delta must lie in"):
            refuse(m, delta)
    for refuse in (random_of_risk, check_random):
        with pytest.raises(AssumptionError, match=r"^delta must lie in"):
            refuse(m, delta, np.random.default_rng(0))


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_the_least_risk_is_attained(share):
    m = spike(100.0, 0.1, overlap=share)
    log_odds = leaking(m, 1e-300)
    if share == 0:  # overlapping, a risk below 1e-32 is lost in the rounding of f*
        assert float(excess_risk_of_log_odds(m, log_odds)) == pytest.approx(1e-300, rel=1e-9)
    check_random(m, 1e-300, np.random.default_rng(0))


def test_unknown_learner_is_refused():
    with pytest.raises(AssumptionError, match=r"^learner must be tabular, logistic or network"):
        train("oracle", spike(10.0, 0.1), 10, np.random.default_rng(0))


def test_network_learns_and_then_learns_by_heart():
    m = spike(100.0, 0.1, retain_atoms=16, forget_atoms=4, overlap=0.3)
    counts = draw(m, 200, np.random.default_rng(0))
    path = network(counts, [1, 100, 2000], np.random.default_rng(0))
    risk = {k: float(excess_risk_of_log_odds(m, f)) for k, f in path.items()}
    assert risk[100] < risk[1]
    assert risk[2000] > risk[100], "two hundred draws, two thousand steps: it overfits"
    again = network(counts, [100], np.random.default_rng(0))
    assert np.array_equal(again[100], path[100])


def test_network_without_torch_says_so(monkeypatch):
    monkeypatch.setattr(networks.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="learner: network needs torch"):
        network(np.ones((2, 3)), [1], np.random.default_rng(0))


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_worst_attains_what_is_certified(temperature):
    m = spike(1e3, 0.1, retain_atoms=8, overlap=0.1)
    found = errors(m, worst(m, 0.01, temperature), temperature)
    certificate = worst_case(m, 0.01, temperature)
    assert found["excess_risk"] <= 0.01 * (1 + 1e-9)
    # From f to its log-odds and back costs a few roundings of f next to 1.
    assert found["forget_error"] == pytest.approx(certificate.lower, rel=1e-6)
    other = errors(m, random_of_risk(m, 0.01, np.random.default_rng(0)), temperature)
    assert other["forget_error"] < certificate.lower


@pytest.mark.parametrize("n", [10**4, 10**10, 10**14])
@pytest.mark.filterwarnings("error")
def test_logistic_regression_ends_at_its_minimum_whatever_n(n):
    mixture = spike(1e4, gamma=0.1, retain_atoms=2_000)
    counts = draw(mixture, n, np.random.default_rng(0))
    log_odds = logistic(counts)
    features = cosine_features(mixture.size, 32)
    weights = np.linalg.lstsq(features, log_odds, rcond=None)[0]
    # d/dw of the penalised loss, in units of its two parts, which cancel at the minimum.
    pull = features.T @ (counts[0] * expit(-log_odds) - counts[1] * expit(log_odds))
    assert np.abs(weights - pull).max() <= 1e-5 * np.abs(weights).max()


@pytest.mark.parametrize("penalty", [0.1, 1.0, 30.0])
def test_logistic_regression_is_that_of_scikit_learn(penalty):
    mixture = spike(100.0, 0.2, retain_atoms=16, forget_atoms=16, overlap=0.3)
    counts = draw(mixture, 10_000, np.random.default_rng(1))
    features = cosine_features(mixture.size, 32)
    other = LogisticRegression(
        C=1 / penalty, fit_intercept=False, solver="newton-cholesky", tol=1e-12
    ).fit(
        np.concatenate([features, features]),
        np.repeat([1, 0], mixture.size),
        sample_weight=counts.ravel(),
    )
    assert logistic(counts, penalty=penalty) == pytest.approx(
        other.decision_function(features),
        rel=1e-6,  # its gradient ends at 1e-12 a draw
    )


@pytest.mark.parametrize("penalty", [0.0, -1.0, np.nan, np.inf])
def test_a_penalty_is_positive(penalty):
    with pytest.raises(AssumptionError, match=r"^penalty must"):
        logistic(np.array([[1, 2], [2, 1]]), 2, penalty)
