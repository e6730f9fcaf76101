"""What a candidate setting is worth: forget quality and utility from the losses of some pairs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from llm.tofu import metrics
from llm.tofu.data import TofuData

__all__ = ["measured_pairs", "worth"]

Pair = tuple[str, str]

_SETS = ("forget", "retain", "real_authors", "world_facts")


def _set_pairs(data: TofuData, name: str) -> list[list[Pair]]:
    """Of each row: the right answer, its paraphrase where there is one, the wrong answers."""
    return [
        [(row["question"], row["answer"])]
        + [(row["question"], row[k]) for k in ("paraphrased_answer",) if k in row]
        + [(row["question"], wrong) for wrong in row["perturbed_answer"]]
        for row in getattr(data, f"{name}_perturbed")
    ]


def measured_pairs(data: TofuData) -> list[Pair]:
    """All question/answer pairs whose losses `worth` needs, in its order."""
    return [pair for name in _SETS for row in _set_pairs(data, name) for pair in row]


def worth(
    losses: Float[np.ndarray, " pairs"],
    data: TofuData,
    retain_truth_ratios: Sequence[float],
) -> dict[str, float]:
    """Forget quality, and utility without the generated texts: six of TOFU's nine parts.

    And the mean losses of the right answers, which need no retain model.

    Args:
        losses: nats a token of `measured_pairs(data)`.
        retain_truth_ratios: the retain model's on the forget set.
    """
    parts: dict[str, float] = {}
    plain, start = {}, 0
    for name in _SETS:
        rows = _set_pairs(data, name)
        table = losses[start : start + len(rows) * len(rows[0])].reshape(len(rows), -1)
        start += table.size
        if name in ("forget", "retain"):
            plain[f"{name}_loss"] = float(table[:, 0].mean())
            right, wrong, chance = table[:, 1], table[:, 2:], metrics.probability(table[:, 0])
        else:
            right, wrong = table[:, 0], table[:, 1:]
            chance = metrics.normalised_probability(right, wrong)
        ratios = metrics.truth_ratio(right, wrong)
        if name == "forget":
            quality = metrics.forget_quality(ratios, retain_truth_ratios)
            continue
        parts[f"{name}_probability"] = float(np.mean(chance))
        parts[f"{name}_truth_ratio"] = metrics.true_better(ratios)
    return plain | {
        "forget_quality": quality.p_value,
        "forget_quality_log10_p": quality.log10_p,
        "ks_statistic": quality.statistic,
        "utility": metrics.model_utility(parts),
    }
