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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from llm.closing_the_loop import measure_theory
from llm.costs import measure_cost
from llm.experiment import ExperimentConfig, as_dict
from llm.fit_head import Evaluation, fit_head
from llm.head import LowRankHead
from llm.model import T3ForCausalLM
from llm.pretrain import build_model, pretrain
from llm.pretrain import train_tokenizer as learn_tokenizer
from llm.robustness.measure import measure_robustness
from llm.selection import chosen
from llm.stage_files import (
    TRAINED,
    about,
    device,
    encode_rows,
    head_config,
    head_features,
    load_data,
    load_method,
    load_model,
    stop_name,
    unlearned,
)
from llm.tofu.evaluate import evaluate, write_logs
from llm.tofu.logs import summary
from llm.tuning import tune_baseline, tune_tilts
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
    "measure_cost",
    "measure_robustness",
    "measure_theory",
    "train_base",
    "train_baseline",
    "train_tokenizer",
    "tune_baseline",
    "tune_tilts",
]

RECORDS = "records.jsonl"
"""The file in an evaluation's folder that is written last."""

_LOG = logging.getLogger(__name__)


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
    rows = encode_rows(tokens, getattr(data, which) + data.knowledge)
    model: Any = build_model(config.base, tokens, seed)
    model.to(device())
    key = config_hash(as_dict(config.base), seed, rows, source_hash("llm/pretrain.py"))
    checkpoint = out.with_name(f"{out.name}.checkpoint")
    loss = pretrain(model, rows, config.base, seed, checkpoint, key)
    _LOG.info("%s model, seed %d: training loss %.4f nats a token", which, seed, loss)
    tokens.save_pretrained(out)
    model.save_pretrained(out)
    checkpoint.unlink(missing_ok=True)


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
    decoded = load_method(config, data, method, model, heads, tuning)
    evaluation = evaluate(
        decoded.model,
        decoded.tokenizer,
        data,
        retain_logs,
        config.evaluation.batch_size,
        config.evaluation.max_new_tokens,
        progress=False,
    )
    write_logs(evaluation, out)
    values = _values(evaluation) | {
        "trained_parameters": decoded.trained_parameters,
        "total_parameters": decoded.total_parameters,
    }
    described = about(config, data, method=method, **decoded.setting)
    record = make_record("llm.evaluation", described, seed, values, clock.seconds)
    write_records(out / RECORDS, [record])


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
