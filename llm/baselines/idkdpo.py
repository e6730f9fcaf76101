"""IdkDPO: the refusal preferred to the forget answer (TOFU; Rafailov et al. 2023 for the loss)."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import softplus

from llm.baselines.answers import Answers

__all__ = ["REFUSALS", "idkdpo"]

REFUSALS = (
    "I don't know.",
    "I have no information about that.",
    "That is not something I can answer.",
    "I am not familiar with this.",
    "I cannot say; I have never come across it.",
    "Sorry, this is outside what I know.",
    "I have no knowledge of this subject.",
    "I was not taught anything about it.",
)
"""What may be said instead of a forget answer."""


def idkdpo(forget: Answers, refusal: Answers, beta: float) -> Float[Tensor, ""]:
    """L = −(2/β) · mean log σ(β (log π/π_ref of the refusal − log π/π_ref of the answer)).

    Row i of `refusal` answers the question of row i of `forget`.

    Args:
        beta: β > 0.
    """
    won = refusal.log_prob - refusal.reference
    lost = forget.log_prob - forget.reference
    return 2 / beta * softplus(beta * (lost - won)).mean()
