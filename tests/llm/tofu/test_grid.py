"""A grid of settings evaluated together is each of them evaluated alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from llm.head import LowRankHead
from llm.model import T3Config, T3ForCausalLM
from llm.tofu import grid
from llm.tofu.data import TofuData
from llm.tofu.evaluate import evaluate
from llm.tofu.logs import summary

SETTINGS = [
    T3Config(temperature=1.0),
    T3Config(temperature=2.0),
    T3Config(temperature=1.0, guidance_scale=2.0),  # says what the one above says
    T3Config(temperature=3.0, guidance_scale=0.0),
    T3Config(temperature=1.5, guidance_scale=0.0),
    T3Config(temperature=2.0, gate="hard", gate_threshold=0.3, log_prior_odds=0.5),
    T3Config(temperature=2.0, gate="soft"),
]


def test_each_setting_has_its_own_evaluation(
    tiny_llama: Any, tiny_tokenizer: Any, tiny_data: TofuData, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = LowRankHead(32, 4, 400, "published", torch.Generator().manual_seed(5))
    with torch.no_grad():
        head.up.weight.mul_(4)
    model = T3ForCausalLM(tiny_llama, head).eval()
    how: dict[str, Any] = {"max_new_tokens": 4, "batch_size": 7, "progress": False}
    retain = evaluate(tiny_llama, tiny_tokenizer, tiny_data, **how)
    generated = []

    def counted(*args: Any) -> list[str]:
        generated.append(args[0].t3_config)
        return greedy(*args)

    greedy = grid.greedy_answers
    monkeypatch.setattr(grid, "greedy_answers", counted)
    together = grid.evaluate_grid(model, tiny_tokenizer, tiny_data, SETTINGS, retain, **how)
    assert len(generated) == 5, "two pairs of settings say the same"
    for config, found in zip(SETTINGS, together, strict=True):
        alone = evaluate(
            T3ForCausalLM(tiny_llama, head, config).eval(),
            tiny_tokenizer,
            tiny_data,
            retain,
            **how,
        )
        # float32 softmaxes in batches of other shapes; log₁₀ p of a test that counts ranks.
        assert summary(found) == pytest.approx(summary(alone), rel=1e-4, abs=1e-6)
        assert found["provenance"]["key"] == alone["provenance"]["key"]
        texts = [e["forget_Q_A_ROUGE"]["value_by_index"] for e in (found, alone)]
        assert texts[0] == texts[1]
