"""The pooled state as one more layer of the cache.

What the head needs of the past is a running sum and a count. They follow the sequence as
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
from torch import Tensor
from transformers import GenerationMixin
from transformers.cache_utils import Cache, DynamicLayer, StaticLayer

from llm.bases import device_of
from llm.head import LowRankHead
from t3theory.exceptions import InputError

__all__ = ["CACHE", "PooledLayer", "StaticPooledLayer", "can_follow", "pooled_layer", "prefix_sums"]

CACHE = (
    "cache"
    if "cache" in inspect.signature(GenerationMixin.prepare_inputs_for_generation).parameters
    else "past_key_values"
)
"""What transformers calls it, in arguments and outputs alike: renamed in 5.24."""


def prefix_sums(
    latent: Float[Tensor, "batch length rank"], mask: Int[Tensor, "batch length"]
) -> tuple[Float[Tensor, "batch length rank"], Float[Tensor, "batch length 1"]]:
    """Sum of the unmasked latents up to each position, and their number."""
    weight = mask.to(torch.float32).unsqueeze(-1)
    if latent.shape[1] == 1:  # one new token: its sum is itself
        return latent * weight, weight
    return torch.cumsum(latent * weight, dim=1), torch.cumsum(weight, dim=1)


class _Follower:
    """What both kinds of pooled layer know of what they follow."""

    head: int | None = None
    """What the sums were taken through: the `id` of a LowRankHead."""
    cache: weakref.ref[Cache] | None = None
    """The cache it is a layer of, where layers are offloaded."""

    def prefetch(self) -> None:
        """Fetch the first layer, which the last one would; a pooled state is never offloaded."""
        cache: Any = None if self.cache is None else self.cache()
        if cache is not None:
            cache.prefetch(0, cache.only_non_sliding)


class PooledLayer(_Follower, DynamicLayer):
    """Prefix sums (as keys, one head of width `rank`) and counts (as values), growing."""

    def advance(
        self, latent: Float[Tensor, "batch length rank"], mask: Int[Tensor, "batch length"]
    ) -> Float[Tensor, "batch length rank"]:
        """Take in new positions; return the mean up to each of them."""
        total, count = (sums.unsqueeze(1) for sums in prefix_sums(latent, mask))
        if self.keys is not None and self.values is not None and self.get_seq_length() > 0:
            total = total + self.keys[:, :, -1:]
            count = count + self.values[:, :, -1:]
        self.update(total, count)
        return (total / count.clamp(min=1)).squeeze(1)


class StaticPooledLayer(_Follower, StaticLayer):
    """The same in buffers of a fixed size that never move, as `torch.compile` needs.

    A ring: position t stands at t mod size, since a cache of sliding windows is shorter
    than the sequence it follows.
    """

    def advance(
        self, latent: Float[Tensor, "batch length rank"], mask: Int[Tensor, "batch length"]
    ) -> Float[Tensor, "batch length rank"]:
        """Take in new positions; return the mean up to each of them."""
        total, count = prefix_sums(latent, mask)
        if not self.is_initialized:
            self.lazy_initialization(total.unsqueeze(1), count.unsqueeze(1))
        sums, counts = cast(Tensor, self.keys)[:, 0], cast(Tensor, self.values)[:, 0]
        size, length = sums.shape[1], latent.shape[1]
        past = self.cumulative_length
        last = ((past - 1) % size).reshape(1)
        seen = (past > 0).to(total.dtype)
        total = total + seen * sums.index_select(1, last)
        count = count + seen * counts.index_select(1, last)
        kept = min(length, size)
        place = (past + torch.arange(length - kept, length, device=total.device)) % size
        sums.index_copy_(1, place, total[:, length - kept :])
        counts.index_copy_(1, place, count[:, length - kept :])
        self.cumulative_length.add_(length)
        return total / count.clamp(min=1)


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
    layer = next((x for x in cache.layers if isinstance(x, PooledLayer | StaticPooledLayer)), None)
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
