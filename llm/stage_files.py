"""What the stages share: the data of a scale, models in folders, heads by the stop they were kept at."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from llm.baselines.assistant import WithAssistant
from llm.baselines.idkdpo import REFUSALS
from llm.baselines.train import train_baseline as train_by
from llm.encoding import Encoded, encode_pair
from llm.experiment import BASELINES, TILTS, ExperimentConfig
from llm.features import Features, cache_features
from llm.fit_head import HeadConfig
from llm.head import LowRankHead
from llm.model import T3Config, T3ForCausalLM
from llm.selection import chosen
from llm.tofu.data import TofuData, load_tofu
from llm.tofu.evaluate import read_retain_logs
from t3theory.exceptions import InputError

__all__ = [
    "TRAINED",
    "Decoded",
    "about",
    "device",
    "encode_rows",
    "head_config",
    "head_features",
    "load_data",
    "load_heads",
    "load_method",
    "load_model",
    "stop_name",
    "t3_config",
    "truth_ratios",
    "unlearned",
]


TRAINED = "unlearned.json"
"""The file in a baseline's folder that says how many parameters were trained."""


def load_data(config: ExperimentConfig, source: str | Path) -> TofuData:
    """The rows that a scale uses of a source."""
    data = config.data
    return load_tofu(source, data.forget, data.forget_authors, data.retain_authors)


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


def stop_name(stop: float) -> str:
    """The folder of the head that was stopped at this risk."""
    return f"risk-{stop:g}"


def load_heads(
    config: ExperimentConfig, heads: str | Path, base: PreTrainedModel
) -> dict[float, LowRankHead]:
    """The heads that `fit_heads` kept, by stop."""
    return {
        stop: T3ForCausalLM.from_pretrained(Path(heads) / stop_name(stop), base=base).head
        for stop in config.head.stops
    }


def t3_config(config: ExperimentConfig, setting: Mapping[str, Any], data: TofuData) -> T3Config:
    """The decoding that a setting (an element of `candidates`) describes.

    With `prior` the head's log-odds, of balanced classes, become those of the training data:
    theory M, with the share of forget pairs for γ.
    """
    gamma = len(data.forget) / len(data.full)
    return T3Config(
        temperature=setting["temperature"],
        guidance_scale=setting["guidance_scale"],
        log_prior_odds=math.log((1 - gamma) / gamma) if setting["prior"] else 0.0,
        gate=setting["gate"],
        gate_threshold=config.tilt.gate_threshold,
    )


class Decoded(NamedTuple):
    """A method ready to run, the setting that was chosen for it, how many parameters it trained."""

    model: Any
    tokenizer: Any
    setting: dict[str, Any]
    trained_parameters: int
    total_parameters: int


def load_method(
    config: ExperimentConfig,
    data: TofuData,
    method: str,
    model: str | Path,
    heads: str | Path | None,
    tuning: str | Path | None,
) -> Decoded:
    """A method of `METHODS` from what the stages left; arguments as for `evaluate_method`."""
    found, tokenizer = load_model(model)
    total = sum(p.numel() for p in found.parameters())
    tuned = method in TILTS + BASELINES
    setting = chosen(_given(tuning, "tuning", method), method, config) if tuned else {}
    trained = total
    if (note := Path(model) / TRAINED).is_file():
        trained = json.loads(note.read_text(encoding="utf-8"))["trained_parameters"]
    if method in TILTS:
        adapter = Path(_given(heads, "heads", method)) / stop_name(setting["stop"])
        head = T3ForCausalLM.from_pretrained(adapter, base=found).head
        trained = sum(p.numel() for p in head.parameters())
        found = T3ForCausalLM(found, head, t3_config(config, setting, data)).eval()
    return Decoded(found, tokenizer, setting, trained, total)


def _given(value: str | Path | None, name: str, method: str) -> str | Path:
    if value is None:
        raise InputError(f"method {method!r}: expected {name}")
    return value


def truth_ratios(retain_logs: str | Path) -> list[float]:
    """The retain model's truth ratios on the forget set, row by row, from its evaluation."""
    rows = read_retain_logs(retain_logs)["forget_truth_ratio"]["value_by_index"]
    return [row["score"] for row in rows.values()]


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


def head_features(
    model: PreTrainedModel, tokenizer: Any, data: TofuData, batch_size: int
) -> tuple[Features, Features]:
    """Pooled states of the retain and of the forget answers, from one pass."""
    retain, forget = encode_rows(tokenizer, data.retain), encode_rows(tokenizer, data.forget)
    both = cache_features(model, retain + forget, batch_size=batch_size)
    return both.select(range(len(retain))), both.select(range(len(retain), len(both)))


def head_config(config: ExperimentConfig, seed: int) -> HeadConfig:
    """How the head is trained at this scale: until the last stop."""
    head = config.head
    return HeadConfig(
        rank=head.rank,
        learning_rate=head.learning_rate,
        weight_decay=head.weight_decay,
        steps=head.steps,
        batch_pairs=head.batch_size,
        stop_at_risk=min(head.stops),
        evaluate_every=head.evaluate_every,
        seed=seed,
    )
