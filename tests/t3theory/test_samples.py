"""K: the sample bounds cover what they should, and how conservatively."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from t3theory import AssumptionError, Mixture, bayes_classifier, excess_risk
from t3theory.bounds import guarantee
from t3theory.bounds.pinsker import kl_inverse
from t3theory.errors import forget_error
from t3theory.estimator import temper_then_tilt
from t3theory.samples import erm_excess_risk, heldout_risk_upper_bound, tabular_excess_risk

REPEATS = 2000
MIXTURE = Mixture(
    np.arange(1, 9) / 36, np.r_[np.zeros(5), [0.5, 0.3, 0.2]], 0.2, np.r_[np.ones(7), 0.01]
)


def add_one(rng: np.random.Generator, n: int) -> np.ndarray:
    """The add-one classifiers of REPEATS samples of size n, shape (REPEATS, atoms)."""
    best = np.asarray(bayes_classifier(MIXTURE))
    counts = rng.multinomial(n, MIXTURE.probabilities, size=REPEATS)
    return (rng.binomial(counts, best) + 1) / (counts + 2)


@pytest.mark.parametrize("n", [1, 10, 100, 1000])
def test_tabular_mean_excess_risk(n):
    rng = np.random.default_rng(n)
    risks = np.asarray([float(excess_risk(MIXTURE, f)) for f in add_one(rng, n)])
    # five standard errors of the Monte Carlo mean
    assert risks.mean() - 5 * risks.std() / math.sqrt(REPEATS) <= tabular_excess_risk(8, n)


def test_tabular_is_tight_within_a_factor_two_for_many_samples():
    # asymptotically each cell costs (1/2)/n, half of the bound
    rng = np.random.default_rng(0)
    risks = [float(excess_risk(MIXTURE, f)) for f in add_one(rng, 10_000)]
    assert 0.4 <= np.mean(risks) / tabular_excess_risk(8, 10_000) <= 1


@pytest.mark.parametrize("k", [0, 3, 20])
@pytest.mark.parametrize("theta", [0.0, 0.01, 0.3, 0.5])
def test_tabular_cell_lemma(k, theta):
    """E kl(θ‖(K+1)/(N+2)) ≤ log((N+2)/(N+1)) for K ~ Binomial(N, θ), summed exactly."""
    total = 0.0
    for j in range(k + 1):
        weight = math.comb(k, j) * theta**j * (1 - theta) ** (k - j)
        b = (j + 1) / (k + 2)
        first = theta * math.log(theta / b) if theta else 0.0
        total += weight * (first + (1 - theta) * math.log((1 - theta) / (1 - b)))
    assert total <= math.log((k + 2) / (k + 1)) + 1e-15


@pytest.mark.parametrize("method", ["best", "chernoff", "empirical-bernstein", "hoeffding"])
@pytest.mark.parametrize("n", [20, 400])
def test_heldout_bound_covers(method, n):
    """95 % bounds on a skewed loss cover at least 95 % within binomial error."""
    rng = np.random.default_rng(7)
    risk = 0.05 * 3.0 + 0.95 * 0.1
    covered = 0
    for _ in range(REPEATS):
        losses = np.where(rng.random(n) < 0.05, 3.0, 0.1)
        covered += heldout_risk_upper_bound(losses, 0.95, upper=3.0, method=method) >= risk
    # three standard deviations of a binomial at 0.95
    assert covered / REPEATS >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / REPEATS)


def test_coverage_test_can_fail():
    """The bare mean, a bound of no confidence, would not pass."""
    rng = np.random.default_rng(7)
    means = np.where(rng.random((REPEATS, 20)) < 0.05, 3.0, 0.1).mean(axis=1)
    assert np.mean(means >= 0.245) < 0.9


def test_from_samples_to_forget_error_end_to_end():
    """Held-out losses → δ → the forget error: the 95 % chain covers at least 95 %."""
    rng = np.random.default_rng(3)
    best = np.asarray(bayes_classifier(MIXTURE))
    miss = np.where(best < 1, 1 - best, 1.0)  # log 1 = 0 where f* = 1
    bayes_risk = -float(
        np.sum(MIXTURE.probabilities * (best * np.log(best) + (1 - best) * np.log(miss)))
    )
    repeats, n, floor, covered = 300, 2000, 1e-3, 0
    upper = -math.log(floor)
    for f in add_one(rng, 500)[:repeats]:
        f = np.clip(f, floor, 1 - floor)
        z = rng.choice(8, n, p=np.asarray(MIXTURE.probabilities))
        losses = -np.where(rng.random(n) < best[z], np.log(f[z]), np.log1p(-f[z]))
        delta = max(heldout_risk_upper_bound(losses, 0.95, upper=upper) - bayes_risk, 0.0)
        log_q = temper_then_tilt(MIXTURE.log_density, np.log(f), 2.0, 1.0, MIXTURE.log_reference)
        bound = min(b.value for b in guarantee(MIXTURE, delta, 2.0) if b.quantity == "forget_error")
        covered += float(forget_error(MIXTURE, log_q)) <= bound
    assert covered / repeats >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / repeats)


@given(st.floats(0, 1), st.floats(1e-12, 20))
def test_chernoff_is_never_above_hoeffding(mean, k):
    assert kl_inverse(mean, k) <= mean + math.sqrt(k / 2) + 1e-12


def test_erm_bound_covers_on_a_two_dimensional_problem():
    """The excess risk of constrained logistic regression stays below the bound."""
    rng = np.random.default_rng(5)
    phi = np.eye(2)
    truth, w_norm, n = np.asarray([0.8, -0.6]), 1.0, 400
    theta = 1 / (1 + np.exp(-phi @ truth))
    worst = 0.0
    for _ in range(50):
        z = rng.integers(0, 2, n)
        y = rng.random(n) < theta[z]
        counts = np.asarray([[np.sum(y[z == i]), np.sum(~y[z == i])] for i in range(2)])

        def loss(w, counts=counts):
            return (
                np.sum(counts[:, 0] * np.logaddexp(0, -w) + counts[:, 1] * np.logaddexp(0, w)) / n
            )

        ball = {"type": "ineq", "fun": lambda w: w_norm**2 - w @ w}
        w = minimize(loss, np.zeros(2), constraints=[ball], method="SLSQP").x
        f = 1 / (1 + np.exp(-w))
        kl = theta * np.log(theta / f) + (1 - theta) * np.log((1 - theta) / (1 - f))
        worst = max(worst, float(kl.mean()))
    assert 0 < worst <= erm_excess_risk(n, w_norm, 1.0)


def test_formulas_where_they_can_be_read_off():
    losses = np.asarray([0.0, 1.0] * 50)
    log_term = math.log(20)
    hoeffding = heldout_risk_upper_bound(losses, 0.95, upper=2.0, method="hoeffding")
    assert hoeffding == pytest.approx(0.5 + 2 * math.sqrt(log_term / 200))
    log_term = math.log(40)
    bernstein = heldout_risk_upper_bound(losses, 0.95, upper=2.0, method="empirical-bernstein")
    variance = 25 / 99
    assert bernstein == pytest.approx(
        0.5 + math.sqrt(2 * variance * log_term / 100) + 14 * log_term / (3 * 99)
    )
    for method in ("hoeffding", "chernoff", "empirical-bernstein", "best"):
        assert heldout_risk_upper_bound([2.0], upper=2.0, method=method) == 2.0
    assert erm_excess_risk(100, 2.0, 3.0, 0.95, 0.5) == pytest.approx(
        0.5 + 12 * (0.1 + math.sqrt(math.log(40) / 200))
    )


def test_wrong_use_is_named():
    with pytest.raises(AssumptionError, match=r"losses\[1\] must lie in \[0, 1.0\], got 2.0"):
        heldout_risk_upper_bound([0.5, 2.0], upper=1.0)
    with pytest.raises(AssumptionError, match="confidence must lie in"):
        heldout_risk_upper_bound([0.5], 1.0, upper=1.0)
    with pytest.raises(AssumptionError, match="method must be"):
        heldout_risk_upper_bound([0.5], upper=1.0, method="guess")
    with pytest.raises(AssumptionError, match="n must be at least 1"):
        erm_excess_risk(0, 1.0, 1.0)
    with pytest.raises(AssumptionError, match="atoms must be at least 1"):
        tabular_excess_risk(0, 1)
