"""A tiny random Llama and a byte-level BPE tokenizer, made in a second."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from llm.tofu.data import TofuData, load_tofu

SPECIAL = ["<s>", "</s>", "<pad>"]


@pytest.fixture(scope="session")
def tiny_data() -> TofuData:
    """Two forget and two retain authors of mini-TOFU, few general-knowledge rows."""
    whole = load_tofu("mini", forget_authors=1, retain_authors=1)
    fields = vars(whole) | {
        "real_authors_perturbed": whole.real_authors_perturbed[:3],
        "world_facts_perturbed": whole.world_facts_perturbed[:3],
    }
    fields.pop("content_hash", None)
    return TofuData(**fields)


@pytest.fixture(scope="session")
def tiny_tokenizer(tiny_data: TofuData) -> Any:
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(
        (f"{row['question']} {row['answer']}" for row in tiny_data.full), trainer
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )


def random_llama(seed: int) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=400,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=256,
            initializer_range=0.2,
            bos_token_id=0,
            eos_token_id=1,
            pad_token_id=2,
        )
    ).eval()


@pytest.fixture
def tiny_llama() -> LlamaForCausalLM:
    return random_llama(0)


@pytest.fixture
def other_llama() -> LlamaForCausalLM:
    return random_llama(1)
