"""NPO, negative preference optimisation (Zhang, Lin, Bai & Mei 2024)."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import softplus

from llm.baselines.answers import Answers

__all__ = ["npo"]


def npo(forget: Answers, beta: float) -> Float[Tensor, ""]:
    """L = (2/β) · mean log(1 + (π(y|x) / π_ref(y|x))^β).

    Its gradient is gradient ascent's, weighted by 2σ(β log π/π_ref): 1 at the start, falling
    to 0 as the answer becomes unlikely. As β → 0 the weights stay 1.

    Args:
        beta: β > 0.
    """
    return 2 / beta * softplus(beta * (forget.log_prob - forget.reference)).mean()
