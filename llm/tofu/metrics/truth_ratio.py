"""How likely wrong answers are, relative to the correct one."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from llm.tofu.metrics._arrays import EPSILON, rows_of, vector
from t3theory.exceptions import InputError

__all__ = ["Variant", "closeness_to_one", "true_better", "truth_ratio"]

Variant = Literal["open-unlearning", "tofu", "arithmetic", "prob-mean"]


def truth_ratio(
    correct_loss: ArrayLike, perturbed_losses: ArrayLike, variant: Variant = "open-unlearning"
) -> Float[np.ndarray, " n"]:
    """Wrong over correct: R = (∏_k e^{-b_k})^{1/K} / e^{-q}, per question.

    Args:
        correct_loss: q, shape (n,): loss of the paraphrased answer, or of the answer where
            there is no paraphrase.
        perturbed_losses: b, shape (n, k): losses of the wrong answers.
        variant: "open-unlearning" adds 1e-10 to the denominator; "tofu" is the original
            code, without it; "arithmetic" has the mean of e^{-b_k} in the numerator, as the
            TOFU paper's text; "prob-mean" is correct / (correct + wrong + 1e-10).

    Raises:
        AssumptionError: shapes do not fit, or a loss is nan.
        InputError: the variant is unknown.

    >>> truth_ratio([1.0], [[1.0, 3.0]], "tofu").round(4)  # e^{1 - 2}
    array([0.3679])
    """
    q = vector("correct_loss", correct_loss)
    b = rows_of("perturbed_losses", perturbed_losses, q.size)
    with np.errstate(over="ignore"):  # a ratio beyond float64 is inf, which ranks as it should
        match variant:
            case "open-unlearning":
                return np.exp(-b.mean(axis=1)) / (np.exp(-q) + EPSILON)
            case "tofu":
                return np.exp(q - b.mean(axis=1))
            case "arithmetic":
                return np.exp(q[:, None] - b).mean(axis=1)
            case "prob-mean":
                correct = np.exp(-q)
                return correct / (correct + np.exp(-b.mean(axis=1)) + EPSILON)
    raise InputError(
        f"truth ratio variant {variant!r}: expected open-unlearning, tofu, arithmetic or prob-mean"
    )


def closeness_to_one(ratios: ArrayLike, epsilon: float = 0.0) -> float:
    """mean min(R, 1/R): 1 where wrong and correct answers are equally likely (forget set).

    open-unlearning adds `epsilon` = 1e-10 to the second R.

    >>> closeness_to_one([0.5, 2.0, 1.0])
    0.6666666666666666
    """
    r = vector("ratios", ratios)
    with np.errstate(divide="ignore"):
        return float(np.minimum(r, 1 / (r + epsilon)).mean())


def true_better(ratios: ArrayLike) -> float:
    """mean max(0, 1 - R): 1 where wrong answers are impossible (all sets but forget).

    >>> true_better([0.25, 3.0])
    0.375
    """
    return float(np.maximum(0, 1 - vector("ratios", ratios)).mean())
