"""L and N: sequences against brute force, and what a gate guarantees."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import joint_laws

from t3theory import AssumptionError, Mixture
from t3theory.contexts import ContextMixture
from t3theory.divergences import kl_divergence
from t3theory.gated_errors import gated_error_bounds
from t3theory.gating import (
    gate_guarantee,
    gate_signal,
    gated_temperature,
    retain_bias_bound,
    soft_gate_bias_bound,
)
from t3theory.sequences import (
    position_retain_bound,
    positions,
    sequence_log_probabilities,
    sequence_retain_bound,
    tempered_sequence_retain_bound,
)

# sums over at most 64 terms
ROUNDING = 1e-11


@given(joint_laws((3, 3, 3)), st.floats(1, 10))
def test_sequence_chain_rule_against_brute_force(law, temperature):
    retain, forget, gamma, _ = law
    log_qs, per_token = [], 0.0
    rng = np.random.default_rng(0)
    for m in positions(retain, forget, gamma):
        f = rng.uniform(0.05, 1, m.retain.shape)
        t = gated_temperature(gate_signal(m, f), temperature, 0.5)
        log_qs.append(m.estimate(f, t))
        per_token += m.retain_error(log_qs[-1])
    whole = sequence_log_probabilities(log_qs)
    assert float(np.sum(np.exp(whole))) == pytest.approx(1, rel=ROUNDING)
    log_r = Mixture(retain.ravel(), forget.ravel(), gamma).log_retain
    assert float(kl_divergence(log_r, whole.ravel())) == pytest.approx(
        per_token, rel=ROUNDING, abs=ROUNDING
    )


@given(joint_laws((3, 3, 3)))
def test_sequence_retain_bound(law):
    retain, forget, gamma, _ = law
    rng = np.random.default_rng(1)
    risks, error = [], 0.0
    for m in positions(retain, forget, gamma):
        f = np.clip(m.bayes_classifier * rng.uniform(0.5, 1, m.retain.shape), 1e-6, 1 - 1e-6)
        risks.append(m.excess_risk(f))
        error += m.retain_error(m.estimate(f))
    assert error <= sequence_retain_bound(risks, gamma) * (1 + ROUNDING)


@given(joint_laws((3, 3, 3)), st.floats(1.0, 10.0), st.booleans())
def test_tempered_sequence_bound(law, temperature, gated):
    """L at T ≥ 1, the same in all contexts or gated, against the true divergence of the sequence."""
    retain, forget, gamma, _ = law
    rng = np.random.default_rng(2)
    mixtures, risks, heats, error = positions(retain, forget, gamma), [], [], 0.0
    for m in mixtures:
        f = np.clip(m.bayes_classifier * rng.uniform(0.5, 1, m.retain.shape), 1e-6, 1 - 1e-6)
        t = gated_temperature(gate_signal(m, f), temperature, 0.3) if gated else temperature
        error += m.retain_error(m.estimate(f, t))
        risks.append(m.excess_risk(f))
        heats.append(t)
    bound = tempered_sequence_retain_bound(mixtures, risks, heats)
    assert error <= bound * (1 + ROUNDING)
    if not gated and temperature == 1:
        assert bound == pytest.approx(sequence_retain_bound(risks, gamma), rel=1e-9)


def test_tempered_sequence_bound_is_attained_and_one_percent_less_is_false():
    """Without risk it is the bias; at T = 1 it is the bound that B's extreme attains."""
    m = ContextMixture([[0.7, 0.3]], [[0.2, 0.8]], 0.25)
    for t in (2.0, np.asarray([4.0])):
        bias = m.retain_error(m.estimate(m.bayes_classifier, t))
        assert bias > 1e-3
        assert position_retain_bound(m, 0.0, t) == pytest.approx(bias, rel=1e-12)
    # by hand, one context at T = 2
    p, f = np.asarray([0.575, 0.425]), np.asarray([0.525 / 0.575, 0.225 / 0.425])
    u = 0.75 * p**-0.5 / np.sum(p**0.5 * f)
    bias = m.retain_error(m.estimate(m.bayes_classifier, 2.0))
    wanted = bias + (0.01 + math.sqrt(np.sum(p * (u - 1) ** 2) * 0.01 / 2)) / 0.75
    assert position_retain_bound(m, 0.01, 2.0) == pytest.approx(wanted, rel=1e-12)
    mass, low = 1e-8, 1e-300
    m = ContextMixture([[1 - mass, mass, 0.0]], [[0.0, 0.0, 1.0]], 0.1)
    f = np.asarray([[1.0, low, 0.0]])
    assert m.retain_error(m.estimate(f)) / position_retain_bound(m, m.excess_risk(f)) > 0.99


def test_sequence_bound_is_nearly_attained_so_that_one_percent_less_is_false():
    mass, f = 1e-8, 1e-300
    retain = np.asarray([[1 - mass, 0.0, 0.0], [mass, 0.0, 0.0], [0.0, 0.0, 0.0]])
    forget = np.zeros((3, 3))
    forget[2, 2] = 1.0
    risks, error = [], 0.0
    for m in positions(retain, forget, 0.1):
        values = np.where(m.bayes_classifier > 0.5, 1.0, 0.0)
        if m.retain.shape[0] == 1:
            values[0, 1] = f
        else:
            values[2] = 0.5  # a context with no retain data: any classifier, the risk pays for it
            values[2, 2] = 1e-12
        risks.append(m.excess_risk(values))
        error += m.retain_error(m.estimate(values))
    assert 0.99 <= error / sequence_retain_bound(risks, 0.1) <= 1


@given(joint_laws((4, 3)), st.floats(0.05, 0.95), st.floats(1.0, 20.0))
def test_gate_guarantees(law, threshold, temperature):
    retain, forget, gamma, f = law
    m = ContextMixture(retain, forget, gamma)
    found = gate_guarantee(m, m.excess_risk(f), temperature, threshold, threshold / 2)
    signal, share = gate_signal(m, f), m.forget_share
    on = signal > threshold
    assert np.sum(m.context_probabilities * np.abs(signal - share)) <= found.signal_error + ROUNDING
    assert np.sum(m.forget_contexts[~on]) <= found.missed + ROUNDING
    assert np.sum(m.retain_contexts[on]) <= found.gated_retain + ROUNDING
    t = gated_temperature(signal, temperature, threshold)
    oracle = m.estimate(m.bayes_classifier, t)
    biases = m.retain_errors(oracle)
    seen = m.retain_contexts > 0
    assert np.all((biases <= retain_bias_bound(t, 3, share) + ROUNDING)[seen])
    assert m.retain_error(oracle) <= found.retain_bias + ROUNDING
    left = ContextMixture(retain, forget, gamma)
    log_q = left.estimate(f, t)
    gap = np.abs(np.where(seen[:, None], np.exp(m.log_retain_conditional), 0.0) - np.exp(log_q))
    assert np.sum((forget * gap)[~on]) <= found.ungated_forget_error + ROUNDING


def test_signal_error_is_attained():
    """Disjoint, all of a context's mass moved: Σ P|γ̂−γ| → δ as δ → 0, so 1 % less fails."""
    m = ContextMixture([[1.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]], 0.5)
    f = np.asarray([[1.0, 0.5], [0.5, 1e-6]])
    delta = m.excess_risk(f)
    moved = np.sum(m.context_probabilities * np.abs(gate_signal(m, f) - m.forget_share))
    assert 0.99 * gate_guarantee(m, delta, 2.0).signal_error < moved
    assert moved <= gate_guarantee(m, delta, 2.0).signal_error


def test_a_token_bound_above_one_is_attained_beyond_its_bias():
    """f moved by u − 1 where f* = 1/2: all of √(V_t δ_t/2), so that 1 % less of it is false."""
    law = np.asarray([[0.8, 0.2]])
    m = ContextMixture(law, law, 0.5)
    f = 0.5 + 1e-5 * (0.5 * law**-0.5 / np.sum(law**0.5 / 2) - 1)
    bias = m.retain_error(m.estimate(m.bayes_classifier, 2.0))
    error = m.retain_error(m.estimate(f, 2.0)) - bias
    assert 0.99 <= error / (position_retain_bound(m, m.excess_risk(f), 2.0) - bias) <= 1


def test_gated_retain_contexts_are_attained():
    """A pure retain context that f sees a share just above τ in, τ → 0: Δ/((1−γ)(τ−τ₀))."""
    m = ContextMixture([[0.7, 0.0], [0.3, 0.0], [0, 0]], [[0, 0], [0, 0], [0.5, 0.5]], 0.1)
    f = np.asarray([[1.0, 0.5], [1 - 1.001e-3, 0.5], [1e-12, 1e-12]])
    assert gate_signal(m, f)[:2].tolist() == pytest.approx([0.0, 1.001e-3])
    found = gate_guarantee(m, m.excess_risk(f), 2.0, threshold=1e-3)
    assert 0.99 < 0.3 / found.gated_retain <= 1


def test_bias_of_a_gated_context_is_attained():
    """Nearly all retain data on the outcome of all forget data, the rest spread thin; T → ∞."""
    rest, outcomes = 1e-3, 1000
    retain = np.asarray([[1 - rest, *np.full(outcomes - 1, rest / (outcomes - 1))]])
    forget = np.eye(1, outcomes)
    m = ContextMixture(retain, forget, 1 - 1e-6)
    bias = m.retain_error(m.estimate(m.bayes_classifier, 1e4))
    bound = retain_bias_bound(np.asarray([1e4]), outcomes, m.forget_share)
    assert 0.99 <= bias / bound[0] <= 1
    whole = gate_guarantee(m, 0.0, 1e4, threshold=0.5).retain_bias
    assert 0.99 <= bias / whole <= 1


def test_forget_error_of_what_is_not_gated_is_attained():
    """P_r and the estimate on different outcomes, the forget data on both: 2 max P_f(y|c)."""
    m = ContextMixture([[1.0, 0.0]], [[0.5, 0.5]], 0.9)
    f = np.asarray([[1e-9, 0.999]])
    assert gate_signal(m, f)[0] < 0.9
    bound = gate_guarantee(m, m.excess_risk(f), 2.0, threshold=0.9).ungated_forget_error
    assert 0.99 <= m.forget_error(m.estimate(f, 1.0)) / bound <= 1


def test_missed_forget_contexts_are_attained_at_small_risk():
    """Every context of share just τ: none is gated, P_f(not gated) = 1 = τ/γ."""
    m = ContextMixture([[0.25, 0.25], [0.25, 0.25]], [[0.25, 0.25], [0.25, 0.25]], 0.3)
    signal = gate_signal(m, m.bayes_classifier)
    assert not np.any(signal > 0.3 + 1e-12)
    assert gate_guarantee(m, 0.0, 2.0, threshold=0.3).missed == pytest.approx(1.0)


def test_missed_forget_contexts_are_attained_at_positive_risk():
    """One context of share 1/2 that f sees 0.45 in: all is missed, and 1 % less of Δ is false."""
    m, f = ContextMixture([[1.0]], [[1.0]], 0.5), np.asarray([[0.55]])
    threshold = float(gate_signal(m, f)[0])
    found = gate_guarantee(m, m.excess_risk(f), 2.0, threshold)
    assert found.missed == 1
    assert (threshold + 0.99 * found.signal_error) / m.gamma < 1


def test_missed_forget_contexts_need_the_signal_error():
    """f sees 0.2 in every context, so that a gate at 0.2 misses all; τ/γ alone would be 0.4."""
    m = ContextMixture([[1.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.5, 0.5]], 0.5)
    f = np.asarray([[1.0, 1.0], [0.8, 0.8]])
    signal = gate_signal(m, f)
    threshold = float(np.max(signal))
    assert threshold == pytest.approx(0.2)
    missed = float(np.sum(m.forget_contexts[signal <= threshold]))
    assert threshold / m.gamma < 0.41
    assert missed == 1.0 <= gate_guarantee(m, m.excess_risk(f), 2.0, threshold).missed


def example(apart: bool) -> ContextMixture:
    """Eight retain contexts and one forget context, apart or all with the same share."""
    retain, forget = np.zeros((9, 4)), np.zeros((9, 4))
    rows = slice(0, 8) if apart else slice(0, 9)
    retain[rows] = [0.7, 0.2, 0.1, 0.0]
    forget[8 if apart else rows] = [0.0, 0.0, 0.1, 0.9]
    return ContextMixture(retain / retain.sum(), forget / forget.sum(), 0.1)


def test_gating_helps_where_contexts_are_apart():
    m = example(apart=True)
    f = np.clip(m.bayes_classifier, 1e-3, 1 - 1e-3)
    gated = m.estimate(f, gated_temperature(gate_signal(m, f), 4.0))
    everywhere, nowhere = m.estimate(f, 4.0), m.estimate(f, 1.0)
    assert m.retain_error(gated) == pytest.approx(m.retain_error(nowhere), rel=1e-12)
    assert m.retain_error(gated) < 0.01 * m.retain_error(everywhere)
    assert m.forget_error(gated) == pytest.approx(m.forget_error(everywhere), rel=1e-12)
    assert m.forget_error(gated) < 0.8 * m.forget_error(nowhere)


def test_gating_cannot_help_where_every_context_has_the_same_share():
    m = example(apart=False)
    f = np.clip(m.bayes_classifier, 1e-3, 1 - 1e-3)
    for threshold in (0.0, 0.05, 0.5):
        t = gated_temperature(gate_signal(m, f), 4.0, threshold)
        assert np.ptp(t) == 0  # all or none: one of the two uniform temperatures


@given(joint_laws((4, 3)), st.floats(1.0, 10.0), st.floats(0.0, 0.3))
def test_soft_gate_bias(law, temperature, noise):
    """The gated oracle's bias, T(c) by a classifier's own signal; a temperature a context has its bound."""
    retain, forget, gamma, _ = law
    m = ContextMixture(retain, forget, gamma)
    rng = np.random.default_rng(3)
    star = np.asarray(m.bayes_classifier)
    f = np.clip(star + noise * rng.normal(size=star.shape), 1e-9, 1 - 1e-9)
    heat = gated_temperature(gate_signal(m, f), temperature, soft=True)
    bias = m.retain_error(m.estimate(star, heat))
    each = retain_bias_bound(heat, 3, m.forget_share)
    kept = np.asarray(m.retain_contexts)
    assert bias <= float(np.sum(kept[kept > 0] * each[kept > 0])) * (1 + ROUNDING) + ROUNDING
    bound = soft_gate_bias_bound(m, m.excess_risk(f), temperature)
    assert bias <= bound * (1 + ROUNDING) + ROUNDING


def test_soft_gate_bias_is_attained_where_the_signal_is_the_share():
    """One context, P_f = P_r uniform: γ̂ = γ, no bias; pure retain contexts: γ̂ = 0, T(c) = 1."""
    pure = ContextMixture([[0.9, 0.1], [0.0, 0.0]], [[0.0, 0.0], [0.5, 0.5]], 0.2)
    assert soft_gate_bias_bound(pure, 0.0, 8.0) == pytest.approx(0, abs=1e-15)
    # T = 1 + (T−1)γ̂ rises with the signal: a square of it would be 1.25 here.
    assert gated_temperature(np.array([0.5]), 2.0, soft=True)[0] == 1.5


@given(joint_laws((4, 3)), st.floats(1.0, 10.0), st.floats(0.05, 0.95), st.floats(0.0, 0.3))
def test_gated_errors_of_every_classifier(law, temperature, threshold, noise):
    """N, whole: both errors of the gated estimate, against the bounds that know the risk alone."""
    retain, forget, gamma, _ = law
    m = ContextMixture(retain, forget, gamma)
    rng = np.random.default_rng(4)
    star = np.asarray(m.bayes_classifier)
    f = np.clip(star + noise * rng.normal(size=star.shape), 1e-9, 1 - 1e-9)
    estimate = m.estimate(f, gated_temperature(gate_signal(m, f), temperature, threshold))
    for below in (0.0, threshold / 2):
        found = gated_error_bounds(m, m.excess_risk(f), temperature, threshold, below)
        assert m.retain_error(estimate) <= found.retain_error * (1 + ROUNDING) + ROUNDING
        assert m.forget_error(estimate) <= found.forget_error * (1 + ROUNDING) + ROUNDING


def test_gated_errors_are_attained_without_risk():
    """Every context has the share 0.6 and is gated: the errors are those of tempering alone.

    Where only forget data have a context its error is their peak; one percent less is false.
    """
    m = ContextMixture([[0.4, 0.1], [0.1, 0.4]], [[0.1, 0.4], [0.4, 0.1]], 0.6)
    oracle = m.estimate(m.bayes_classifier, 2.0)
    found = gated_error_bounds(m, 0.0, 2.0)
    assert found.forget_error == pytest.approx(m.forget_error(oracle), rel=1e-12)
    assert found.retain_error == pytest.approx(m.retain_error(oracle), rel=1e-12)
    apart = ContextMixture([[1.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]], 0.5)
    f = np.array([[1.0, 1.0], [0.0, 1e-6]])  # all mass of the forget context on its forget token
    wrong = apart.forget_error(apart.estimate(f, 2.0))
    assert wrong > 0.99 * gated_error_bounds(apart, apart.excess_risk(f), 2.0).forget_error == 0.99


def test_gated_errors_fall_with_the_risk():
    """Half a percent of retain mass beside each forget token: the parts that the risk adds."""
    m = ContextMixture([[0.5, 0.49], [0.005, 0.005]], [[0.0, 0.0], [0.0, 1.0]], 0.01)
    errors = [gated_error_bounds(m, delta, 2.0).forget_error for delta in (1e-8, 1e-6, 1e-4)]
    assert errors == sorted(errors)
    small = gated_error_bounds(m, 0.0, 2.0).forget_error
    assert errors[0] - small == pytest.approx((errors[1] - small) / 10, rel=1e-3), "as √δ for T ≤ 2"


def test_wrong_use_is_named():
    with pytest.raises(AssumptionError, match="threshold must lie in"):
        gated_temperature(np.asarray([0.1]), 2.0, threshold=1.0)
    with pytest.raises(AssumptionError, match="lower_threshold must lie in"):
        gate_guarantee(example(True), 0.1, 2.0, threshold=0.2, lower_threshold=0.2)
    with pytest.raises(AssumptionError, match="must have shape"):
        ContextMixture(np.ones(2) / 2, np.ones(2) / 2, 0.1)
    with pytest.raises(AssumptionError, match="retain's shape"):
        positions(np.ones((2, 2)) / 4, np.ones(2) / 2, 0.1)
    assert math.isinf(retain_bias_bound(np.asarray([2.0]), 3, np.asarray([1.0]))[0])
