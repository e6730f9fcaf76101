"""One method under the attacks of its scale: a record an attack."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from llm.encoding import encode_pair
from llm.experiment import BASELINES, ExperimentConfig
from llm.robustness.fluency import repetition
from llm.robustness.quantise import quantised
from llm.robustness.questions import ASK
from llm.robustness.relearn import relearned, split
from llm.scoring import score_rows
from llm.stages.files import about, load_data, load_model, thinned
from llm.stages.methods import load_method, truth_ratios
from llm.tofu import metrics
from llm.tofu.data import TofuData
from llm.tofu.logs import read_log
from t3theory.records import Stopwatch, make_record, write_records

__all__ = ["applies", "measure_robustness"]

Row = Mapping[str, Any]
BITS = {"int8": 8, "int4": 4}


def applies(attack: str, method: str) -> bool:
    """Whether an attack makes sense: relearning needs weights that unlearning has changed.

    The retain model relearns too: it is what the others are compared with.
    """
    return attack != "relearn" or method == "retain" or method in set(BASELINES) - {"uld"}


def measure_robustness(
    config: ExperimentConfig,
    source: str | Path,
    seed: int,
    method: str,
    model: str | Path,
    retain: str | Path,
    evaluation: str | Path,
    retain_logs: str | Path,
    out: str | Path,
    heads: str | Path | None = None,
    tuning: str | Path | None = None,
) -> None:
    """Measure `method` under each of the scale's attacks.

    Args:
        model, heads, tuning: as for `evaluate_method`.
        retain: folder of the retain model, which judges fluency.
        evaluation: folder of the method's evaluation, where its greedy answers stand.
        retain_logs: folder of the retain model's evaluation.
        out: JSON Lines file, records of kind "llm.robustness", `config.attack` one each.
    """
    data, watch = load_data(config, source), Stopwatch()
    few = thinned(config, data)
    decoded = load_method(config, data, method, model, heads, tuning)
    size, tokenizer = config.evaluation.batch_size, decoded.tokenizer

    def values(attack: str) -> dict[str, float]:
        if attack == "fluency":
            return _fluency(load_model(retain)[0], tokenizer, evaluation, size)
        if attack == "relearn":
            learnt, rest = split(len(data.forget))
            rows = [encode_pair(tokenizer, *_pair(data.forget[i])) for i in learnt]
            again = relearned(decoded.model, rows, size, seed)
            return _memory(again, tokenizer, few, size, ASK["none"], rest)
        if attack in BITS:
            smaller = quantised(decoded.model, BITS[attack])
            quality = _quality(smaller, tokenizer, data, size, truth_ratios(retain_logs))
            return _memory(smaller, tokenizer, few, size, ASK["none"]) | quality
        return _memory(decoded.model, tokenizer, few, size, ASK[attack])

    write_records(
        out,
        [
            make_record(
                "llm.robustness",
                about(config, data, method=method, attack=attack, **decoded.setting),
                seed,
                values(attack),
                watch.seconds,
            )
            for attack in config.attacks
            if applies(attack, method)
        ],
    )


def _pair(row: Row) -> tuple[str, str]:
    return row["question"], row["answer"]


def _memory(
    model: Any,
    tokenizer: Any,
    data: TofuData,
    batch_size: int,
    ask: Callable[[Any, Row, str], Any],
    rows: Sequence[int] | None = None,
) -> dict[str, float]:
    """What is left of the forget answers (of `rows`), and of the retain answers for comparison."""
    chosen = range(len(data.forget)) if rows is None else rows
    forget = [data.forget_perturbed[i] for i in chosen]
    both = [*forget, *data.retain_perturbed]
    pairs = [ask(tokenizer, row, row["answer"]) for row in both]
    scores = score_rows(model, pairs, tokenizer.pad_token_id, batch_size)
    lost, kept = scores[: len(forget)], scores[len(forget) :]
    strength = [metrics.extraction_strength(s.matches, floor=False) for s in lost]
    return {
        "forget_probability": float(np.mean([np.exp(-s.loss) for s in lost])),
        "forget_loss": float(np.mean([s.loss for s in lost])),
        "extraction_strength": float(np.mean(strength)),
        "exact_memorization": float(np.mean([s.matches[:-1].mean() for s in lost])),
        "retain_probability": float(np.mean([np.exp(-s.loss) for s in kept])),
    }


def _quality(
    model: Any, tokenizer: Any, data: TofuData, batch_size: int, retain: Sequence[float]
) -> dict[str, float]:
    """Forget quality of a changed model."""
    rows = data.forget_perturbed
    answers = [[row["paraphrased_answer"], *row["perturbed_answer"]] for row in rows]
    pairs = [
        encode_pair(tokenizer, row["question"], answer)
        for row, several in zip(rows, answers, strict=True)
        for answer in several
    ]
    scores = score_rows(model, pairs, tokenizer.pad_token_id, batch_size)
    losses = np.array([s.loss for s in scores]).reshape(len(rows), -1)
    ratios = metrics.truth_ratio(losses[:, 0], losses[:, 1:])
    quality = metrics.forget_quality(ratios, retain)
    return {"forget_quality": quality.p_value, "forget_quality_log10_p": quality.log10_p}


def _fluency(
    judge: Any, tokenizer: Any, evaluation: str | Path, batch_size: int
) -> dict[str, float]:
    """Loss a token of the method's greedy answers to forget questions under the retain model."""
    rows = read_log(evaluation)["forget_Q_A_ROUGE"]["value_by_index"].values()
    pairs = [encode_pair(tokenizer, row["input"], row["generation"]) for row in rows]
    limit = judge.config.max_position_embeddings
    scores = score_rows(
        judge, [p for p in pairs if len(p.input_ids) <= limit], tokenizer.pad_token_id, batch_size
    )
    texts = [row["generation"] for row in rows]
    losses = [s.loss for s in scores]
    return {
        "fluency_loss": float(np.mean(losses)),
        "fluency_loss_median": float(np.median(losses)),
        "repetition": repetition(texts),
        "empty": float(np.mean([not text for text in texts])),
        "too_long": 1 - len(scores) / len(pairs),
    }
