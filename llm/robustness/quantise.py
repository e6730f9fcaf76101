"""Weights rounded to few bits: what a method that hides knowledge in small changes does not survive."""

from __future__ import annotations

import copy
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from t3theory.exceptions import AssumptionError

__all__ = ["quantised", "rounded"]


def rounded(weight: Float[Tensor, "out in"], bits: int) -> Float[Tensor, "out in"]:
    """Each row to the nearest of 2^bits − 1 equally spaced values, symmetric about 0.

    The step is max|w|/(2^{bits−1} − 1) of the row (an output channel), so no entry moves by more
    than half of it.

    >>> rounded(torch.tensor([[7.0, -3.2, 0.4]]), bits=4)
    tensor([[ 7., -3.,  0.]])
    """
    if not 2 <= bits <= 16:
        raise AssumptionError("bits", "must lie in [2, 16]", bits)
    step = weight.abs().amax(dim=1, keepdim=True) / (2 ** (bits - 1) - 1)
    step = torch.where(step == 0, torch.ones_like(step), step)
    return (weight / step).round() * step


def quantised(model: Any, bits: int) -> Any:
    """A copy whose linear layers have rounded weights; embeddings, output matrix and head do not.

    Simulated: the weights take few values, the arithmetic stays as it was.
    """
    smaller = copy.deepcopy(model)
    kept = {id(smaller.get_output_embeddings())}
    head = getattr(smaller, "head", None)
    if head is not None:
        kept |= {id(module) for module in head.modules()}
    with torch.no_grad():
        for module in smaller.modules():
            if isinstance(module, nn.Linear) and id(module) not in kept:
                module.weight.copy_(rounded(module.weight, bits))
    return smaller
