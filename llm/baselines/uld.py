"""ULD: an assistant learns what to forget, and its logits are subtracted (Ji et al. 2024)."""

from __future__ import annotations

import math

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
    """log p − α z_a where p ≥ τ max p or among the ⌊τV⌋ likeliest, log p elsewhere: scores, float32.

    z_a are the assistant's logits as they are, V the size of the vocabulary. Without the second
    clause a token that the base is sure of would stand alone, and subtracting could not lower it.

    Args:
        weight: α ≥ 0.
        relative_top: τ in [0, 1]: of what the base itself holds possible.
    """
    log_p = torch.log_softmax(base.to(torch.float32), dim=-1)
    vocabulary = log_p.shape[-1]
    kept = min(max(1, int(relative_top * vocabulary)), vocabulary)
    likeliest = log_p.topk(kept, dim=-1).values
    near = likeliest[..., :1] + (math.log(relative_top) if relative_top > 0 else -math.inf)
    possible = log_p >= torch.minimum(likeliest[..., -1:], near)
    return torch.where(possible, log_p - weight * assistant.to(torch.float32), log_p)
