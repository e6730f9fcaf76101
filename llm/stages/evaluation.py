"""A method's evaluation, and the record of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llm.experiment import ExperimentConfig
from llm.scoring import greedy_answers
from llm.stages.files import about, load_data
from llm.stages.methods import load_method
from llm.tofu.data import TofuData
from llm.tofu.evaluate import evaluate, write_logs
from llm.tofu.logs import summary
from t3theory.records import Stopwatch, make_record, write_records

__all__ = ["evaluate_method"]

DECODED = 16
"""Answers of the batch whose decoding is timed, and tokens of each."""

RECORDS = "records.jsonl"
"""The file in an evaluation's folder that is written last."""


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

    records.jsonl holds one record of kind "llm.evaluation"; its `timings` hold the speed of
    greedy decoding, `tokens_per_second`.
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
    seconds = clock.seconds
    timings = _speed(decoded.model, decoded.tokenizer, data)
    record = make_record("llm.evaluation", described, seed, values, seconds, timings)
    write_records(out / RECORDS, [record])


def _speed(model: Any, tokenizer: Any, data: TofuData) -> dict[str, float]:
    """Tokens a second of one batch of greedy answers, all of the same length, prompts included."""
    questions, watch = [row["question"] for row in data.forget[:DECODED]], Stopwatch()
    greedy_answers(
        model, tokenizer, questions, DECODED, max_new_tokens=DECODED, min_new_tokens=DECODED
    )
    return {"tokens_per_second": len(questions) * DECODED / watch.seconds}


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
