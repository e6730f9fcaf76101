"""K: the sample bounds cover what they should, and how conservatively."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from t3theory import AssumptionError, Mixture, bayes_classifier, excess_risk
from t3theory.bounds import guarantee, necessity_instance
from t3theory.bounds.pinsker import kl_inverse
from t3theory.errors import forget_error
from t3theory.estimator import temper_then_tilt
from t3theory.samples import erm_excess_risk, heldout_risk_upper_bound, tabular_excess_risk

REPEATS = 2000
CHAIN = [1.12, 1.65]  # docs/theory.md, K: with the Bayes risk known, and without
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


def test_tabular_bound_is_attained_where_labels_are_certain():
    """Disjoint supports, E kl = Σ P(z) E[log((N+2)/(N+1))] summed exactly: 1 % less is false."""
    n, total = 2000, 0.0
    for p in (0.3, 0.7):
        log_p, log_q = math.log(p), math.log1p(-p)
        for k in range(n + 1):
            ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
            total += p * math.exp(ways + k * log_p + (n - k) * log_q) * math.log1p(1 / (k + 1))
    assert 0.99 <= total / tabular_excess_risk(2, n) <= 1


def test_chernoff_bound_is_attained_where_no_loss_was_seen():
    """n losses of 0 or 3: had the bound at none been 1 % less, it would cover less than 95 %."""
    n = 50
    bound = heldout_risk_upper_bound(np.zeros(n), 0.95, upper=3.0, method="chernoff")
    assert (1 - bound / 3) ** n == pytest.approx(0.05, rel=1e-12)
    risk = 0.995 * bound  # above 0.99 of it, and missed by it whenever no loss is seen
    assert (1 - risk / 3) ** n > 0.05


@pytest.mark.parametrize(
    ("method", "n", "share"),
    [("hoeffding", 10_000, 0.95), ("empirical-bernstein", 1_000_000, 0.92)],
)
def test_smaller_deviations_are_missed_too_often(method, n, share):
    """Fair coins and η = 1e-15: the binomial's own tail refutes `share` of the deviation.

    Both constants are least only as η → 0, where √(2 log 1/η) is the normal's quantile.
    """
    eta = 1e-15
    losses = np.zeros(n)
    losses[: n // 2] = 1.0
    bound = heldout_risk_upper_bound(losses, 1 - eta, upper=1.0, method=method)
    allowed = 1 - (1 - eta)

    def miss(share: float) -> float:
        # the variance is largest at n/2, so that fewer ones have no larger deviation
        return binom.cdf(math.ceil(n / 2 - share * n * (bound - 0.5)) - 1, n, 0.5)

    assert miss(1.0) <= allowed < miss(share)


def test_a_smaller_last_part_of_empirical_bernstein_is_missed_too_often():
    """No loss was seen: (1 − risk)ⁿ is above η for a risk of 0.42 of the bound, 7/3 for 1."""
    n, eta = 100_000, 1e-12
    bound = heldout_risk_upper_bound(np.zeros(n), 1 - eta, upper=1.0, method="empirical-bernstein")
    assert (1 - bound) ** n <= eta < (1 - 0.415 * bound) ** n


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


CONSERVATIVE = {  # docs/theory.md, K: mean of bound/risk at n = 100, 400, 2,000
    "chernoff": (2.01, 1.46, 1.19),
    "best": (2.15, 1.52, 1.22),
    "hoeffding": (2.50, 1.75, 1.34),
}


@pytest.mark.parametrize("n", [100, 400, 2000])
def test_bounds_are_as_conservative_as_the_page_says(n):
    """Losses of 3 with probability 0.05 and 0.1 otherwise, over all counts of the first."""
    risk, place = 0.05 * 3 + 0.95 * 0.1, [100, 400, 2000].index(n)
    seen = np.arange(binom.ppf(1e-6, n, 0.05), binom.ppf(1 - 1e-6, n, 0.05) + 1)
    chance = binom.pmf(seen, n, 0.05)
    for method, want in CONSERVATIVE.items():
        found = np.asarray(
            [
                heldout_risk_upper_bound(
                    np.where(np.arange(n) < k, 3.0, 0.1), 0.95, upper=3.0, method=method
                )
                for k in seen
            ]
        )
        assert chance @ found / risk == pytest.approx(want[place], abs=0.006)
        assert chance @ (found >= risk) > 0.999
    # mean + constant: the constant is what the mean falls short by in 95 %
    means = (seen * 3 + (n - seen) * 0.1) / n
    short = risk - means[np.searchsorted(np.cumsum(chance), 0.05)]
    assert 1 + short / risk == pytest.approx((1.36, 1.21, 1.09)[place], abs=0.006)


def test_the_chain_can_fail_where_the_error_follows_the_risk():
    """F's instance at T = 1: the guarantee is attained, so a bound on δ covers as it does the error."""
    n, delta = 200, 0.01
    m, f = necessity_instance(100.0, 0.1, delta=delta)
    log_q = temper_then_tilt(m.log_density, np.log(f), 1.0, 1.0, m.log_reference)
    error, loss = float(forget_error(m, log_q)), -math.log1p(-f[1])
    counts = np.random.default_rng(3).binomial(n, 0.1, REPEATS)

    def coverage(bound):
        held = 0
        for k, times in zip(*np.unique(counts, return_counts=True), strict=True):
            risk = bound(np.where(np.arange(n) < k, loss, 0.0))  # the Bayes risk is 0
            values = [b.value for b in guarantee(m, risk) if b.quantity == "forget_error"]
            held += times * (error <= min(values))
        return held / REPEATS

    chain = coverage(lambda losses: heldout_risk_upper_bound(losses, 0.95, upper=loss))
    assert 0.95 - 3 * math.sqrt(0.95 * 0.05 / REPEATS) <= chain < 1
    assert coverage(np.mean) < 0.65


def test_from_samples_to_forget_error_end_to_end():
    """Held-out losses → δ → the forget error, with the Bayes risk known and without."""
    rng = np.random.default_rng(3)
    best = np.asarray(bayes_classifier(MIXTURE))
    miss = np.where(best < 1, 1 - best, 1.0)  # log 1 = 0 where f* = 1
    bayes_risk = -float(
        np.sum(MIXTURE.probabilities * (best * np.log(best) + (1 - best) * np.log(miss)))
    )
    # The guarantee increases with δ: its value at the grid's next lower point covers no more.
    grid = np.geomspace(1e-4, 8, 200)
    promised = np.asarray(
        [
            min(b.value for b in guarantee(MIXTURE, d, 2.0) if b.quantity == "forget_error")
            for d in grid
        ]
    )
    assert np.all(np.diff(promised) >= 0)
    n, floor, ratios = 2000, 1e-3, []
    upper = -math.log(floor)
    for f in add_one(rng, 500):
        f = np.clip(f, floor, 1 - floor)
        z = rng.choice(8, n, p=np.asarray(MIXTURE.probabilities))
        losses = -np.where(rng.random(n) < best[z], np.log(f[z]), np.log1p(-f[z]))
        risk = heldout_risk_upper_bound(losses, 0.95, upper=upper)
        log_q = temper_then_tilt(MIXTURE.log_density, np.log(f), 2.0, 1.0, MIXTURE.log_reference)
        error = float(forget_error(MIXTURE, log_q))
        deltas = np.maximum([risk - bayes_risk, risk], grid[0])
        ratios.append(promised[np.maximum(np.searchsorted(grid, deltas) - 1, 0)] / error)
    # the bias of tempering is most of the error here, and the bounds know it
    assert np.min(ratios) >= 1
    assert np.median(ratios, axis=0) == pytest.approx(CHAIN, rel=0.02)


@given(st.floats(0, 1), st.floats(1e-12, 20))
def test_chernoff_is_never_above_hoeffding(mean, k):
    assert kl_inverse(mean, k) <= mean + math.sqrt(k / 2) + 1e-12


def constrained_fits(kept: np.ndarray, dropped: np.ndarray, norm: float) -> np.ndarray:
    """argmin of the log-loss over ‖w‖ ≤ norm for one-hot features, shape (repeats, features).

    By the multiplier λ ≥ 0: each coordinate solves kept − (kept+dropped)σ(w) = λw. Two nested
    bisections, all repeats at once.
    """

    def fit(multiplier: np.ndarray) -> np.ndarray:
        low, high = np.full(kept.shape, -20.0), np.full(kept.shape, 20.0)
        for _ in range(50):
            w = (low + high) / 2
            up = kept - (kept + dropped) / (1 + np.exp(-w)) > multiplier[:, None] * w
            low, high = np.where(up, w, low), np.where(up, high, w)
        return low

    least, most = np.zeros(len(kept)), np.full(len(kept), 1e6)
    for _ in range(60):
        middle = (least + most) / 2
        outside = np.linalg.norm(fit(middle), axis=1) > norm
        least, most = np.where(outside, middle, least), np.where(outside, most, middle)
    return fit(most)


@pytest.mark.parametrize("n", [20, 400])
def test_erm_bound_covers(n):
    """The 95 % bound on the excess risk of constrained logistic regression covers it."""
    rng = np.random.default_rng(5)
    truth, norm = np.asarray([0.8, -0.6]), 1.0
    theta = 1 / (1 + np.exp(-truth))
    seen = rng.binomial(n, 0.5, REPEATS)
    counts = np.stack([seen, n - seen], axis=1)
    kept = rng.binomial(counts, theta)
    w = constrained_fits(kept, counts - kept, norm)
    assert np.all(np.linalg.norm(w, axis=1) <= norm + 1e-6)
    f = 1 / (1 + np.exp(-w))
    kl = theta * np.log(theta / f) + (1 - theta) * np.log((1 - theta) / (1 - f))
    covered = np.mean(kl.mean(axis=1) <= erm_excess_risk(n, norm, 1.0))
    assert covered >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / REPEATS)
    # how conservative: even the worst of the repeats is far below it
    assert 0 < kl.mean(axis=1).max() <= 0.25 * erm_excess_risk(n, norm, 1.0)


def test_a_fifth_of_the_erm_bound_is_missed_too_often():
    """One draw of one feature, retain with probability 0.06: then ŵ = W and δ = kl(0.06‖σ(W))."""
    theta, norm = 0.06, 1000.0
    loss_if_wrong = (1 - theta) * norm + theta * math.log(theta) + (1 - theta) * math.log1p(-theta)
    assert loss_if_wrong > 0.19 * erm_excess_risk(1, norm, 1.0, 0.95)  # with probability 0.06
    assert theta > 0.05


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
