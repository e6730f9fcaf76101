"""The stages of the language-model experiment: files in, one file or folder out.

    train_tokenizer ─┬─ train_base(full) ──┬─ fit_heads ─┬─ tune_tilts ──── evaluate_method(t3 …)
                     └─ train_base(retain) │             │
                              │            └─ tune_baseline ─ train_baseline ─ evaluate_method
                              └─ evaluate_method(retain) → the retain logs of all others

`tune_*` run on the tuning seed alone, everything else on each reported seed too. A stage
reads nothing but its arguments; its output appears whole or not at all, and what it draws
follows from `seed`. `source` is "mini", a folder or a Hub name, as `load_tofu` takes it.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from llm.baselines.train import train_baseline as unlearn
from llm.encoding import Encoded, encode_pair
from llm.experiment import BASELINES, TILTS, ExperimentConfig, as_dict
from llm.features import Features, cache_features
from llm.fit_head import Evaluation, HeadConfig, fit_head
from llm.head import LowRankHead
from llm.model import T3Config, T3ForCausalLM
from llm.pretrain import build_model, pretrain
from llm.pretrain import train_tokenizer as learn_tokenizer
from llm.scoring import score_rows
from llm.selection import chosen, measured_pairs, worth
from llm.sweep import sweep_losses
from llm.tofu.data import TofuData, load_tofu
from llm.tofu.evaluate import evaluate, read_retain_logs, write_logs
from llm.tofu.logs import summary
from t3theory.exceptions import InputError
from t3theory.records import (
    Stopwatch,
    config_hash,
    make_record,
    source_hash,
    write_json,
    write_records,
)

__all__ = [
    "evaluate_method",
    "fit_heads",
    "load_data",
    "train_base",
    "train_baseline",
    "train_tokenizer",
    "tune_baseline",
    "tune_tilts",
]

RECORDS = "records.jsonl"
"""The file in an evaluation's folder that is written last."""

_LOG = logging.getLogger(__name__)


def load_data(config: ExperimentConfig, source: str | Path) -> TofuData:
    """The rows that a scale uses of a source."""
    data = config.data
    return load_tofu(source, data.forget, data.forget_authors, data.retain_authors)


def load_model(folder: str | Path) -> tuple[PreTrainedModel, Any]:
    """A model and its tokenizer, from a folder that a stage wrote."""
    try:
        model = AutoModelForCausalLM.from_pretrained(folder).eval()
        return model.to(_device()), AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError) as error:
        reason = str(error).split("\n")[0]
        raise InputError(f"{folder}: expected a model and its tokenizer, {reason}") from error


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _encode(tokenizer: Any, rows: Sequence[Mapping[str, Any]]) -> list[Encoded]:
    return [encode_pair(tokenizer, row["question"], row["answer"]) for row in rows]


def _about(config: ExperimentConfig, data: TofuData, **more: Any) -> dict[str, Any]:
    """The configuration of a record: scale, data, and what is particular to it."""
    return {"scale": config.name, "data": data.name, "data_hash": data.content_hash} | more


def train_tokenizer(config: ExperimentConfig, source: str | Path, out: str | Path) -> None:
    """Train the tokenizer on all training pairs and write it to the folder `out`.

    The forget pairs are among them: tokens are not what is to be forgotten, and full and
    retain model must share them to be comparable.
    """
    data = load_data(config, source)
    pairs = data.full + data.knowledge
    texts = (row[field] for row in pairs for field in ("question", "answer"))
    learn_tokenizer(texts, config.base.vocab_size).save_pretrained(out)


def train_base(
    config: ExperimentConfig,
    source: str | Path,
    seed: int,
    which: str,
    tokenizer: str | Path,
    out: str | Path,
) -> None:
    """Train a model from scratch and write it, with its tokenizer, to the folder `out`.

    Args:
        which: "full" (all pairs) or "retain" (all but the forget pairs); both learn the
            general-knowledge pairs.
        tokenizer: a folder from `train_tokenizer`.

    A killed run goes on from the checkpoint beside `out`.
    """
    if which not in ("full", "retain"):
        raise InputError(f"model {which!r}: expected 'full' or 'retain'")
    data, out = load_data(config, source), Path(out)
    tokens = AutoTokenizer.from_pretrained(tokenizer)
    rows = _encode(tokens, getattr(data, which) + data.knowledge)
    model = build_model(config.base, tokens, seed).to(_device())
    key = config_hash(as_dict(config.base), seed, rows, source_hash("llm/pretrain.py"))
    checkpoint = out.with_name(f"{out.name}.checkpoint")
    loss = pretrain(model, rows, config.base, seed, checkpoint, key)
    _LOG.info("%s model, seed %d: training loss %.4f nats a token", which, seed, loss)
    tokens.save_pretrained(out)
    model.save_pretrained(out)
    checkpoint.unlink(missing_ok=True)


def _features(
    model: PreTrainedModel, tokenizer: Any, data: TofuData, batch_size: int
) -> tuple[Features, Features]:
    """Pooled states of the retain and of the forget answers, from one pass."""
    retain, forget = _encode(tokenizer, data.retain), _encode(tokenizer, data.forget)
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


def stop_name(stop: float) -> str:
    """The folder of the head that was stopped at this risk."""
    return f"risk-{stop:g}"


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
    retain, forget = _features(model, tokenizer, data, config.evaluation.batch_size)
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


def load_heads(
    config: ExperimentConfig, heads: str | Path, base: PreTrainedModel
) -> dict[float, LowRankHead]:
    """The heads that `fit_heads` kept, by stop."""
    return {
        stop: T3ForCausalLM.from_pretrained(Path(heads) / stop_name(stop), base=base).head
        for stop in config.head.stops
    }


def candidates(config: ExperimentConfig, method: str) -> list[dict[str, Any]]:
    """The settings of T3 that the tuning seed chooses from, for a method of `TILTS`."""
    tilt = config.tilt
    stops = config.head.stops if method != "tempering" else config.head.stops[:1]
    temperatures = tilt.temperatures if method != "guidance" else (1.0,)
    scale = tilt.guidance_scale if method != "tempering" else 0.0
    gate = "hard" if method == "t3-gated" else "none"
    return [
        {"stop": stop, "temperature": temperature, "guidance_scale": scale, "gate": gate}
        for stop in stops
        for temperature in temperatures
    ]


def t3_config(config: ExperimentConfig, setting: Mapping[str, Any]) -> T3Config:
    """The decoding that a setting (an element of `candidates`) describes."""
    return T3Config(
        temperature=setting["temperature"],
        guidance_scale=setting["guidance_scale"],
        gate=setting["gate"],
        gate_threshold=config.tilt.gate_threshold,
    )


def _truth_ratios(retain_logs: str | Path) -> list[float]:
    rows = read_retain_logs(retain_logs)["forget_truth_ratio"]["value_by_index"]
    return [row["score"] for row in rows.values()]


def tune_tilts(
    config: ExperimentConfig,
    source: str | Path,
    seed: int,
    base: str | Path,
    heads: str | Path,
    retain_logs: str | Path,
    out: str | Path,
) -> None:
    """Measure every candidate of every method of `TILTS`, and the full model, from one pass.

    Args:
        base, heads: folders of the full model and of its heads.
        retain_logs: folder of the retain model's evaluation.
        out: JSON Lines file of "llm.tuning" records, which `chosen` reads.
    """
    data = load_data(config, source)
    model, tokenizer = load_model(base)
    tried = [(m, s) for m in TILTS for s in candidates(config, m)]
    plain = {
        "stop": config.head.stops[0],
        "temperature": 1.0,
        "guidance_scale": 0.0,
        "gate": "none",
    }
    tried.insert(0, ("full", plain))
    pairs = [encode_pair(tokenizer, q, a) for q, a in measured_pairs(data)]
    losses = sweep_losses(
        model,
        pairs,
        [(stop_name(s["stop"]), t3_config(config, s)) for _, s in tried],
        {stop_name(k): head for k, head in load_heads(config, heads, model).items()},
        config.evaluation.batch_size,
    )
    ratios = _truth_ratios(retain_logs)
    write_records(
        out,
        [
            _tuning_record(config, data, method, setting, seed, row, ratios)
            for (method, setting), row in zip(tried, losses, strict=True)
        ],
    )


def _tuning_record(
    config: ExperimentConfig,
    data: TofuData,
    method: str,
    setting: Mapping[str, Any],
    seed: int,
    losses: np.ndarray,
    retain_truth_ratios: Sequence[float],
) -> dict[str, Any]:
    about = _about(config, data, method=method, setting=dict(setting))
    return make_record("llm.tuning", about, seed, worth(losses, data, retain_truth_ratios))


def tune_baseline(
    config: ExperimentConfig,
    source: str | Path,
    seed: int,
    method: str,
    base: str | Path,
    retain_logs: str | Path,
    out: str | Path,
) -> None:
    """Measure every learning rate and number of epochs of one trained baseline.

    Args as `tune_tilts`; `method` is one of `BASELINES`.
    """
    data = load_data(config, source)
    tokenizer, records = load_model(base)[1], []
    ratios = _truth_ratios(retain_logs)
    pairs = [encode_pair(tokenizer, q, a) for q, a in measured_pairs(data)]

    def losses(model: Any) -> np.ndarray:
        scores = score_rows(model, pairs, tokenizer.pad_token_id, config.evaluation.batch_size)
        return np.array([score.loss for score in scores])

    model = load_model(base)[0]
    records.append(_tuning_record(config, data, "full", {}, seed, losses(model), ratios))
    for rate in config.baseline.learning_rates:

        def measure(epoch: int, model: Any, rate: float = rate) -> None:
            if epoch in config.baseline.epochs:
                setting = {"learning_rate": rate, "epochs": epoch}
                records.append(
                    _tuning_record(config, data, method, setting, seed, losses(model), ratios)
                )

        _unlearn(config, data, seed, method, base, rate, max(config.baseline.epochs), measure)
    write_records(out, records)


def _unlearn(
    config: ExperimentConfig,
    data: TofuData,
    seed: int,
    method: str,
    base: str | Path,
    learning_rate: float,
    epochs: int,
    on_epoch: Any = None,
) -> tuple[PreTrainedModel, Any]:
    model, tokenizer = load_model(base)
    forget, retain = _encode(tokenizer, data.forget), _encode(tokenizer, data.retain)
    unlearn(model, method, forget, retain, config.baseline, learning_rate, epochs, seed, on_epoch)
    return model, tokenizer


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
    model, tokenizer = _unlearn(config, data, seed, method, base, **setting)
    tokenizer.save_pretrained(out)
    model.save_pretrained(out)


def evaluate_method(
    config: ExperimentConfig,
    source: str | Path,
    seed: int,
    method: str,
    model: str | Path,
    out: str | Path,
    heads: str | Path | None = None,
    tuning: str | Path | None = None,
    retain_logs: str | Path | None = None,
) -> None:
    """Evaluate one method: TOFU_EVAL.json, TOFU_SUMMARY.json and records.jsonl in `out`.

    Args:
        method: one of `METHODS`.
        model: folder of the model to run: the full model for "full" and `TILTS`, the retain
            model for "retain", the unlearned one for `BASELINES`.
        heads: from `fit_heads`, for `TILTS`.
        tuning: from `tune_tilts` or `tune_baseline`, for `TILTS` and `BASELINES`.
        retain_logs: folder of the retain model's evaluation; the retain model itself needs none
            (its forget quality against itself is 1 by definition).

    records.jsonl holds one record of kind "llm.evaluation".
    """
    data, out, clock = load_data(config, source), Path(out), Stopwatch()
    found, tokenizer = load_model(model)
    total = sum(p.numel() for p in found.parameters())
    setting = chosen(_given(tuning, "tuning", method), method, config) if tuning else {}
    trained = total
    if method in TILTS:
        adapter = Path(_given(heads, "heads", method)) / stop_name(setting["stop"])
        t3 = T3ForCausalLM.from_pretrained(adapter, base=found)
        trained = sum(p.numel() for p in t3.head.parameters())
        found = T3ForCausalLM(found, t3.head, t3_config(config, setting)).eval()
    elif method in BASELINES:
        _given(tuning, "tuning", method)
    evaluation = evaluate(
        found,
        tokenizer,
        data,
        retain_logs,
        config.evaluation.batch_size,
        config.evaluation.max_new_tokens,
        progress=False,
    )
    write_logs(evaluation, out)
    values = _values(evaluation) | {"trained_parameters": trained, "total_parameters": total}
    about = _about(config, data, method=method, **setting)
    record = make_record("llm.evaluation", about, seed, values, clock.seconds)
    write_records(out / RECORDS, [record])


def _given(value: str | Path | None, name: str, method: str) -> str | Path:
    if value is None:
        raise InputError(f"method {method!r}: expected {name}")
    return value


_NAMES = {
    "forget_quality": "forget_quality",
    "forget_quality_statistic": "ks_statistic",
    "forget_quality_log10_p": "forget_quality_log10_p",
    "model_utility": "model_utility",
    "privleak": "privleak",
    "extraction_strength": "extraction_strength",
    "exact_memorization": "exact_memorization",
    "mia_min_k": "mia_min_k",
    "forget_truth_ratio": "forget_truth_ratio",
    "forget_Q_A_Prob": "forget_probability",
    "forget_Q_A_ROUGE": "forget_rouge",
    "retain_Q_A_Prob": "retain_probability",
    "retain_Q_A_ROUGE": "retain_rouge",
    "retain_Truth_Ratio": "retain_truth_ratio",
    "ra_Q_A_Prob_normalised": "real_authors_probability",
    "ra_Q_A_ROUGE": "real_authors_rouge",
    "ra_Truth_Ratio": "real_authors_truth_ratio",
    "wf_Q_A_Prob_normalised": "world_facts_probability",
    "wf_Q_A_ROUGE": "world_facts_rouge",
    "wf_Truth_Ratio": "world_facts_truth_ratio",
}
"""open-unlearning's names of metrics, and the records'."""


def _values(evaluation: Mapping[str, Any]) -> dict[str, float]:
    found = summary(evaluation)
    return {ours: found[theirs] for theirs, ours in _NAMES.items() if theirs in found}
