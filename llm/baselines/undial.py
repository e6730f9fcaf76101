"""UNDIAL: self-distillation from logits that are lowered at the token to forget (Dong et al. 2024)."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["undial"]


def undial(
    logits: Float[Tensor, "tokens vocab"],
    teacher: Float[Tensor, "tokens vocab"],
    targets: Int[Tensor, " tokens"],
    strength: float,
) -> Float[Tensor, ""]:
    """L = mean over forget tokens of H(softmax(z_ref − β e_y), softmax(z)), H the cross-entropy.

    Bounded: its least value is the entropy of the lowered teacher. open-unlearning takes the
    mean over prompt and padding too; here it is over the answers, where there is a y.

    Args:
        teacher: z_ref, logits of the model before unlearning.
        targets: y, the tokens to forget.
        strength: β ≥ 0, subtracted from the target's logit.
    """
    lowered = teacher.scatter_add(
        1, targets[:, None], teacher.new_full((len(teacher), 1), -strength)
    )
    return torch.nn.functional.cross_entropy(logits, lowered.softmax(dim=-1))
