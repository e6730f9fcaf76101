"""GradDiff's forget term: gradient ascent on the forget answers (Liu, Liu & Stone 2022)."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from llm.baselines.answers import Answers

__all__ = ["graddiff"]


def graddiff(forget: Answers) -> Float[Tensor, ""]:
    """L = Σ log π(y|x) / Σ|y|: minus the mean cross-entropy over all forget tokens.

    Unbounded below: it is the retain term and early stopping that keep the model alive.
    Without a retain term this is gradient ascent alone.
    """
    return forget.log_prob.sum() / forget.length.sum()
