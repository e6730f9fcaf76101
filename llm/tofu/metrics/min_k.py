"""Membership inference by the least likely tokens of an answer (Min-K% Prob)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from llm.tofu.metrics._arrays import vector
from t3theory.exceptions import AssumptionError

__all__ = ["membership_auc", "min_k_score"]


def min_k_score(log_probs: ArrayLike, k: float = 0.4) -> float:
    """Minus the mean of the lowest share `k` of the labels' log-probabilities, in nats.

    Args:
        log_probs: of the labels of one answer; the last (end of sequence) is dropped, as in
            open-unlearning.
        k: share in (0, 1]; at least one token counts.

    Returns:
        A number ≥ 0, low for what the model has seen; 0 where there is no label but the last.

    >>> min_k_score([-1.0, -4.0, -2.0, -9.0], k=0.7)  # two of three
    3.0
    """
    if not 0 < k <= 1:
        raise AssumptionError("k", "must lie in (0, 1]", k)
    values = np.sort(vector("log_probs", log_probs)[:-1])
    if values.size == 0:
        return 0.0
    return float(-values[: max(1, int(k * values.size))].mean())


def membership_auc(forget_scores: ArrayLike, holdout_scores: ArrayLike) -> float:
    """P(forget score < holdout score) + half of P(equal): how well the attack tells them apart.

    0.5 where the forget set looks like data the model never saw, 1 where it is remembered.

    >>> membership_auc([1.0, 2.0], [2.0, 3.0])
    0.875
    """
    forget = vector("forget_scores", forget_scores)
    holdout = vector("holdout_scores", holdout_scores)
    ranks = rankdata(np.concatenate([forget, holdout]))[forget.size :]
    wins = ranks.sum() - holdout.size * (holdout.size + 1) / 2
    return float(wins / (forget.size * holdout.size))
