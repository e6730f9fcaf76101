"""ULD: an assistant learns what to forget, and its logits are subtracted (Ji et al. 2024)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from llm.baselines.answers import Answers

__all__ = ["assistant_loss", "logit_difference"]


def assistant_loss(
    forget: Answers, retain_logits: Float[Tensor, "tokens vocab"], uniform_weight: float
) -> Float[Tensor, ""]:
    """L = −Σ log π_a(y|x)/Σ|y| + β · mean over retain tokens of H(uniform, π_a).

    The objectives are reversed: the assistant remembers the forget answers and knows nothing
    of the retain ones, where subtracting it then changes nothing. Bounded below.

    Args:
        retain_logits: the assistant's, at the tokens of retain answers.
        uniform_weight: β ≥ 0.
    """
    remembered = -forget.log_prob.sum() / forget.length.sum()
    ignorance = -torch.log_softmax(retain_logits, dim=-1).mean(dim=-1).mean()
    return remembered + uniform_weight * ignorance


def logit_difference(
    base: Float[Tensor, "*batch vocab"],
    assistant: Float[Tensor, "*batch vocab"],
    weight: float,
    relative_top: float,
) -> Float[Tensor, "*batch vocab"]:
    """log p − α log π_a where p ≥ τ max p, and log p elsewhere: unnormalised scores, float32.

    Args:
        weight: α ≥ 0.
        relative_top: τ in [0, 1]: of what the base itself holds possible.
    """
    log_p = torch.log_softmax(base.to(torch.float32), dim=-1)
    log_a = torch.log_softmax(assistant.to(torch.float32), dim=-1)
    share = log_p - log_p.max(dim=-1, keepdim=True).values
    possible = share.exp() >= relative_top
    return torch.where(possible, log_p - weight * log_a, log_p)
