"""What the stages share: the data of a scale, models in folders, what a record is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from llm.baselines.assistant import WithAssistant
from llm.encoding import Encoded, encode_pair
from llm.experiment import ExperimentConfig
from llm.tofu.data import TofuData, load_tofu
from t3theory.exceptions import InputError

__all__ = ["about", "device", "encode_rows", "given", "load_data", "load_model", "thinned"]


def load_data(config: ExperimentConfig, source: str | Path) -> TofuData:
    """The rows that a scale uses of a source."""
    data = config.data
    return load_tofu(source, data.forget, data.forget_authors, data.retain_authors)


def thinned(config: ExperimentConfig, data: TofuData) -> TofuData:
    """The data with `retain_rows` of its measured retain rows, evenly spread."""
    rows, most = data.retain_perturbed, config.evaluation.retain_rows
    if most is None or len(rows) <= most:
        return data
    return replace(data, retain_perturbed=[rows[i * len(rows) // most] for i in range(most)])


def load_model(folder: str | Path) -> tuple[PreTrainedModel, Any]:
    """A model and its tokenizer, from a folder that a stage wrote."""
    try:
        kind = WithAssistant if WithAssistant.found_in(folder) else AutoModelForCausalLM
        model = kind.from_pretrained(folder).eval()
        return model.to(device()), AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError) as error:
        reason = str(error).split("\n")[0]
        raise InputError(f"{folder}: expected a model and its tokenizer, {reason}") from error


def device() -> str:
    """Where models run: "cuda" where there is one, else "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def encode_rows(tokenizer: Any, rows: Sequence[Mapping[str, Any]]) -> list[Encoded]:
    """The pairs of some rows as token ids."""
    return [encode_pair(tokenizer, row["question"], row["answer"]) for row in rows]


def about(config: ExperimentConfig, data: TofuData, **more: Any) -> dict[str, Any]:
    """The configuration of a record: scale, data, and what is particular to it."""
    return {"scale": config.name, "data": data.name, "data_hash": data.content_hash} | more


def given(value: str | Path | None, name: str, method: str) -> str | Path:
    """The value, or an InputError that says which argument a method needs."""
    if value is None:
        raise InputError(f"method {method!r}: expected {name}")
    return value
