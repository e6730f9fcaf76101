"""What the losses see of a batch of answers."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

__all__ = ["Answers"]


class Answers(NamedTuple):
    """Answers under the model in training, row by row.

    Symbols: `log_prob`: log π(y|x), summed over the answer's tokens, nats; `reference`: the
    same under the model before unlearning, constant; `length`: |y|, tokens with the
    end-of-sequence token.
    """

    log_prob: Float[Tensor, " rows"]
    reference: Float[Tensor, " rows"]
    length: Float[Tensor, " rows"]
