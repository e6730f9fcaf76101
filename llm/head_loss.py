"""What the head is trained by: logistic loss of retain against forget tokens, and its gradient."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import softplus

from llm.head import LowRankHead

__all__ = ["Weighting", "head_loss", "set_gradients"]

Weighting = Literal["balanced", "token"]
"""Each class half of the loss, or each token alike."""


def head_loss(
    retain_log_odds: Float[Tensor, " n"],
    forget_log_odds: Float[Tensor, " m"],
    weighting: Weighting = "balanced",
) -> Float[Tensor, ""]:
    """Binary cross-entropy of retain = 1, forget = 0, in nats.

    >>> float(head_loss(torch.zeros(3), torch.zeros(1))).__round__(6)
    0.693147
    """
    retain, forget = softplus(-retain_log_odds), softplus(forget_log_odds)
    if weighting == "token":
        return (retain.sum() + forget.sum()) / (len(retain) + len(forget))
    return (retain.mean() + forget.mean()) / 2


@torch.no_grad()
def set_gradients(
    head: LowRankHead,
    pooled: Float[Tensor, "n hidden"],
    targets: Int[Tensor, " n"],
    retained: int,
    weighting: Weighting = "balanced",
) -> None:
    """The gradient of `head_loss`, by hand: a step is so small that recording it costs more.

    With ℓ = ⟨D u, U_v⟩ and c = ∂loss/∂ℓ: the gradient of D is Σ c U_v uᵀ, that of U_v is Σ c D u.

    Args:
        retained: the first so many rows are retain tokens, all others forget tokens.
    """
    down, up = head.down.weight, head.up.weight
    latent, rows = pooled @ down.T, up.index_select(0, targets)
    log_odds, lost = (latent * rows).sum(-1, keepdim=True), len(targets) - retained
    shares = (2 * retained, 2 * lost) if weighting == "balanced" else (len(targets),) * 2
    log_odds[:retained].neg_()
    slope = log_odds.sigmoid_()  # of the wrong answer: nothing cancels where the head is sure
    slope[:retained].div_(-shares[0])
    slope[retained:].div_(shares[1])
    down.grad = (rows * slope).T @ pooled
    up.grad = torch.zeros_like(up) if up.grad is None else up.grad.zero_()
    up.grad.index_add_(0, targets, latent * slope)
