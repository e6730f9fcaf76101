"""What unlearning costs in time: the head on cached features, the head without a cache, baselines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from llm.encoding import Encoded
from llm.experiment import BASELINES, ExperimentConfig
from llm.features import cache_features
from llm.fit_head import fit_head, head_loss
from llm.head import LowRankHead
from llm.selection import chosen
from llm.stage_files import (
    about,
    encode_rows,
    head_config,
    head_features,
    load_data,
    load_model,
    unlearned,
)
from t3theory.exceptions import InputError
from t3theory.records import Stopwatch, make_record, write_records

__all__ = ["measure_cost"]

UNCACHED_STEPS = 10
"""Steps that are timed with the base run at each."""


def measure_cost(
    config: ExperimentConfig,
    source: str | Path,
    seed: int,
    method: str,
    base: str | Path,
    out: str | Path,
    tuning: str | Path | None = None,
) -> None:
    """Time one method's training from the full model in memory to the unlearned one.

    Args:
        method: "t3", or one of `BASELINES` with the setting that its `tuning` file chose.
        out: JSON Lines file, one record of kind "llm.cost".

    The time is the record's `provenance.seconds`. For "t3" (`stage` "fit_heads") it is the
    caching pass and all steps down to the last stop, and `provenance.timings` hold both parts
    and `uncached`: as many steps with the base run at each, extrapolated from ten.
    """
    if method in BASELINES:
        if tuning is None:
            raise InputError(f"cost of {method!r}: expected tuning")
        record = _baseline(config, source, seed, method, base, tuning)
    elif method == "t3":
        record = _head(config, source, seed, base)
    else:
        raise InputError(f"cost of {method!r}: expected t3 or one of {', '.join(BASELINES)}")
    write_records(out, [record])


def _baseline(
    config: ExperimentConfig,
    source: str | Path,
    seed: int,
    method: str,
    base: str | Path,
    tuning: str | Path,
) -> dict[str, Any]:
    setting = chosen(tuning, method, config)
    data = load_data(config, source)
    watch = Stopwatch()
    model, _ = unlearned(config, data, seed, method, base, **setting)
    seconds = watch.seconds
    described = about(config, data, stage="train_baseline", method=method, **setting)
    values = {"trained_parameters": sum(p.numel() for p in model.parameters())}
    return make_record("llm.cost", described, seed, values, seconds)


def _head(
    config: ExperimentConfig, source: str | Path, seed: int, base: str | Path
) -> dict[str, Any]:
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
    return make_record(
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
