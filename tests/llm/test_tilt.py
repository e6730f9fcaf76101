"""Scores written in place and in blocks, against the estimator in double precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from llm.tilt import T3Config, forget_share, log_sigmoid, tilt
from t3theory.estimator import tilted_score
from t3theory.exceptions import AssumptionError

SETTINGS = [
    T3Config(),
    T3Config(temperature=1.0, guidance_scale=0.0),
    T3Config(guidance_scale=0.5, log_prior_odds=-1.5),
    T3Config(temperature=3.0, guidance_scale=2.0, gate="hard", log_prior_odds=0.5),
    T3Config(gate="soft"),
]


def drawn(spread=4.0, shape=(3, 2, 101)):
    generator = torch.Generator().manual_seed(0)
    return [spread * torch.randn(shape, generator=generator) for _ in "ab"]


def exactly(logits, log_odds, config):
    """By the definition, in double precision."""
    log_p = torch.log_softmax(logits.double(), -1).numpy()
    odds = log_odds.double().numpy() + config.log_prior_odds
    temperature = config.temperature
    share = (np.exp(log_p) / (1 + np.exp(odds))).sum(-1, keepdims=True)
    if config.gate == "hard":
        temperature = np.where(share > config.gate_threshold, temperature, 1.0)
    if config.gate == "soft":
        temperature = 1 + (temperature - 1) * share
    return tilted_score(log_p, -np.logaddexp(0, -odds), temperature, config.guidance_scale)


@pytest.mark.parametrize("config", SETTINGS)
@pytest.mark.parametrize("block", [1, 250, 1 << 20])
def test_scores_are_the_estimators_however_they_are_written(config, block, monkeypatch):
    monkeypatch.setattr("llm.tilt._BLOCK", block)
    logits, log_odds = drawn()
    before = logits.clone(), log_odds.clone()
    got = tilt(logits, log_odds, config)
    assert torch.equal(logits, before[0])
    assert torch.equal(log_odds, before[1])
    # Logits and log-odds of about 20 in float32, log f twice over.
    np.testing.assert_allclose(got, exactly(logits, log_odds, config), rtol=0, atol=1e-5)
    over = tilt(logits, log_odds, config, overwrite=True)
    assert over is log_odds
    assert torch.equal(over, got)
    assert torch.equal(logits, before[0])


def test_scores_with_gradients_are_the_same_to_rounding():
    logits, log_odds = drawn()
    plain = tilt(logits, log_odds, SETTINGS[-1])
    wanted = tilt(logits, log_odds.requires_grad_(), SETTINGS[-1], overwrite=True)
    torch.testing.assert_close(wanted.detach(), plain, rtol=0, atol=1e-5)
    wanted.sum().backward()
    assert torch.all(torch.isfinite(log_odds.grad))


def test_half_precision_is_scored_in_single():
    logits, log_odds = (x.to(torch.bfloat16) for x in drawn())
    got = tilt(logits, log_odds, T3Config())
    assert got.dtype == torch.float32
    np.testing.assert_allclose(got, exactly(logits, log_odds, T3Config()), rtol=0, atol=1e-5)


@pytest.mark.parametrize("lowest", [-1.0, -79.0, -95.0, -1e4])
def test_log_sigmoid_loses_nothing_where_the_sigmoid_does(lowest):
    x = torch.linspace(lowest, 60.0, 10_001)
    exact = -np.logaddexp(0, -x.double().numpy())
    # A rounding of the sigmoid (at most 2^-24 of it), one of its logarithm.
    np.testing.assert_allclose(log_sigmoid(x), exact, rtol=2.5e-7, atol=2.5e-7)
    assert torch.isnan(log_sigmoid(torch.tensor([float("nan"), 0.0]))).tolist() == [True, False]
    assert log_sigmoid(torch.empty(0, 5)).shape == (0, 5)


def test_a_share_leaves_what_it_reads_alone():
    log_p, log_odds = drawn()
    log_p = torch.log_softmax(log_p, -1)
    before = log_p.clone(), log_odds.clone()
    share = forget_share(log_p, log_odds)
    assert torch.equal(log_p, before[0])
    assert torch.equal(log_odds, before[1])
    with_gradients = forget_share(log_p, log_odds.requires_grad_())
    torch.testing.assert_close(share, with_gradients.detach(), rtol=1e-6, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_log_sigmoid_leaves_its_input_and_underflows_in_no_precision(dtype):
    x = torch.tensor([-40.0, -20.0, 0.0, 5.0], dtype=dtype)
    before = x.clone()
    torch.testing.assert_close(log_sigmoid(x), torch.nn.functional.logsigmoid(before))
    assert torch.equal(x, before)


@pytest.mark.parametrize(
    ("name", "value"), [("temperature", 1e39), ("temperature", 1e-45), ("guidance_scale", 1e31)]
)
def test_settings_beyond_single_precision_are_refused(name, value):
    with pytest.raises(AssumptionError, match=rf"{name} must lie in \[.*1e\+30\]"):
        T3Config(**{name: value})


@pytest.mark.parametrize("config", [T3Config(1e30), T3Config(1e-30), T3Config(2.0, 1e30)])
def test_the_ends_of_the_settings_have_scores(config):
    """A masked token stays masked, and of the others some score is finite."""
    logits = torch.tensor([[0.0, 3.0, -torch.inf]])
    scores = tilt(logits, torch.tensor([[9.0, 8.0, 7.0]]), config)
    assert not scores.isnan().any()
    assert scores[0, :2].isfinite().all()
    assert scores[0, 2] == -torch.inf
