"""The same numbers from 50-digit arithmetic, other array libraries, and gradients."""

from __future__ import annotations

import math
from typing import Any

import array_api_strict
import mpmath
import numpy as np
import pytest
import torch
from exact import exact
from hypothesis import given
from strategies import classifiers, instances, mixtures

from t3theory import (
    Mixture,
    bayes_log_odds,
    excess_risk,
    forget_error,
    overlap,
    retain_error,
    temper_then_tilt,
    tilted_score,
)
from t3theory.bounds import evaluate
from t3theory.classifier import excess_risk_of_log_odds
from t3theory.divergences import bernoulli_kl, kl_divergence
from t3theory.envelope import worst_case


def ours(m: Mixture, f: Any, temperature: float, log: Any = np.log) -> dict[str, float]:
    log_q = temper_then_tilt(m.log_density, log(f), temperature, 1.0, m.log_reference)
    return {
        "risk": float(excess_risk(m, f)),
        "overlap": float(overlap(m)),
        "retain": float(retain_error(m, log_q)),
        "forget": float(forget_error(m, log_q)),
    }


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("temperature", [1.0, 2.0, 7.5])
def test_agrees_with_fifty_digits(seed, temperature):
    rng = np.random.default_rng(seed)
    retain, forget = rng.dirichlet(np.ones(12), 2)
    m = Mixture(retain, forget, 0.2, rng.uniform(0.1, 1, 12))
    f = rng.uniform(0.05, 0.95, 12)
    true, found = exact(m, f, temperature), ours(m, f, temperature)
    # the laws sum to 1 only to 1e-16, which Σ P log(P/Q) and Σ (P log(P/Q) − P + Q) see
    # differently: far below 1e-12 of errors of order 0.1
    for name, value in found.items():
        assert value == pytest.approx(float(true[name]), rel=1e-12), name


def test_small_divergence_keeps_its_digits():
    for gap in (1e-3, 1e-6, 1e-9):
        p = np.asarray([0.25, 0.75])
        x = math.log(p[0] / p[1])
        exact_value = mpmath.mpf(0)
        a = [1 / (1 + mpmath.exp(-mpmath.mpf(s) * mpmath.mpf(x))) for s in (1, -1)]
        b = [1 / (1 + mpmath.exp(-mpmath.mpf(s) * mpmath.mpf(x + gap))) for s in (1, -1)]
        exact_value = sum(u * mpmath.log(u / v) for u, v in zip(a, b, strict=True))
        found = float(bernoulli_kl(np.asarray(x), np.asarray(x + gap)))
        # x + gap is rounded to 1e-16, which a relative gap of 1e-9 feels as 1e-7 twice
        assert found == pytest.approx(float(exact_value), rel=max(1e-12, 4e-16 / gap))


@given(instances(max_atoms=40))
def test_finite_and_right_on_extreme_instances(instance):
    m, f, temperature = instance
    with np.errstate(divide="ignore"):
        found = ours(m, f, temperature)
    assert not any(math.isnan(x) for x in found.values())
    if np.all((f > 0) & (f < 1)):
        true = exact(m, f, temperature)
        size = max(float(np.max(m.retain / m.reference)), 1.0)
        # both sums are of numbers up to `size`; a law may be off 1 by 40 roundings
        for name, value in found.items():
            scale = 1e-13 * (size if name == "forget" else 1.0)
            assert value == pytest.approx(float(true[name]), rel=1e-10, abs=scale), name


@given(mixtures(max_atoms=30))
def test_bayes_classifier_has_no_excess_risk(m):
    # as log-odds: as a probability it may round to 1 where the forget mass is 1e-80, and its
    # risk is then truly infinite
    assert float(excess_risk_of_log_odds(m, bayes_log_odds(m))) == 0


@pytest.fixture(params=["numpy", "strict", "torch", "torch32", "gradients"])
def make(request):
    """From NumPy to the library under test, and the relative rounding to expect of it."""
    if request.param == "numpy":
        return np.asarray, np.log, 1e-14
    if request.param == "strict":
        return array_api_strict.asarray, array_api_strict.log, 1e-12
    kind = torch.float32 if request.param == "torch32" else torch.float64
    # single precision: 12 atoms, logs of size up to 10: 1e-7 · 12 · 10
    rounding = 2e-5 if request.param == "torch32" else 1e-12
    wanted = request.param == "gradients"  # such a tensor is not read by another library

    def convert(x: Any) -> torch.Tensor:
        return torch.tensor(np.asarray(x), dtype=kind, requires_grad=wanted)

    return convert, torch.log, rounding


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad")
def test_every_array_library_has_a_worst_case(make):
    """Single precision and gradients too: laws are made float64 and sum to 1 again."""
    convert, _, rounding = make
    rng = np.random.default_rng(0)
    retain, forget = rng.dirichlet(np.ones(12), 2)
    parts = [convert(x) for x in (retain, forget)]
    if isinstance(parts[0], torch.Tensor):
        parts[0].requires_grad_()
    found = worst_case(Mixture(*parts, 0.2), 0.01)
    assert found.lower <= found.upper
    want = worst_case(Mixture(retain, forget, 0.2), 0.01)
    # 5e-4: where the searches stop
    assert found.upper == pytest.approx(want.upper, rel=5e-4 + rounding)


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad")
def test_every_array_library_gives_the_same(make):
    convert, log, rounding = make
    rng = np.random.default_rng(0)
    retain, forget = rng.dirichlet(np.ones(12), 2)
    mu, f = rng.uniform(0.1, 1, 12), rng.uniform(0.05, 0.95, 12)
    m = Mixture(retain, forget, 0.2, mu)
    parts = (convert(x) for x in (retain, forget, mu))
    other = Mixture(*(p for p in [*parts][:2]), 0.2, convert(mu))
    g = convert(f)
    want, found = ours(m, f, 2.0), ours(other, g, 2.0, log)
    for name, value in want.items():
        assert found[name] == pytest.approx(value, rel=rounding), name
    for t in (1.0, 2.0):
        for a, b in zip(evaluate(m, f, t), evaluate(other, g, t), strict=True):
            assert b.value == pytest.approx(a.value, rel=20 * rounding), a
            assert (a.letter, a.variant, a.quantity) == (b.letter, b.variant, b.quantity)
    # a list becomes what the mixture is made of
    assert [b.value for b in evaluate(other, g, 2.0)] == pytest.approx(
        [b.value for b in evaluate(other, f.tolist(), 2.0)], rel=20 * rounding
    )
    for error in (retain_error, forget_error):
        level = [0.0] * 12
        assert float(error(other, level)) == pytest.approx(
            float(error(m, level)), rel=20 * rounding
        )


@pytest.mark.parametrize("function", [evaluate, retain_error, forget_error])
def test_libraries_are_not_mixed(function):
    with pytest.raises(TypeError, match=r"(?i)multiple"):
        function(Mixture([0.5, 0.5], [0.0, 1.0], 0.5), torch.tensor([0.5, 0.5]))


def test_gradients_through_the_estimator():
    rng = np.random.default_rng(1)
    log_p = torch.tensor(rng.normal(size=(3, 5)), requires_grad=True)
    log_f = torch.tensor(-rng.uniform(0.1, 3, (3, 5)), requires_grad=True)
    mu = torch.tensor(rng.normal(size=5))

    def estimate(a, b):
        return temper_then_tilt(a, b, 2.5, 1.3, mu)

    assert torch.autograd.gradcheck(estimate, (log_p, log_f))
    assert torch.autograd.gradcheck(lambda a, b: tilted_score(a, b, 2.0), (log_p, log_f))


def test_gradients_through_the_divergence_and_at_empty_atoms():
    rng = np.random.default_rng(2)
    a = torch.tensor(rng.normal(size=6), requires_grad=True)
    b = torch.tensor(rng.normal(size=6), requires_grad=True)

    def divergence(x, y):
        return kl_divergence(torch.log_softmax(x, -1), torch.log_softmax(y, -1))

    assert torch.autograd.gradcheck(divergence, (a, b))
    log_p = torch.tensor([0.0, -torch.inf, -1.0], dtype=torch.float64)
    log_f = torch.tensor([-0.1, -0.5, -2.0], dtype=torch.float64, requires_grad=True)
    torch.sum(torch.exp(temper_then_tilt(log_p, log_f, 2.0))[:1]).backward()
    assert torch.all(torch.isfinite(log_f.grad))


@given(mixtures(max_atoms=10).flatmap(lambda m: classifiers(m).map(lambda f: (m, f))))
def test_atoms_may_be_reordered(instance):
    m, f = instance
    order = np.arange(m.size)[::-1]
    back = Mixture(m.retain[order], m.forget[order], m.gamma, m.reference[order])
    with np.errstate(divide="ignore"):
        a, b = ours(m, f, 2.0), ours(back, f[order], 2.0)
    for name in a:
        assert a[name] == pytest.approx(b[name], rel=1e-10, abs=1e-13)
