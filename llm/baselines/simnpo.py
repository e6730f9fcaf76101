"""SimNPO: NPO without a reference model, normalised by length (Fan et al. 2024)."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import softplus

from llm.baselines.answers import Answers

__all__ = ["simnpo"]


def simnpo(forget: Answers, beta: float, margin: float) -> Float[Tensor, ""]:
    """L = (2/β) · mean log(1 + exp((β/|y|) log π(y|x) + γ)).

    Args:
        beta: β > 0.
        margin: γ, the reward margin.
    """
    return 2 / beta * softplus(beta * forget.log_prob / forget.length + margin).mean()
