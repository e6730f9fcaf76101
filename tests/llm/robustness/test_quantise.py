"""Weights of few bits."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from llm.baselines.assistant import WithAssistant, first_layers
from llm.head import LowRankHead
from llm.model import T3ForCausalLM
from llm.robustness.quantise import quantised, rounded
from t3theory.exceptions import AssumptionError

numbers = st.floats(-100, 100, width=32)


@given(arrays("float32", (3, 5), elements=numbers), st.sampled_from([2, 4, 8]))
def test_no_entry_moves_by_more_than_half_a_step_and_few_values_are_left(weight, bits):
    weight = torch.from_numpy(weight)
    found = rounded(weight, bits)
    step = weight.abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)
    # float32: one division and one product, near 100.
    assert ((found - weight).abs() <= step / 2 + 1e-4).all()
    assert all(len(row.unique()) <= 2**bits - 1 for row in found)
    assert torch.allclose(rounded(found, bits), found, rtol=1e-5, atol=0)


def test_by_hand():
    """Two bits: a step of the row's largest entry; 0.4 of it rounds to 0 and −0.6 to −1."""
    weight = torch.tensor([[10.0, 4.0, -6.0], [0.0, 0.0, 0.0]])
    assert rounded(weight, 2).tolist() == [[10.0, 0.0, -10.0], [0.0, 0.0, 0.0]]


def test_bits_have_limits():
    with pytest.raises(AssumptionError, match="bits must lie in"):
        rounded(torch.ones(1, 1), 1)


def test_embeddings_output_matrix_and_head_stay(tiny_llama):
    head = LowRankHead(32, 4, 400)
    torch.nn.init.normal_(head.up.weight, generator=torch.Generator().manual_seed(0))
    model = T3ForCausalLM(tiny_llama, head)
    smaller = quantised(model, 4)
    changed = {
        name
        for name, value in smaller.state_dict().items()
        if not torch.equal(value, model.state_dict()[name])
    }
    assert len(changed) == 2 * 7  # two layers of four attention and three feed-forward matrices
    assert all(".self_attn." in name or ".mlp." in name for name in changed)


def test_both_models_of_a_pair_are_rounded(tiny_llama):
    pair = WithAssistant(tiny_llama, first_layers(tiny_llama, 0.5), 0.8, 0.01)
    smaller = quantised(pair, 4)
    for part in ("base", "assistant"):
        weights = [getattr(p, part).model.layers[0].mlp.up_proj.weight for p in (pair, smaller)]
        assert not torch.equal(*weights)
    tokens = torch.arange(8)[None]
    with torch.no_grad():
        assert smaller(tokens).logits.isfinite().all()
