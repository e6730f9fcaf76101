"""What training the head costs in time: on cached features, and with the base run at each step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import PreTrainedModel

from llm.encoding import Encoded
from llm.experiment import ExperimentConfig
from llm.features import cache_features
from llm.fit_head import fit_head, head_loss
from llm.head import LowRankHead
from llm.stages.files import about, encode_rows, load_data, load_model
from llm.stages.heads import head_config, head_features
from t3theory.records import Stopwatch, make_record, write_records

__all__ = ["measure_cost"]

UNCACHED_STEPS = 10
"""Steps that are timed with the base run at each."""


def measure_cost(
    config: ExperimentConfig, source: str | Path, seed: int, base: str | Path, out: str | Path
) -> None:
    """Time the head's training with the full model in memory, with and without cached features.

    Args:
        out: JSON Lines file, one record of kind "llm.cost".

    The record's `provenance.seconds` is the caching pass and all steps down to the last stop;
    `provenance.timings` hold both parts and `uncached`: as many steps with the base run at each,
    extrapolated from ten.
    """
    data = load_data(config, source)
    model, tokenizer = load_model(base)
    watch = Stopwatch()
    retain, forget = head_features(model, tokenizer, data, config.evaluation.batch_size)
    caching = watch.seconds
    fit = fit_head(retain, forget, len(tokenizer), head_config(config, seed))
    seconds = watch.seconds
    steps = fit.history[-1].step
    size = config.head.batch_size
    rows = [encode_rows(tokenizer, part[:size]) for part in (data.retain, data.forget)]
    uncached = _seconds_a_step(model, rows, fit.head) * steps
    record = make_record(
        "llm.cost",
        about(config, data, stage="fit_heads", method="t3", stop=min(config.head.stops)),
        seed,
        {
            "steps": steps,
            "rows_cached": len(retain) + len(forget),
            "trained_parameters": sum(p.numel() for p in fit.head.parameters()),
        },
        seconds,
        {"caching": caching, "head": seconds - caching, "uncached": uncached},
    )
    write_records(out, [record])


def _seconds_a_step(
    base: PreTrainedModel, rows: Sequence[list[Encoded]], head: LowRankHead
) -> float:
    """Mean time of a step that runs the base on its batch of each class."""
    head = LowRankHead(head.hidden_size, head.rank, head.vocab_size).to(head.up.weight.device)
    optimizer = torch.optim.AdamW(head.parameters())
    watch = Stopwatch()
    for _ in range(UNCACHED_STEPS):
        parts = [cache_features(base, part) for part in rows]
        optimizer.zero_grad()
        retain, forget = (head.at(f.shards[0].clone(), f.targets) for f in parts)
        head_loss(retain, forget).backward()
        optimizer.step()
    return watch.seconds / UNCACHED_STEPS
