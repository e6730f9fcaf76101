"""Many settings from one pass against each setting's own scores."""

from __future__ import annotations

import itertools

import pytest
from tiny_bases import sharp_head, tiny_base

from llm.encoding import Encoded
from llm.model import T3ForCausalLM
from llm.scoring import score_rows
from llm.sweep import sweep_losses, sweep_scores
from llm.tilt import T3Config

GRID = [
    T3Config(t, s, prior, gate, threshold)
    for t, s, prior, (gate, threshold) in itertools.product(
        (1.0, 2.5), (0.0, 1.0, 1.7), (0.0, 1.2), (("none", 0.5), ("hard", 0.3), ("soft", 0.5))
    )
]


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


def test_sweeps_mix_heads():
    base = tiny_base("llama")
    rows = [Encoded([5, 6, 7, 8, 9], 2), Encoded([9, 5, 4], 1), Encoded([3, 3, 8, 4], 3)]
    heads = {"a": sharp_head(seed=1), "b": sharp_head(seed=2), "unused": sharp_head(seed=3)}
    settings = [("b", GRID[1]), ("a", GRID[1]), ("b", GRID[-1])]
    together = sweep_losses(base, rows, settings, heads, batch_size=2)
    for setting, losses in zip(settings, together, strict=True):
        alone = sweep_losses(base, rows, [setting], heads)
        assert losses == pytest.approx(alone[0], abs=1e-5)
