"""The pooled state as one more layer of the cache.

What the head needs of the past is a running mean and a count. They follow the sequence as
keys and values do: reordered by beam search, cropped by assisted decoding, repeated,
selected, reset, moved to another device. Kept as the keys and values of one more layer,
the cache does all of it (docs/design/cache.md).
"""

from __future__ import annotations

import inspect
import weakref
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import GenerationMixin
from transformers.cache_utils import Cache, DynamicLayer, StaticLayer

from llm.bases import device_of
from llm.head import LowRankHead
from t3theory.exceptions import InputError

__all__ = [
    "CACHE",
    "PooledLayer",
    "StaticPooledLayer",
    "can_follow",
    "means_of_new",
    "pooled_layer",
]

CACHE = (
    "cache"
    if "cache" in inspect.signature(GenerationMixin.prepare_inputs_for_generation).parameters
    else "past_key_values"
)
"""What transformers calls it, in arguments and outputs alike: renamed in 5.24."""


def means_of_new(
    latent: Float[Tensor, "batch length rank"], mask: Int[Tensor, "batch length"] | None
) -> tuple[Float[Tensor, "batch length rank"], Tensor | int]:
    """Mean of the unmasked latents up to each position, 0 before the first; and their number."""
    length = latent.shape[1]
    if mask is None and length == 1:  # a step of decoding: nothing to compute
        return latent, 1
    if mask is None:
        number = torch.arange(1, length + 1, dtype=latent.dtype, device=latent.device)[:, None]
        return latent.cumsum(1) / number, number
    weight = mask.to(latent.dtype).unsqueeze(-1)
    if length == 1:
        return latent * weight, weight
    number = weight.cumsum(1)
    return (latent * weight).cumsum(1) / number.clamp(min=1), number


class _Follower:
    """What both kinds of pooled layer know of what they follow."""

    head: int | None = None
    """What the states were taken through: the `id` of a LowRankHead."""
    cache: weakref.ref[Cache] | None = None
    """The cache it is a layer of, where layers are offloaded."""

    def prefetch(self) -> None:
        """Fetch the first layer, which the last one would; a pooled state is never offloaded."""
        cache: Any = None if self.cache is None else self.cache()
        if cache is not None:
            cache.prefetch(0, cache.only_non_sliding)


class PooledLayer(_Follower, DynamicLayer):
    """Means up to each position (as keys, one head of width `rank`) and counts (as values), growing.

    Counts have no width while nothing was masked: each is then its position's.
    """

    def advance(
        self, latent: Float[Tensor, "batch length rank"], mask: Int[Tensor, "batch length"] | None
    ) -> Float[Tensor, "batch length rank"]:
        """Take in new positions; return the mean up to each of them. No mask: all count."""
        counted = mask is not None
        mean, count = means_of_new(latent, mask)
        if self.get_seq_length():
            before = self._before(counted)
            counted = isinstance(before, Tensor)
            number, count = count, count + before
            at_least_one = count.clamp(min=1) if isinstance(count, Tensor) else count
            mean = torch.lerp(cast(Tensor, self.keys)[:, 0, -1:], mean, number / at_least_one)
        counts = cast(Tensor, count) if counted else mean[..., :0]
        self.update(mean.unsqueeze(1), counts.unsqueeze(1))
        return mean

    def _before(self, counted: bool) -> Tensor | int:
        """How many tokens of the past count: a number, or of each row once a mask has come."""
        counts = cast(Tensor, self.values)
        if not counts.shape[-1]:
            batch, _, past, _ = counts.shape
            if not counted:
                return past
            each = torch.arange(1, past + 1, dtype=counts.dtype, device=counts.device)
            self.values = counts = each[:, None].expand(batch, 1, past, 1)
        return counts[:, 0, -1:]


class StaticPooledLayer(_Follower, StaticLayer):
    """Sums and counts (as keys, side by side) in a buffer of a fixed size, as `torch.compile` needs.

    A ring: position t stands at t mod size, since a cache of sliding windows is shorter
    than the sequence it follows. What stands before the first position is 0.
    """

    def advance(
        self, latent: Float[Tensor, "batch length rank"], mask: Int[Tensor, "batch length"] | None
    ) -> Float[Tensor, "batch length rank"]:
        """Take in new positions; return the mean up to each of them. No mask: all count."""
        new = nn.functional.pad(latent, (0, 1), value=1.0)
        if mask is not None:
            new = new * mask.to(new.dtype).unsqueeze(-1)
        if not self.is_initialized:
            self.lazy_initialization(new.unsqueeze(1), new[:, None, :, :0])
        ring, past = cast(Tensor, self.keys)[:, 0], self.cumulative_length
        size, length = ring.shape[1], latent.shape[1]
        last = ring.index_select(1, ((past - 1) % size).reshape(1))
        total = last + (new if length == 1 else new.cumsum(1))
        kept = min(length, size)
        place = (past + torch.arange(length - kept, length, device=past.device)) % size
        ring.index_copy_(1, place, total[:, length - kept :])
        self.cumulative_length.add_(length)
        return total[..., :-1] / total[..., -1:].clamp(min=1)

    def crop(self, tokens_to_remove: int) -> None:
        """Take back −`tokens_to_remove`; if these were all, a full ring has them where 0 must stand.

        In whole, as transformers 5.17 crops no static layer.
        """
        self.cumulative_length.sub_(abs(tokens_to_remove))
        if self.keys is not None:
            self.keys.masked_fill_(self.cumulative_length == 0, 0)


@torch.no_grad()
def can_follow(base: Any) -> bool:
    """Whether the pooled state can join what the base keeps of the past.

    A recurrent base is asked: some keep a state of their own, or a cache without positions.
    """
    if not base._is_stateful:
        return True
    token = torch.zeros(1, 1, dtype=torch.long, device=device_of(base.get_input_embeddings()))
    past = getattr(base(token, use_cache=True), CACHE, None)
    try:
        return isinstance(past, Cache) and past.get_seq_length() == 1
    except ValueError:  # no layer of it counts positions
        return False


def pooled_layer(cache: Cache, new: int, head: LowRankHead) -> Any:
    """The pooled layer of a cache that has just taken in `new` positions, added if need be.

    Raises:
        InputError: the cache holds earlier positions that this layer has not seen, or has seen
            through another head. A static cache is asked once, a compiled graph never.
    """
    layer = next(
        (x for x in reversed(cache.layers) if isinstance(x, (PooledLayer, StaticPooledLayer))), None
    )
    if layer is not None:
        if not torch.compiler.is_compiling():
            _check(layer, head, None if isinstance(layer, StaticPooledLayer) else cache, new)
        return _following(layer, cache)
    # Appended after the base's forward, when all of the base's layers exist.
    sizes = [x.max_cache_len for x in cache.layers if isinstance(x, StaticLayer)]
    layer = StaticPooledLayer(max(sizes)) if sizes else PooledLayer()
    if not torch.compiler.is_compiling():
        layer.head = id(head)
        _check(layer, head, cache, new)
    cache.layers.append(layer)
    return _following(layer, cache)


def _following(layer: Any, cache: Cache) -> Any:
    if cache.offloading:  # anew each time: a copy of a cache is another one
        layer.cache = weakref.ref(cache)
    return layer


def _check(layer: Any, head: LowRankHead, cache: Cache | None, new: int) -> None:
    if layer.head not in (None, id(head)):
        raise InputError("cache: expected one filled by this model, got one of another head")
    if cache is None:
        return
    missed = int(cache.get_seq_length()) - new - int(layer.get_seq_length())
    if missed:
        raise InputError(
            f"cache: expected one filled by this model, got {missed} positions of another"
        )
