"""Many settings at once against each setting's own scores."""

from __future__ import annotations

import itertools

import pytest
import torch
from tiny_bases import VOCAB

from llm.setting_scores import _Block, setting_losses, setting_matches
from llm.tilt import T3Config, gated_temperature, tilt

GRID = [
    T3Config(t, s, prior, gate, threshold)
    for t, s, prior, (gate, threshold) in itertools.product(
        (1.0, 2.5), (0.0, 1.0, 1.7), (0.0, 1.2), (("none", 0.5), ("hard", 0.3), ("soft", 0.5))
    )
]


def states(tokens=150, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits, odds = (3 * torch.randn(tokens, VOCAB, generator=generator) for _ in "ab")
    return logits, odds, torch.randint(0, VOCAB, (tokens,), generator=generator)


@pytest.mark.parametrize("block", [1, 7 * VOCAB, 1 << 20])
def test_losses_are_those_of_each_settings_scores(block, monkeypatch):
    monkeypatch.setattr("llm.setting_scores._ON_CPU", block)
    logits, odds, targets = states()
    losses = setting_losses(logits, odds, targets, GRID)
    assert losses.shape == (len(GRID), len(targets))
    for config, got in zip(GRID, losses, strict=True):
        scores = tilt(logits, odds, config)
        expected = torch.nn.functional.cross_entropy(scores, targets, reduction="none")
        # float32 softmaxes of 60, in blocks of other shapes.
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("block", [7 * VOCAB, 1 << 20])
def test_matches_are_those_of_each_settings_scores(block, monkeypatch):
    monkeypatch.setattr("llm.setting_scores._ON_CPU", block)
    logits, odds, targets = states()
    for config, got in zip(GRID, setting_matches(logits, odds, targets, GRID), strict=True):
        assert torch.equal(got, tilt(logits, odds, config).argmax(-1) == targets)


def test_a_grid_sums_no_vocabulary_twice(monkeypatch):
    calls, normaliser = [], _Block.normaliser

    def count(block, cell):
        calls.append(cell)
        return normaliser(block, cell)

    monkeypatch.setattr(_Block, "normaliser", count)
    grid = [
        T3Config(t, gate=gate, gate_threshold=level)
        for t in (1.5, 2.0, 3.0)
        for gate, level in (("none", 0.5), ("hard", 0.3), ("hard", 0.5), ("hard", 0.7))
    ]
    setting_losses(*states(tokens=2), grid)
    assert len(calls) == 4  # T = 1.5, 2, 3, and 1 where the gate is shut


@pytest.mark.parametrize("spread", [0.1, 30.0, 100.0, 1e4])
@pytest.mark.parametrize("gate", ["none", "hard", "soft"])
def test_losses_where_powers_and_products_underflow(spread, gate):
    """p of 1e-40 and f of 1e-40, their powers, and both in turn at the likeliest token."""
    logits, odds, targets = states()
    logits, odds = spread * logits, spread * odds.abs().neg()
    for temperature, scale, prior in itertools.product((0.05, 1.0, 9.0), (0.0, 1.0, 5.0), (0, 40)):
        config = T3Config(temperature, scale, prior, gate)
        log_p, shifted = logits.double().log_softmax(-1), odds.double() + prior
        heat = gated_temperature(log_p, shifted, config)
        scores = log_p / heat + scale * torch.nn.functional.logsigmoid(shifted)
        wanted = torch.nn.functional.cross_entropy(scores, targets, reduction="none")
        (found,) = setting_losses(logits, odds, targets, [config])
        # Scores of single precision; a soft T near 1/20 is 1 less 0.95, and has a digit less.
        rounding = 3e-6 if gate == "soft" else 3e-7
        error = rounding * scores.abs().amax(-1).clamp(min=3)
        assert torch.all((found - wanted).abs() <= error)


def test_no_tokens_have_no_losses():
    none = [x[:0] for x in states()]
    assert setting_losses(*none, GRID).shape == setting_matches(*none, GRID).shape == (len(GRID), 0)


def test_settings_that_underflow_leave_the_others_alone():
    """Of one block some normalisers are sums of products, and some go by logarithms."""
    logits, odds, targets = states()
    logits, odds = 30 * logits, 30 * odds.abs().neg()
    grid = [
        T3Config(t, s, 0.0, gate)
        for t, s, gate in itertools.product((0.05, 1.0, 9.0), (0.0, 0.3, 5.0), ("none", "soft"))
    ]
    together = setting_losses(logits, odds, targets, grid)
    alone = torch.cat([setting_losses(logits, odds, targets, [config]) for config in grid])
    # Losses up to 3,000 in single precision, in blocks of other shapes.
    torch.testing.assert_close(together, alone, rtol=3e-7, atol=1e-6)


def test_priors_and_scales_of_any_size_beside_each_other():
    """Rules with one T + s and one T·s are others; a prior of −60 makes products underflow."""
    logits, odds, targets = states()
    grid = [
        T3Config(t, s, prior, gate)
        for (t, s), prior, gate in itertools.product(
            ((1.0, 3.0), (2.0, 2.0), (3.0, 1.0)), (0.0, -60.0, 60.0), ("none", "hard", "soft")
        )
    ]
    found = (
        setting_losses(logits, odds, targets, grid),
        setting_matches(logits, odds, targets, grid),
    )
    for config, loss, match in zip(grid, *found, strict=True):
        scores = tilt(logits, odds, config)
        expected = torch.nn.functional.cross_entropy(scores, targets, reduction="none")
        # Scores of up to 200 in single precision.
        torch.testing.assert_close(loss, expected, rtol=0, atol=1e-4)
        assert torch.equal(match, scores.argmax(-1) == targets)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_log_odds_in_half_precision_are_summed_in_single(dtype):
    logits, odds, targets = states()
    odds = (10 * odds).to(dtype)
    (found,) = setting_losses(logits, odds, targets, [T3Config(2.0)])
    (wanted,) = setting_losses(logits, odds.float(), targets, [T3Config(2.0)])
    assert torch.equal(found, wanted)
