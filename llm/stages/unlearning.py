"""Baselines: the full model, or an assistant beside it, trained to forget."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from llm.baselines.idkdpo import REFUSALS
from llm.baselines.train import train_baseline as train_by
from llm.encoding import encode_pair
from llm.experiment import ExperimentConfig
from llm.selection import chosen
from llm.stages.files import encode_rows, load_data, load_model
from llm.tofu.data import TofuData
from t3theory.records import write_json

__all__ = ["TRAINED", "train_baseline", "unlearned"]

TRAINED = "unlearned.json"
"""The file in a baseline's folder that says how many parameters were trained."""


def train_baseline(
    config: ExperimentConfig,
    source: str | Path,
    seed: int,
    method: str,
    base: str | Path,
    tuning: str | Path,
    out: str | Path,
) -> None:
    """Unlearn by a baseline, with the setting that the tuning seed chose; write the model.

    Args:
        base: folder of the full model.
        tuning: file from `tune_baseline`.
    """
    setting = chosen(tuning, method, config)
    data = load_data(config, source)
    model, tokenizer = unlearned(config, data, seed, method, base, **setting)
    tokenizer.save_pretrained(out)
    model.save_pretrained(out)
    write_json(Path(out) / TRAINED, {"trained_parameters": model.trained_parameters})


def unlearned(
    config: ExperimentConfig,
    data: TofuData,
    seed: int,
    method: str,
    base: str | Path,
    learning_rate: float,
    epochs: int,
    on_epoch: Callable[[int, PreTrainedModel], None] | None = None,
) -> tuple[PreTrainedModel, Any]:
    """The full model after a baseline's training, and its tokenizer."""
    model, tokenizer = load_model(base)
    forget, retain = encode_rows(tokenizer, data.forget), encode_rows(tokenizer, data.retain)
    rng = random.Random(f"{seed}/refusals")
    refusals = [encode_pair(tokenizer, r["question"], rng.choice(REFUSALS)) for r in data.forget]
    settings = config.baseline
    model = train_by(
        model, method, forget, retain, settings, learning_rate, epochs, seed, on_epoch, refusals
    )
    return model, tokenizer
