"""RMU: hidden states of forget answers steered to a random direction, others held (Li et al. 2024)."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["control_vector", "state_distance"]


def control_vector(width: int, norm: float, seed: int) -> Float[Tensor, " hidden"]:
    """c·u: u uniform on the cube [0, 1]^width, scaled to unit length; c = `norm`."""
    drawn = torch.rand(width, generator=torch.Generator().manual_seed(seed))
    return norm * drawn / drawn.norm()


def state_distance(
    states: Float[Tensor, "tokens hidden"],
    wanted: Float[Tensor, "*tokens hidden"],
    rows: Int[Tensor, " tokens"],
    count: int,
) -> Float[Tensor, ""]:
    """Mean over rows, over each row's answer tokens, over the width, of (h − h*)².

    The loss is this distance of forget states from c·u, plus α times that of retain states
    from the model's before unlearning.

    Args:
        wanted: h*, one for each token or one for all.
        rows, count: the row of each token, and how many rows there are.
    """
    each = (states - wanted).square().mean(dim=-1)
    zero = each.new_zeros(count)
    sums, lengths = zero.index_add(0, rows, each), zero.index_add(0, rows, torch.ones_like(each))
    return (sums / lengths).mean()
