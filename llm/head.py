"""The classifier of retain against forget tokens: a low-rank head on pooled hidden states.

For a context with final hidden states h_1 … h_t the log-odds that token v continues a
retained text are

    ℓ(v) = up[v] · down · u_t,     u_t = Σ_{j≤t} m_j h_j / max(1, Σ_{j≤t} m_j)

with m the attention mask. Since the head is linear, the mean may be taken before or after
`down`: training takes it before (features are cached once), decoding after (the state is
`rank` numbers instead of `hidden_size`). Everything here is float32, whatever the base is:
in bfloat16 the count 257 becomes 256.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, Self

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from t3theory.exceptions import AssumptionError

__all__ = ["Initialisation", "LowRankHead", "running_mean"]

Initialisation = Literal["zero", "published"]


def running_mean(
    hidden: Float[Tensor, "batch length hidden"], mask: Int[Tensor, "batch length"]
) -> Float[Tensor, "batch length hidden"]:
    """Mean of the unmasked states up to and including each position; 0 before the first.

    >>> running_mean(torch.tensor([[[9.0], [1.0], [3.0]]]), torch.tensor([[0, 1, 1]])).tolist()
    [[[0.0], [1.0], [2.0]]]
    """
    weight = mask.to(torch.float32).unsqueeze(-1)
    total = torch.cumsum(hidden.to(torch.float32) * weight, dim=1)
    return total / torch.cumsum(weight, dim=1).clamp(min=1)


class _Precise(nn.Linear):
    """A linear map without bias, in float32 under autocast too."""

    def forward(self, input: Tensor) -> Tensor:
        device = input.device.type
        if not torch.is_autocast_enabled(device):
            return nn.functional.linear(input, self.weight)
        with torch.autocast(device, enabled=False):
            return nn.functional.linear(input.to(torch.float32), self.weight)


class LowRankHead(nn.Module):
    """Log-odds of "retain" for every next token, from a pooled hidden state.

    Args:
        hidden_size: width of the base's final hidden state.
        rank: width between the two matrices, at least 1.
        vocab_size: number of tokens.
        initialisation: "zero" starts `up` at 0, so that tokens never seen as targets keep
            f = 1/2 and only rescale the score; "published" draws both matrices, U(±1/√fan-in).
        generator: source of the draws; default torch's global one.

    Attributes:
        down: linear map without bias, weight (rank, hidden_size).
        up: linear map without bias, weight (vocab_size, rank).

    >>> head = LowRankHead(hidden_size=8, rank=2, vocab_size=5)
    >>> head(torch.ones(3, 8)).tolist() == [[0.0] * 5] * 3
    True
    """

    def __init__(
        self,
        hidden_size: int,
        rank: int,
        vocab_size: int,
        initialisation: Initialisation = "zero",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        for name, size in (
            ("hidden_size", hidden_size),
            ("rank", rank),
            ("vocab_size", vocab_size),
        ):
            if size < 1:
                raise AssumptionError(name, "must be at least 1", size)
        if initialisation not in ("zero", "published"):
            raise AssumptionError("initialisation", "must be 'zero' or 'published'", initialisation)
        # Created empty and float32 always: the default dtype and the global seed stay untouched.
        self.down = nn.utils.skip_init(_Precise, hidden_size, rank, bias=False, dtype=torch.float32)
        self.up = nn.utils.skip_init(_Precise, rank, vocab_size, bias=False, dtype=torch.float32)
        with torch.no_grad():
            for layer in (self.down, self.up):
                bound = 1 / math.sqrt(layer.in_features)
                layer.weight.uniform_(-bound, bound, generator=generator)
            if initialisation == "zero":
                self.up.weight.zero_()

    @property
    def hidden_size(self) -> int:
        """Width of the hidden states it reads."""
        return self.down.in_features

    @property
    def rank(self) -> int:
        """Width between the two matrices."""
        return self.down.out_features

    @property
    def vocab_size(self) -> int:
        """Number of tokens it scores."""
        return self.up.out_features

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Moved to other devices, never to a lower precision: `model.half()` is the base's."""

        def kept(weight: Tensor) -> Tensor:
            moved = fn(weight)
            return moved if moved.itemsize >= weight.itemsize else weight.to(moved.device)

        for layer in (self.down, self.up):
            layer._apply(kept, recurse)
        return self

    def forward(self, pooled: Float[Tensor, "*batch hidden"]) -> Float[Tensor, "*batch vocab"]:
        """Log-odds of all tokens."""
        return self.up(self.down(pooled.to(torch.float32)))

    def at(
        self, pooled: Float[Tensor, "n hidden"], tokens: Int[Tensor, " n"]
    ) -> Float[Tensor, " n"]:
        """Log-odds of one token for each pooled state, without the product over the vocabulary."""
        rows = nn.functional.embedding(tokens, self.up.weight)
        return (self.down(pooled.to(torch.float32)) * rows).sum(-1)
