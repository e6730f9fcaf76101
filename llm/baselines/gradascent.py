"""Gradient ascent on the forget answers: GradAscent alone, GradDiff with a retain term."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from llm.baselines.answers import Answers

__all__ = ["gradascent"]


def gradascent(forget: Answers) -> Float[Tensor, ""]:
    """L = Σ log π(y|x) / Σ|y|: minus the mean cross-entropy over all forget tokens.

    Unbounded below: alone (Jang et al. 2023) only early stopping keeps the model alive;
    GradDiff (Liu, Liu & Stone 2022) adds the loss on retain answers.
    """
    return forget.log_prob.sum() / forget.length.sum()
