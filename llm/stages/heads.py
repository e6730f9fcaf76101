"""Heads: trained once, kept at each stop, and decoded with as a setting says."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from llm.experiment import ExperimentConfig
from llm.features import Features, cache_features
from llm.fit_head import Evaluation, HeadConfig, fit_head
from llm.head import LowRankHead
from llm.model import T3Config, T3ForCausalLM
from llm.stages.files import encode_rows, load_data, load_model
from llm.tofu.data import TofuData
from t3theory.records import write_json

__all__ = ["fit_heads", "head_config", "head_features", "load_heads", "stop_name", "t3_config"]


def fit_heads(
    config: ExperimentConfig, source: str | Path, seed: int, base: str | Path, out: str | Path
) -> None:
    """Train the head once and keep it at each stop: adapters in `out`/risk-0.05 and so on.

    Args:
        base: folder of the full model.

    `out`/heads.json, written last, says for each stop the step and the risk it was met at; a
    stop that was not met within `steps` is the head as it was at the end.
    """
    data, out = load_data(config, source), Path(out)
    model, tokenizer = load_model(base)
    retain, forget = head_features(model, tokenizer, data, config.evaluation.batch_size)
    met: dict[float, tuple[Evaluation, LowRankHead]] = {}

    def keep(evaluation: Evaluation, head: LowRankHead) -> None:
        for stop in config.head.stops:
            if stop not in met and evaluation.risk <= stop:
                met[stop] = evaluation, copy.deepcopy(head)

    fit = fit_head(retain, forget, len(tokenizer), head_config(config, seed), on_evaluation=keep)
    kept = {}
    for stop in config.head.stops:
        evaluation, head = met.get(stop, (fit.history[-1], fit.head))
        T3ForCausalLM(model, head.requires_grad_(False)).save_pretrained(out / stop_name(stop))
        kept[stop_name(stop)] = {"step": evaluation.step, "risk": evaluation.risk}
    write_json(out / "heads.json", kept)


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


def head_features(
    model: PreTrainedModel, tokenizer: Any, data: TofuData, batch_size: int
) -> tuple[Features, Features]:
    """Pooled states of the retain and of the forget answers, from one pass, where the model is."""
    retain, forget = encode_rows(tokenizer, data.retain), encode_rows(tokenizer, data.forget)
    both = cache_features(model, retain + forget, batch_size=batch_size).to(model.device)
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
