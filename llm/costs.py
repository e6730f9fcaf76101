"""What training the head costs in time: on cached features, and with the base run at each step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import PreTrainedModel

from llm.encoding import Encoded
from llm.experiment import ExperimentConfig
from llm.features import answer_targets, batch_means
from llm.fit_head import fit_head
from llm.head import LowRankHead
from llm.head_loss import head_loss
from llm.stages.files import about, encode_rows, load_data, load_model
from llm.stages.heads import head_config, head_features
from t3theory.records import Stopwatch, make_record, write_records

__all__ = ["measure_cost", "seconds_a_step"]

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
    uncached = seconds_a_step(model, [rows] * UNCACHED_STEPS, config.head.rank) * steps
    record = make_record(
        "llm.cost",
        about(config, data, stage="fit_heads", method="t3", stop=min(config.head.stops)),
        seed,
        {
            "steps": steps,
            "risk": fit.history[-1].risk,
            "rows_cached": len(retain) + len(forget),
            "trained_parameters": sum(p.numel() for p in fit.head.parameters()),
        },
        seconds,
        {"caching": caching, "head": seconds - caching, "uncached": uncached},
    )
    write_records(out, [record])


def seconds_a_step(
    base: PreTrainedModel, steps: Sequence[Sequence[list[Encoded]]], rank: int
) -> float:
    """Mean time of training steps of a new head that run the base at each.

    Args:
        steps: for each step its retain rows and its forget rows.
    """
    vocab_size, hidden_size = base.get_output_embeddings().weight.shape
    head = LowRankHead(hidden_size, rank, vocab_size).to(base.device)
    optimizer = torch.optim.AdamW(head.parameters())
    watch = Stopwatch()
    for rows in steps:
        means = [batch_means(base, part).clone() for part in rows]  # no longer inference's
        targets = [answer_targets(part).to(base.device) for part in rows]
        optimizer.zero_grad()
        retain, forget = map(head.at, means, targets)
        loss = head_loss(retain, forget)
        loss.backward()
        optimizer.step()
    loss.item()  # what a GPU still has to do counts too
    return watch.seconds / len(steps)
