"""The pooled layer in any chunks, masked or not, against the running mean of the whole."""

from __future__ import annotations

import itertools

import pytest
import torch
from transformers import DynamicCache

from llm.cache_layer import PooledLayer, StaticPooledLayer
from llm.head import running_mean

BATCH, LENGTH, RANK = 3, 12, 4
CUTS = [(1,) * LENGTH, (5,) + (1,) * 7, (1, 4, 1, 1, 3, 2), (LENGTH,), (3, 9)]
MASKED = {"never": 0, "from the start": LENGTH, "at first": 4}


def latents():
    return torch.randn(BATCH, LENGTH, RANK, generator=torch.Generator().manual_seed(0))


def padded(upto):
    """Left padding of 0, 1 and 2 tokens and a hole, within the first `upto` positions."""
    mask = torch.ones(BATCH, LENGTH, dtype=torch.long)
    for row in range(BATCH):
        mask[row, :row] = 0
    mask[1, 3] = 0
    mask[:, upto:] = 1
    return mask


def advanced(layer, latent, mask, cuts, start=0):
    """The means, chunk after chunk."""
    found = []
    for size in cuts:
        place = slice(start, start + size)
        found.append(layer.advance(latent[:, place], None if mask is None else mask[:, place]))
        start += size
    return torch.cat(found, 1)


def layers():
    return [PooledLayer(), StaticPooledLayer(LENGTH), StaticPooledLayer(2 * LENGTH)]


@pytest.mark.parametrize("cuts", CUTS)
@pytest.mark.parametrize("upto", MASKED.values(), ids=MASKED)
def test_means_are_the_running_ones(cuts, upto):
    latent, mask = latents(), padded(upto)
    wanted = running_mean(latent, mask)
    for layer in layers():
        found = advanced(layer, latent, mask if upto else None, cuts)
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("first", [True, False])
def test_a_mask_may_come_late_or_stay_away(first):
    """The first half masked and the second not, or the other way round, then cropped."""
    latent, mask = latents(), padded(LENGTH)
    mask = mask if first else mask.flip(1)
    half = LENGTH // 2
    wanted = running_mean(latent, mask)
    for layer in layers():
        for start, masked in ((0, first), (half, not first)):
            given = mask if masked else None
            found = advanced(layer, latent, given, (1, 2, 3), start)
            here = wanted[:, start : start + half]
            torch.testing.assert_close(found, here, rtol=0, atol=1e-6)
        for start in (half + 1, half - 1):  # back to where a mask was given, or was not
            layer.crop(start - (LENGTH if start > half else half + 2))
            found = advanced(layer, latent, mask, (1,), start)
            torch.testing.assert_close(found[:, 0], wanted[:, start], rtol=0, atol=1e-6)


def test_all_taken_back_is_nothing():
    """A ring that was full keeps nothing of what it held."""
    latent = latents()
    for layer in layers():
        advanced(layer, latent, None, (4, 8))
        layer.crop(-LENGTH)
        again = advanced(layer, latent, None, (1, 2))
        torch.testing.assert_close(again, running_mean(latent, padded(0))[:, :3], rtol=0, atol=1e-6)


@pytest.mark.parametrize("masked", [False, True])
def test_rows_move_with_the_cache(masked):
    latent, mask = latents(), padded(LENGTH)
    cache, layer = DynamicCache(), PooledLayer()
    cache.layers.append(layer)
    given = mask if masked else None
    advanced(layer, latent, given, (4, 1))
    order = torch.tensor([2, 0, 0])
    cache.reorder_cache(order)
    cache.batch_repeat_interleave(2)
    cache.batch_select_indices(torch.tensor([0, 3, 4]))
    latent, mask = (x[order[[0, 1, 2]]] for x in (latent, mask))
    found = advanced(layer, latent, mask if masked else None, (1, 2), 5)
    wanted = running_mean(latent, mask if masked else torch.ones_like(mask))
    torch.testing.assert_close(found, wanted[:, 5:8], rtol=0, atol=1e-6)


def test_nothing_is_counted_where_nothing_is_masked():
    for masked, chunk in itertools.product((False, True), (1, 3)):
        layer = PooledLayer()
        mask = padded(0) if masked else None
        advanced(layer, latents(), mask, (chunk, 1))
        assert layer.values.shape[-1] == masked
