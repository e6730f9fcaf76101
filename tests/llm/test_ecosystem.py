"""What others do with a causal language model: pipelines, trainers, large bases, compiled decoding."""

from __future__ import annotations

import pytest
import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from tiny_bases import prompts, sharp_head, tiny_base
from tiny_tokenizers import byte_tokenizer
from transformers import CompileConfig, pipeline

from llm.encoding import Encoded
from llm.features import cache_features
from llm.model import T3Config, T3ForCausalLM

NEW = 6


def make(architecture="llama", base=None, **changes):
    base = tiny_base(architecture, **changes) if base is None else base
    head = sharp_head(vocab=base.config.vocab_size)
    return T3ForCausalLM(base, head, T3Config(temperature=2.0, gate="soft")).eval()


BYTES = {"vocab_size": 300, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}


def test_text_generation_pipeline():
    """The pipeline pads on the left, batches, and cuts the prompt off."""
    model, tokenizer = make(**BYTES), byte_tokenizer()
    tokenizer.padding_side = "left"
    pipe = pipeline("text-generation", model=model, tokenizer=tokenizer, device="cpu")
    asked = ["Who?", "What is it then?"]
    said = pipe(asked, max_new_tokens=NEW, do_sample=False, batch_size=2, return_full_text=False)
    for prompt, answer in zip(asked, said, strict=True):
        ids = torch.tensor([tokenizer(prompt)["input_ids"]])
        alone = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=NEW,
            do_sample=False,
            use_cache=False,
        )
        expected = tokenizer.decode(alone[0, ids.shape[1] :], skip_special_tokens=True)
        assert answer[0]["generated_text"] == expected


def test_device_map(tmp_path):
    """A base spread over places, part of it on disk: the same scores, features and adapter."""
    whole = make("llama")
    whole.base.save_pretrained(tmp_path / "base")
    whole.save_pretrained(tmp_path / "adapter")
    where = {
        "model.embed_tokens": "cpu",
        "model.layers.0": "cpu",
        "model.rotary_emb": "cpu",
    } | dict.fromkeys(("model.layers.1", "model.norm", "lm_head"), "disk")
    spread = T3ForCausalLM.from_pretrained(
        tmp_path / "adapter",
        base=tmp_path / "base",
        device_map=where,
        offload_folder=str(tmp_path / "offload"),
    )
    assert spread.hf_device_map == where
    ids, mask = prompts()
    with torch.no_grad():
        torch.testing.assert_close(
            spread(ids, mask).logits, whole(ids, mask).logits, rtol=0, atol=1e-6
        )
    how = {"attention_mask": mask, "max_new_tokens": NEW, "do_sample": False}
    assert torch.equal(spread.generate(ids, **how), whole.generate(ids, use_cache=False, **how))
    rows = [Encoded([5, 6, 7, 8], 2), Encoded([9, 5, 4], 1)]
    one, other = (cache_features(m, rows).shards[0] for m in (spread, whole))
    torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


@pytest.mark.filterwarnings("ignore:Dynamo detected:UserWarning")  # array_api_compat's caches
def test_generate_compiles_its_steps():
    """As on a GPU, where generate compiles by itself over a static cache; without graph breaks."""
    torch.compiler.reset()
    # With a sliding window, so that static layers of two lengths are compiled.
    model, (ids, mask) = make("gemma2"), prompts()
    how = {"attention_mask": mask, "max_new_tokens": NEW, "do_sample": False}
    expected = model.generate(ids, use_cache=False, **how)
    compiled = CompileConfig(backend="eager", fullgraph=True, mode=None)
    compiled._compile_all_devices = True
    got = model.generate(ids, cache_implementation="static", compile_config=compiled, **how)
    assert torch.equal(got, expected)
    assert getattr(model, "_compiled_call", None) is not None


def test_lm_eval():
    """lm-eval's own wrapper, which pads on the right and passes no mask."""
    model, tokenizer = make(**BYTES), byte_tokenizer()
    wrapped = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=2)
    asked = [("Who wrote it?", " Ada."), ("Why?", " Because of the rain.")]
    found = wrapped.loglikelihood(
        [Instance("loglikelihood", {}, pair, i) for i, pair in enumerate(asked)]
    )
    for (context, answer), (value, likeliest) in zip(asked, found, strict=True):
        start, whole = (tokenizer(t)["input_ids"] for t in (context, context + answer))
        ids = torch.tensor([whole])
        with torch.no_grad():
            log_q = torch.log_softmax(model(ids).logits[0], -1)
        expected = sum(float(log_q[t - 1, whole[t]]) for t in range(len(start), len(whole)))
        assert value == pytest.approx(expected, abs=1e-3)
        assert not likeliest
    (said,) = wrapped.generate_until(
        [Instance("generate_until", {}, ("Who?", {"until": ["|"], "max_gen_toks": NEW}), 0)]
    )
    ids = torch.tensor([tokenizer("Who?")["input_ids"]])
    alone = model.generate(ids, max_new_tokens=NEW, do_sample=False, use_cache=False)
    expected = tokenizer.decode(alone[0, ids.shape[1] :], skip_special_tokens=True)
    assert said == expected.split("|")[0]
    own = (("Who?", ""), ids[0].tolist(), alone[0, ids.shape[1] :].tolist())
    ((_, likeliest),) = wrapped._loglikelihood_tokens([own])
    assert likeliest
