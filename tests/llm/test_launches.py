"""What T3 adds to a step of decoding on a GPU: each operation is a launch, which a step waits for."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from tiny_bases import prompts, sharp_head, tiny_base
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import DynamicCache, StaticCache

from llm.cache_layer import CACHE
from llm.model import T3Config, T3ForCausalLM


class Launches(TorchDispatchMode):
    """Counts operations that compute; views and empty tensors launch nothing."""

    def __init__(self):
        super().__init__()
        self.found = Counter()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        name = operation.name().split(".")[0]
        result = operation(*args, **(kwargs or {}))
        nothing = isinstance(result, torch.Tensor) and not result.numel()
        if not (operation.is_view or nothing or name in ("aten::_unsafe_view", "aten::empty")):
            self.found[name] += 1
        return result


@torch.no_grad()
def launches(model, static, padded):
    """Those of the second step, from the tokens to the scores."""
    ids, mask = prompts()
    mask = mask if padded else None
    cache = StaticCache(config=model.config, max_cache_len=12) if static else DynamicCache()
    for length in (7, 1):
        with Launches() as count:
            inputs = model.prepare_inputs_for_generation(
                ids, attention_mask=mask, next_sequence_length=length, use_cache=True,
                **{CACHE: cache},
            )  # fmt: skip
            scores = model(**inputs).logits
        ids = torch.cat([ids, scores[:, -1:].argmax(-1)], 1)
        mask = torch.cat([mask, mask[:, -1:]], 1) if padded else None
    return count.found


# The head's two products, log p, log f, their sum; the mean and its place in the cache.
SCORES, MEAN = 5, 2
# With padding: the mask in float32, what it leaves of the token, the count, the count that
# divides, the share of the new token, the count's place in the cache.
COUNT = 6
# In a static cache: the token beside a one, a mask (made or cast), their product; the places of the
# last token and of this one (2 and 3), both looked up or written, their sum; how many there are now,
# the count that divides, the mean. `generate` compiles all of this into a few.
STATIC = 14
# log p − log(1 + e^ℓ), its exponential, its sum: γ̂; then its temperature.
GATES = {"none": 0, "hard": 4 + 3, "soft": 4 + 2}


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("static", [False, True])
def test_a_step_adds_no_more_than_it_needs(gate, padded, static, monkeypatch):
    monkeypatch.setattr("llm.tilt._numbers_alone", lambda *_: False)  # as on a GPU
    model = T3ForCausalLM(tiny_base("llama"), sharp_head(), T3Config(gate=gate)).eval()
    added = launches(model, static, padded)
    added.subtract(launches(model.base, static, padded))
    pooling = STATIC if static else MEAN + COUNT * padded
    assert added.total() <= SCORES + pooling + GATES[gate], dict(+added)
