"""The probability of an answer, per token, alone and among wrong ones."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from llm.tofu.metrics._arrays import EPSILON, rows_of, vector

__all__ = ["normalised_probability", "probability"]


def probability(loss: ArrayLike) -> Float[np.ndarray, " n"]:
    """e^{-loss}: the geometric mean of the answer tokens' probabilities.

    >>> probability([0.0, np.log(2)])
    array([1. , 0.5])
    """
    return np.exp(-vector("loss", loss))


def normalised_probability(
    correct_loss: ArrayLike, wrong_losses: ArrayLike, epsilon: float = EPSILON
) -> Float[np.ndarray, " n"]:
    """Correct / (correct + Σ_k wrong_k + epsilon), shapes (n,) and (n, k) to (n,).

    The original TOFU code has `epsilon` 0, open-unlearning 1e-10.

    >>> normalised_probability([np.log(2)], [[np.log(4), np.log(4)]], epsilon=0)
    array([0.5])
    """
    correct = probability(correct_loss)
    wrong = np.exp(-rows_of("wrong_losses", wrong_losses, correct.size)).sum(axis=1)
    return correct / (correct + wrong + epsilon)
