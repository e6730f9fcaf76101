"""Bounds where rounding could make them false: γ down to 1e-300 and up to 1 − 1e-15, f at its ends."""

from __future__ import annotations

import math

import numpy as np
import pytest
from exact import exact
from hypothesis import given
from hypothesis import strategies as st

from t3theory import Mixture, bayes_classifier, excess_risk
from t3theory.bounds import evaluate, guarantee
from t3theory.bounds.leakage import worst_leak
from t3theory.temperature import spike_worst_forget_error

GAMMAS = [1e-300, 1e-100, 1e-20, 1e-16, 1e-14, 1e-12, 0.1, 0.5, 1 - 1e-12, 1 - 1e-15]
VALUES = [1e-300, 1e-16, 1e-8, 0.1, 0.5, 0.9, 1 - 1e-8, 1 - 1e-16, 0.998]


def extreme(seed: int, gamma: float) -> tuple[Mixture, np.ndarray]:
    """Two to four atoms: disjoint supports, laws that are nearly the same, or any."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 5))
    retain, forget = rng.dirichlet(np.full(n, 10 ** rng.uniform(-1, 1)), 2)
    kind = rng.integers(3)
    if kind == 0:
        cut = int(rng.integers(1, n))
        retain[:cut], forget[cut:] = 0.0, 0.0
        retain[-1] += retain.sum() == 0
        forget[0] += forget.sum() == 0
    elif kind == 1:
        forget = retain * np.exp(rng.normal(size=n) * 10.0 ** rng.uniform(-8, 0))
    retain, forget = (x / x.sum() / (x / x.sum()).sum() for x in (retain, forget))
    return Mixture(retain, forget, gamma, 10 ** rng.uniform(-4, 0, n)), rng.choice(VALUES, n)


@given(st.integers(0, 2**32 - 1), st.sampled_from(GAMMAS), st.sampled_from([1.0, 1.5, 8.0]))
def test_no_bound_is_false_by_rounding(seed, gamma, temperature):
    m, f = extreme(seed, gamma)
    true = exact(m, f, temperature)
    densities = np.asarray([float(x) for x in true["estimate"]])
    highest = np.maximum(densities, np.asarray(m.retain / m.reference))
    # conditioning: log p̂ and log p_r are known to 700 roundings of 1e-16, so their difference
    # to 1e-13 of the densities, and log(P_r/P̂) to 1e-13; relative errors are far below 1e-9
    absolute = {
        "forget_error": 1e-13 * float(np.sum(m.forget * highest)),
        "retain_error": 1e-13,
    }
    for b in evaluate(m, f, temperature):
        error = float(true[b.quantity.removesuffix("_error")])
        high, low = (b.value, error) if b.direction == "upper" else (error, b.value)
        assert low <= high * (1 + 1e-9) + absolute[b.quantity], (b, error)


@pytest.mark.parametrize("gamma", GAMMAS[:6])
def test_leakage_is_the_worst_case_for_shares_below_rounding(gamma):
    """Disjoint uniform supports: the classifier that spends its risk as Q says attains Q."""
    delta, h = 0.3, 100.0
    b, rest = worst_leak(0.0, gamma, 1 - gamma, delta)
    m = Mixture([1.0, 0.0], [0.0, 1.0], gamma, [1.0, 1 / h])
    f = np.asarray([np.exp(-rest / (1 - gamma)), b])
    if b == 1.0:  # 1 − b is γ, below the rounding of b: its risk γ log(1/γ) is far below δ
        f[1] = np.nextafter(1.0, 0.0)
    for t in (1.0, 2.0):
        (q,) = (x.value for x in evaluate(m, f, t) if x.letter == "Q")
        # 1e-9: δ(f) is δ to rounding; at γ = 1e-12 and f one rounding below 1 to 4e-11
        assert float(exact(m, f, t)["forget"]) == pytest.approx(q, rel=1e-9)


def test_atoms_below_the_least_product_have_a_finite_bound():
    """γ·E_{P_f}[f*] underflows: no division by zero, and no bound of 0."""
    m = Mixture([0.0, 1.0], [1.0, 1.6e-195], 1e-300, [7.4e25, 7.4e25])
    f = np.asarray([0.0, 0.998])
    values = {b.letter: b.value for b in evaluate(m, f) if b.direction == "upper"}
    true = float(exact(m, f, 1.0)["forget"])
    assert true <= values["Q"] < np.inf


@pytest.mark.parametrize("gamma", [5e-324, 1e-300, 1e-100, 1e-25, 1e-23])
def test_a_share_of_a_share_below_the_floats_has_a_bound(gamma):
    """Q "split": the share raised is halved until γθ underflows where the largest leak is at 0."""
    m = Mixture([0.9, 0.1], [1.0, 0.0], gamma, [0.1, 1.0])
    (split,) = (b.value for b in guarantee(m, 0.1, 8.0) if b.variant == "split")
    assert split == pytest.approx(9.0, rel=2e-3)  # nothing can overshoot p_r = 9, all can be lost


def test_an_atom_whose_probability_underflows_is_counted():
    """P = γP_f = 1e-400 has no float, but its μ is most of μ(P > 0) and its v = P^{−1/2} the largest."""
    m = Mixture([1.0, 0.0], [1.0, 1e-200], 1e-200, [1.0, 1e6])
    (slow,) = (b for b in guarantee(m, 0.02, 2.0) if (b.letter, b.variant) == ("H", "slow"))
    assert slow.terms["normaliser_gap"] == pytest.approx(math.sqrt(1e6 * 0.01), rel=1e-5)
    (centred,) = (b for b in guarantee(m, 0.02, 2.0) if b.variant == "centred")
    # δ·M·max v, M = 1
    assert centred.terms["centred_gap"] >= 0.02 * 1e200 * math.sqrt(1e6) * (1 - 1e-9)


def spread_out(seed: int) -> tuple[Mixture, np.ndarray, float]:
    """One to four atoms, each law, γ and each reference weight anywhere down to 1e-300."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 5))
    laws = 10.0 ** (-300 * rng.random((2, n)) * rng.random((2, 1)))
    laws[rng.random((2, n)) < 0.2] = 0.0
    laws[laws.sum(axis=1) == 0, 0] = 1.0
    laws[1] = laws[rng.integers(2)]
    retain, forget = (x / x.sum() / (x / x.sum()).sum() for x in laws)
    # heavy atoms have heavy references, so that no density overflows
    reference = np.maximum(10.0 ** (rng.uniform(-290, 290) + rng.uniform(-9, 9, n)), 1e-300)
    m = Mixture(retain, forget, 10 ** -rng.uniform(0.1, 300), reference)
    f = np.clip(np.asarray(bayes_classifier(m)) * np.exp(rng.normal(size=n)), 1e-300, 1 - 1e-16)
    return m, f, float(rng.choice([1.0, 1.5, 2.0, 8.0]))


@given(st.integers(0, 2**32 - 1))
def test_bounds_hold_wherever_an_instance_lies(seed):
    m, f, temperature = spread_out(seed)
    true = exact(m, f, temperature)
    densities = np.asarray([float(x) for x in true["estimate"]])
    size = float(np.sum(m.forget * np.maximum(densities, np.asarray(m.retain / m.reference))))
    risk = float(excess_risk(m, f)) * (1 + 1e-12)
    for b in evaluate(m, f, temperature) + guarantee(m, risk, temperature):
        error = float(true[b.quantity.removesuffix("_error")])
        high, low = (b.value, error) if b.direction == "upper" else (error, b.value)
        # as above: what cancels in p̂ − p_r and in log(P_r/P̂)
        slack = 1e-12 * (size if b.quantity == "forget_error" else 1.0)
        assert low <= high * (1 + 1e-9) + slack, (b, error)


def test_moments_that_underflow_apart_give_a_bound():
    """G "centred" squares weights of 1e162 that γ divides: in one unit some vanish, others do not."""
    m = Mixture([1.0], [1.0], 1e-170, [1e-85])
    (found,) = (b for b in guarantee(m, 1e-8, 2.0) if b.variant == "centred")
    # one atom: w = p_f p^{−1/2}, N* = μ p^{1/2}, and the root of φ ≤ γ w² is far below δ w
    want = 2 * 1e-8 * 10.0**42.5 / 10.0**-42.5
    assert found.value == pytest.approx(want, rel=1e-7)


@pytest.mark.parametrize("gamma", [1e-20, 1e-12, 1e-3])
def test_spike_worst_case_for_tiny_shares(gamma):
    """As γ → 0 the spike is a retain atom like any other: raised by lowering all the rest."""
    h, delta = 1.2, 0.2
    low = np.exp(-delta / (1 - 1 / h))
    limit = 1 / (1 / h + (1 - 1 / h) * low) - 1
    # the spike itself can still be moved a little at a risk of order γ log(1/γ)
    assert spike_worst_forget_error(h, gamma, delta) == pytest.approx(
        limit, rel=500 * gamma + 1e-12
    )


@given(st.integers(0, 2**32 - 1), st.sampled_from(GAMMAS))
def test_bayes_classifier_is_silent_and_right(seed, gamma):
    m, _ = extreme(seed, gamma)
    r, q = (np.asarray(x, dtype=np.longdouble) for x in (m.retain, m.forget))
    g = np.longdouble(gamma)
    want = np.where(r + q > 0, (1 - g) * r / np.where(r + q > 0, (1 - g) * r + g * q, 1), 0.5)
    # log-odds up to 700 are rounded at 1e-13
    assert np.asarray(bayes_classifier(m)) == pytest.approx(want.astype(float), rel=2e-13)


@pytest.mark.parametrize(
    ("f", "scale"), [([1e-4, 1e-4], 100.0), ([1e-150, 1e-150], 7.0), ([1e-4, 1e-5], 100.0)]
)
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_a_normaliser_below_the_floats_is_no_zero(f, scale, temperature):
    """f^s = 1e-400 and less is positive all the same: every bound holds of the estimate."""
    m = Mixture([0.5, 0.5], [0.0, 1.0], 0.5)
    # what f^s is proportional to gives the same estimate
    true = exact(m, (np.asarray(f) / f[0]) ** scale, temperature)
    found = evaluate(m, f, temperature, scale)
    assert {"G", "H", "Q"} <= {b.letter for b in found}
    for b in found:
        error = float(true[b.quantity.removesuffix("_error")])
        high, low = (b.value, error) if b.direction == "upper" else (error, b.value)
        assert low <= high * (1 + 1e-9), b
