"""The TOFU evaluation of many settings of one unlearned model, at little more than the cost of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llm.model import T3ForCausalLM
from llm.scoring import greedy_answers
from llm.sweep import sweep_scores
from llm.tilt import T3Config
from llm.tofu.data import TofuData
from llm.tofu.entries import Entry, Evaluation, all_metrics, encoded_pairs, questions
from llm.tofu.evaluate import check
from llm.tofu.logs import evaluation_key

__all__ = ["evaluate_grid"]


def evaluate_grid(
    model: T3ForCausalLM,
    tokenizer: Any,
    data: TofuData,
    configs: Sequence[T3Config],
    retain_logs: str | Path | Mapping[str, Entry] | None = None,
    batch_size: int = 32,
    max_new_tokens: int = 200,
    progress: bool = True,
) -> list[Evaluation]:
    """What `evaluate` gives of the model under each setting.

    All answers are scored under all settings from one pass of the base. Greedy answers depend
    on s·T and the prior alone where nothing is gated, and are generated once for each of these.

    Args:
        model: its base and its head are taken, its own setting is not.
        configs: the settings; all else as in :func:`~llm.tofu.evaluate.evaluate`.
    """
    retain = check(model, tokenizer, data, retain_logs, max_new_tokens)
    pairs = encoded_pairs(tokenizer, data)
    rows = list(pairs.values())
    scored = sweep_scores(model.base, rows, model.head, configs, batch_size)
    said: dict[tuple[Any, ...], list[str]] = {}
    found = []
    for config, scores in zip(configs, scored, strict=True):
        decoder = T3ForCausalLM(model.base, model.head, config).eval()
        rule = _greedy_rule(config)
        if rule not in said:
            message = f"Generating answers, {len(said) + 1}" if progress else None
            said[rule] = greedy_answers(
                decoder, tokenizer, questions(data), batch_size, max_new_tokens, message
            )
        key = evaluation_key(decoder, tokenizer, data, retain, max_new_tokens)
        about = {"key": key, "max_new_tokens": max_new_tokens}
        by_pair = dict(zip(pairs, scores, strict=True))
        found.append(all_metrics(data, by_pair, said[rule], retain, about))
    return found


def _greedy_rule(config: T3Config) -> tuple[Any, ...]:
    """What the likeliest token depends on: log p + s·T log f, T that of the context."""
    temperature, scale, prior = config.temperature, config.guidance_scale, config.log_prior_odds
    if config.gate == "none" or scale == 0:
        return (scale * temperature, prior if scale else 0.0)
    threshold = config.gate_threshold if config.gate == "hard" else None
    return (temperature, scale, prior, config.gate, threshold)
