"""Every TOFU metric from what a model makes of the answers, in open-unlearning's names and layout."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from llm.encoding import Encoded, encode_pair
from llm.scoring import RowScores
from llm.tofu import metrics
from llm.tofu.data import TofuData
from llm.tofu.logs import content_hash
from llm.tofu.metrics.model_utility import UTILITY_PARTS
from t3theory.exceptions import InputError

__all__ = ["Entry", "Evaluation", "Pair", "all_metrics", "encoded_pairs", "questions"]

Entry = dict[str, Any]
Evaluation = dict[str, Entry]
Row = Mapping[str, Any]

_LOG = logging.getLogger(__name__)


def _by_index(values: Sequence[Any]) -> dict[str, Any]:
    return {str(i): value for i, value in enumerate(values)}


def _scores(values: Sequence[float]) -> Entry:
    """An entry of one score a row; rows without a score (nan) do not count."""
    kept = [v for v in values if not np.isnan(v)]
    rows = [{"score": None if np.isnan(v) else float(v)} for v in values]
    return {"agg_value": float(np.mean(kept)), "value_by_index": _by_index(rows)}


def _probabilities(losses: np.ndarray) -> Entry:
    """The entry of losses (n,) or (n, k)."""
    chance = np.exp(-losses)
    rows = [
        {"prob": p, "avg_loss": loss}
        for p, loss in zip(chance.tolist(), losses.tolist(), strict=True)
    ]
    return {"agg_value": float(chance.mean()), "value_by_index": _by_index(rows)}


def _texts(rows: Sequence[Row], generations: Sequence[str]) -> Entry:
    """ROUGE of the generated texts; the aggregate is ROUGE-L recall."""
    values = []
    for row, text in zip(rows, generations, strict=True):
        rouge = metrics.rouge(text, row["answer"])._asdict()
        said = {"input": row["question"], "ground_truth": row["answer"], "generation": text}
        values.append(rouge | said)
    recall = float(np.mean([v["rougeL_recall"] for v in values]))
    return {"agg_value": recall, "value_by_index": _by_index(values)}


Pair = tuple[str, str]
Scores = Mapping[Pair, RowScores]
"""Question and answer to what the model makes of them."""


def encoded_pairs(tokenizer: Any, data: TofuData) -> dict[Pair, Encoded]:
    """All answers of all sets, as token ids; a pair that stands in several is there once."""
    return {pair: encode_pair(tokenizer, *pair) for pair in _all_pairs(data)}


def _check_finite(scores: Scores) -> None:
    bad = [pair for pair, score in scores.items() if not np.isfinite(score.loss)]
    if bad:
        raise InputError(
            f"model: {len(bad)} of {len(scores)} answers have no finite loss (a model that "
            f"diverged in training?), first that to {bad[0][0]!r}"
        )


def _losses(scores: Scores, pairs: Sequence[Pair]) -> np.ndarray:
    return np.array([scores[pair].loss for pair in pairs])


def _answers(rows: Sequence[Row], field: str = "answer") -> list[Pair]:
    return [(row["question"], row[field]) for row in rows]


def _wrong(rows: Sequence[Row]) -> list[Pair]:
    """Row by row, the wrong answers; every row has equally many."""
    counts = {len(row["perturbed_answer"]) for row in rows}
    if len(counts) != 1:
        raise InputError(
            f"perturbed_answer: expected equally many in every row, got {sorted(counts)}"
        )
    return [(row["question"], wrong) for row in rows for wrong in row["perturbed_answer"]]


def _all_pairs(data: TofuData) -> list[Pair]:
    pairs = _answers(data.holdout)
    for rows in (data.forget_perturbed, data.retain_perturbed):
        pairs += _answers(rows) + _answers(rows, "paraphrased_answer") + _wrong(rows)
    for rows in (data.real_authors_perturbed, data.world_facts_perturbed):
        pairs += _answers(rows) + _wrong(rows)
    return pairs


def _truth_ratio(prefix: str, correct: np.ndarray, wrong: np.ndarray) -> Entry:
    ratios = metrics.truth_ratio(correct, wrong)
    entry = _scores(ratios.tolist())
    if prefix == "forget":
        entry["agg_value"] = metrics.closeness_to_one(ratios, metrics.EPSILON)
    else:
        entry["agg_value"] = metrics.true_better(ratios)
    return entry


def _authors(prefix: str, rows: Sequence[Row], scores: Scores) -> Evaluation:
    """Probabilities and truth ratio of a set about fictional authors."""
    answer = _losses(scores, _answers(rows))
    paraphrase = _losses(scores, _answers(rows, "paraphrased_answer"))
    wrong = _losses(scores, _wrong(rows)).reshape(len(rows), -1)
    ratio = "forget_truth_ratio" if prefix == "forget" else f"{prefix}_Truth_Ratio"
    return {
        f"{prefix}_Q_A_Prob": _probabilities(answer),
        f"{prefix}_Q_A_PARA_Prob": _probabilities(paraphrase),
        f"{prefix}_Q_A_PERT_Prob": _probabilities(wrong),
        ratio: _truth_ratio(prefix, paraphrase, wrong),
    }


def _knowledge(prefix: str, rows: Sequence[Row], scores: Scores) -> Evaluation:
    """The same for general knowledge, where the answer is its own paraphrase."""
    answer = _losses(scores, _answers(rows))
    wrong = _losses(scores, _wrong(rows)).reshape(len(rows), -1)
    normalised = metrics.normalised_probability(answer, wrong).tolist()
    return {
        f"{prefix}_Q_A_Prob": _probabilities(answer),
        f"{prefix}_Q_A_PERT_Prob": _probabilities(wrong),
        f"{prefix}_Q_A_Prob_normalised": {
            "agg_value": float(np.mean(normalised)),
            "value_by_index": _by_index([{"prob": p} for p in normalised]),
        },
        f"{prefix}_Truth_Ratio": _truth_ratio(prefix, answer, wrong),
    }


def _memory(data: TofuData, scores: Scores) -> Evaluation:
    """What the model's tokens and token probabilities tell about the forget set."""
    forget = [scores[pair] for pair in _answers(data.forget_perturbed)]
    found = {
        "extraction_strength": _scores([metrics.extraction_strength(s.matches) for s in forget]),
        "exact_memorization": _scores([metrics.exact_memorization(s.matches) for s in forget]),
    }
    if data.holdout:
        seen = [metrics.min_k_score(s.log_probs) for s in forget]
        unseen = [
            metrics.min_k_score(s.log_probs) for s in (scores[p] for p in _answers(data.holdout))
        ]
        auc = metrics.membership_auc(seen, unseen)
        found["mia_min_k"] = {
            "agg_value": auc,
            "auc": auc,
            "forget": _scores(seen),
            "holdout": _scores(unseen),
        }
    return found


def _sets(data: TofuData) -> Mapping[str, Sequence[Row]]:
    """The four evaluation sets by the prefix of their metrics."""
    return {
        "forget": data.forget_perturbed,
        "retain": data.retain_perturbed,
        "ra": data.real_authors_perturbed,
        "wf": data.world_facts_perturbed,
    }


def _generated(data: TofuData, answers: Sequence[str]) -> Evaluation:
    """ROUGE of all sets, from the answers in the order of `_sets`."""
    said = iter(answers)
    return {
        f"{prefix}_Q_A_ROUGE": _texts(rows, [next(said) for _ in rows])
        for prefix, rows in _sets(data).items()
    }


def _against_retain(found: Evaluation, retain_logs: Mapping[str, Entry] | None) -> Evaluation:
    """The metrics that need the retain model's logs; none without them, and a message."""
    if retain_logs is None:
        _LOG.warning(
            "no retain logs: forget_quality and privleak are not reported (they compare with the "
            "TOFU_EVAL.json of a model trained without the forget set)"
        )
        return {}
    ours, theirs = (
        [row["score"] for row in log["forget_truth_ratio"]["value_by_index"].values()]
        for log in (found, retain_logs)
    )
    quality = metrics.forget_quality(ours, theirs)
    compared = {
        "forget_quality": {"agg_value": quality.p_value},
        "forget_quality_statistic": {"agg_value": quality.statistic},
        "forget_quality_log10_p": {"agg_value": quality.log10_p},
    }
    if "mia_min_k" in found and "mia_min_k" in retain_logs:
        leakage = metrics.privacy_leakage(
            found["mia_min_k"]["agg_value"], retain_logs["mia_min_k"]["agg_value"]
        )
        compared["privleak"] = {"agg_value": leakage}
    return compared


def questions(data: TofuData) -> list[str]:
    """Those that are answered, in the order that `all_metrics` wants the answers."""
    return [row["question"] for rows in _sets(data).values() for row in rows]


def all_metrics(
    data: TofuData,
    scores: Scores,
    answers: Sequence[str],
    retain: Mapping[str, Entry] | None,
    provenance: Mapping[str, Any],
) -> Evaluation:
    """Every metric, from what a model makes of `encoded_pairs` and what it answers itself.

    Args:
        answers: to `questions(data)`.
        retain: the retain model's evaluation.
        provenance: goes into the entry of that name.

    Raises:
        InputError: an answer has no finite loss.
    """
    _check_finite(scores)
    found: Evaluation = {}
    for prefix, rows in _sets(data).items():
        about = _authors if prefix in ("forget", "retain") else _knowledge
        found |= about(prefix, rows, scores)
    found |= _generated(data, answers)
    parts = {name: found[name]["agg_value"] for name in UTILITY_PARTS}
    found["model_utility"] = {"agg_value": metrics.model_utility(parts)}
    found |= _memory(data, scores)
    found |= _against_retain(found, retain)
    found["provenance"] = {"content": content_hash(found), "data": data.name} | dict(provenance)
    return found
