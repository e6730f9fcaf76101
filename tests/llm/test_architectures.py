"""What every base must be, however it calls its decoder, routes its experts and keeps its past."""

from __future__ import annotations

import pytest
import torch
from tiny_bases import OTHERS, SPECIAL, prompts, sharp_head, tiny_base

from llm.bases import check_looks_back, decoder_of
from llm.model import T3Config, T3ForCausalLM
from t3theory.exceptions import InputError

RECURRENT = ("mamba", "recurrent_gemma", "rwkv")
SOFT = T3Config(temperature=2.0, gate="soft")


def t3(architecture):
    return T3ForCausalLM(tiny_base(architecture), sharp_head(), SOFT).eval()


@pytest.mark.parametrize("architecture", OTHERS)
@pytest.mark.parametrize("how", [{"do_sample": False}, {"do_sample": False, "num_beams": 3}])
def test_generation_is_that_without_a_cache(architecture, how):
    model = t3(architecture)
    ids, mask = prompts(1 if architecture == "rwkv" else 3)  # it knows no padding
    how = {"attention_mask": mask, "max_new_tokens": 8, **how}
    assert torch.equal(model.generate(ids, **how), model.generate(ids, use_cache=False, **how))
    scores = model(ids, mask).logits
    assert not torch.allclose(scores, model.base(ids, attention_mask=mask).logits)


@pytest.mark.parametrize("architecture", RECURRENT)
def test_a_past_that_cannot_be_followed_is_refused(architecture):
    with pytest.raises(
        InputError, match=r"use_cache: expected False, .*ForCausalLM keeps its past"
    ):
        t3(architecture)(prompts()[0], use_cache=True)


@pytest.mark.parametrize("architecture", [*SPECIAL, *OTHERS])
def test_the_decoder_is_the_one_that_is_called(architecture):
    base = tiny_base(architecture)
    heard = []
    decoder_of(base).register_forward_hook(lambda *_: heard.append(True))
    base(prompts()[0])
    assert heard == [True]


def test_what_is_no_base_is_refused():
    model = t3("opt")
    for base, message in (
        (model, "expected one that is not unlearned yet"),
        (model.base.get_decoder(), r"expected .* a decoder and an output matrix"),
        (torch.nn.Linear(3, 3), "expected a causal language model"),
    ):
        with pytest.raises(InputError, match=message):
            T3ForCausalLM(base, sharp_head())


@pytest.mark.parametrize("architecture", [*SPECIAL, *OTHERS])
def test_a_base_looks_back_alone(architecture):
    check_looks_back(tiny_base(architecture).to(torch.bfloat16))


def test_a_base_that_looks_ahead_is_refused():
    with pytest.raises(InputError, match="BertLMHeadModel: expected one that predicts a token"):
        check_looks_back(tiny_base("bert"))


def test_a_silent_decoder_is_named(monkeypatch):
    model = t3("opt")
    monkeypatch.setattr(model.base, "forward", lambda **_: None)
    with pytest.raises(InputError, match="OPTForCausalLM: its decoder was not called"):
        model(prompts()[0])


@pytest.mark.parametrize("cast", ["half", "bfloat16"])
def test_a_cast_is_the_bases(cast):
    """In half precision the head's counts would stop at 256."""
    model = t3("llama")
    up = model.head.up.weight.clone()
    getattr(model, cast)()
    assert model.base.dtype != torch.float32
    assert model.head.up.weight.dtype == torch.float32
    assert torch.equal(model.head.up.weight, up)
    assert model(prompts()[0]).logits.dtype == torch.float32


def test_masks_and_options_that_do_not_fit(tmp_path):
    model = t3("llama")
    ids, mask = prompts()
    for wrong in (mask[:2], mask[:, 1:]):
        with pytest.raises(InputError, match="attention_mask: expected"):
            model(ids, pooling_mask=wrong)
    with pytest.raises(InputError, match="resize the base before"):
        model.resize_token_embeddings(70)
    with pytest.raises(InputError, match="unknown option 'push_to_hub'"):
        model.save_pretrained(tmp_path, push_to_hub=True)
