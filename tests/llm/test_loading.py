"""Loading by name: what is missing or cannot be reached is one line, and nothing is made up."""

from __future__ import annotations

import logging

import pytest
import torch
from tiny_bases import tiny_base
from tiny_tokenizers import byte_tokenizer

from llm.baselines.assistant import WithAssistant, first_layers
from llm.bases import check_causal_lm
from llm.loading import load_base, load_causal_lm
from t3theory.exceptions import InputError


def test_a_folder(tmp_path):
    base = tiny_base("gpt2", vocab_size=300, tie_word_embeddings=True)
    base.save_pretrained(tmp_path)
    byte_tokenizer().save_pretrained(tmp_path)
    loaded, tokenizer = load_base(str(tmp_path), "cpu", "bfloat16")
    assert str(loaded.dtype) == "torch.bfloat16"
    assert tokenizer("a")["input_ids"]


def test_a_base_with_an_assistant_is_loaded_with_it(tiny_llama, tiny_tokenizer, tmp_path):
    """Alone the base has forgotten nothing; and what has is no base to unlearn from."""
    pair = WithAssistant(tiny_llama, first_layers(tiny_llama, 0.5), 0.8, 0.01).eval()
    pair.save_pretrained(tmp_path)
    tiny_tokenizer.save_pretrained(tmp_path)
    loaded, _ = load_base(str(tmp_path), "cpu", "float32")
    tokens = torch.arange(8)[None]
    with torch.no_grad():
        assert torch.equal(loaded(tokens).logits, pair(tokens).logits)
    with pytest.raises(InputError, match="WithAssistant: expected one that is not unlearned yet"):
        check_causal_lm(loaded)


def test_a_hub_that_cannot_be_reached_is_one_line(monkeypatch, capsys):
    """The Hub's client warns at each of its retries; the error says it all."""
    client = logging.getLogger("huggingface_hub.utils._http")

    def unreachable(*_, **__):
        client.warning("Retrying in 1s [Retry 1/5].")
        raise OSError("We couldn't connect to the Hub.\nCheck your connection.")

    monkeypatch.setattr("transformers.AutoModelForCausalLM.from_pretrained", unreachable)
    before = logging.getLogger("huggingface_hub").level
    with pytest.raises(InputError) as error:
        load_causal_lm("owner/name")
    assert "\n" not in str(error.value)
    assert str(error.value).endswith("We couldn't connect to the Hub.")
    assert capsys.readouterr().err == ""
    assert logging.getLogger("huggingface_hub").level == before


def test_a_model_that_is_no_causal_language_model(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "t5"}')
    with pytest.raises(InputError, match="causal language model"):
        load_base(str(tmp_path), "cpu")
