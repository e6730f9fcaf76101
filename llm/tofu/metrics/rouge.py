"""How much of the true answer the generated text repeats."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

__all__ = ["Rouge", "rouge"]


class Rouge(NamedTuple):
    """ROUGE of one text, each in [0, 1], under open-unlearning's names."""

    rouge1_recall: float
    rougeL_f1: float
    rougeL_recall: float


@cache
def _scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer  # slow to import: it brings nltk

    return RougeScorer(["rouge1", "rougeL"], use_stemmer=True)


def rouge(prediction: str, target: str) -> Rouge:
    """ROUGE of `prediction` against `target` by rouge-score, stemmer on, as TOFU has it.

    TOFU reports `rougeL_recall`, which does not punish a text that runs on.

    >>> rouge("She was born in Oslo, I think.", "She was born in Bergen.").rougeL_recall
    0.8
    """
    scores = _scorer().score(target, prediction)
    return Rouge(scores["rouge1"].recall, scores["rougeL"].fmeasure, scores["rougeL"].recall)
