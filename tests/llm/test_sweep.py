"""Many settings from one pass against each setting's own scores."""

from __future__ import annotations

import itertools

import pytest
import torch
from tiny_bases import VOCAB, sharp_head, tiny_base

from llm.encoding import Encoded
from llm.model import T3ForCausalLM
from llm.scoring import score_rows
from llm.sweep import _Block, setting_losses, setting_matches, sweep_losses, sweep_scores
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
    monkeypatch.setattr("llm.sweep._ON_CPU", block)
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
    monkeypatch.setattr("llm.sweep._ON_CPU", block)
    logits, odds, targets = states()
    for config, got in zip(GRID, setting_matches(logits, odds, targets, GRID), strict=True):
        assert torch.equal(got, tilt(logits, odds, config).argmax(-1) == targets)


def test_scores_of_a_sweep_are_the_models_own():
    """Rows of several lengths, in an order that batches do not keep."""
    base, head = tiny_base("gpt2"), sharp_head()
    rows = [Encoded([5, 6, 7, 8, 9], 2), Encoded([9, 5, 4, 3, 3, 8], 1), Encoded([3, 3, 8, 4], 3)]
    for config, found in zip(GRID, sweep_scores(base, rows, head, GRID, 2), strict=True):
        model = T3ForCausalLM(base, head, config).eval()
        for got, expected in zip(found, score_rows(model, rows, 0, 3), strict=True):
            # float32 softmaxes in batches of other lengths.
            assert got.log_probs == pytest.approx(expected.log_probs, abs=2e-5)
            assert (got.matches == expected.matches).all()


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


def test_sweeps_mix_heads():
    base = tiny_base("llama")
    rows = [Encoded([5, 6, 7, 8, 9], 2), Encoded([9, 5, 4], 1), Encoded([3, 3, 8, 4], 3)]
    heads = {"a": sharp_head(seed=1), "b": sharp_head(seed=2), "unused": sharp_head(seed=3)}
    settings = [("b", GRID[1]), ("a", GRID[1]), ("b", GRID[-1])]
    together = sweep_losses(base, rows, settings, heads, batch_size=2)
    for setting, losses in zip(settings, together, strict=True):
        alone = sweep_losses(base, rows, [setting], heads)
        assert losses == pytest.approx(alone[0], abs=1e-5)
