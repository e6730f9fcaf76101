"""Llamas of known shapes with random weights: speed does not depend on what the weights say.

"full" is the model of the experiment's largest scale (llm/configs/full.toml).
"gpt2" has the sizes of the smallest GPT-2, 124 million parameters; its gated layers are two
thirds as wide, so that they hold as many.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

SHAPES: dict[str, dict[str, Any]] = {
    "tiny": {
        "vocab_size": 8_000,
        "hidden_size": 256,
        "intermediate_size": 768,
        "num_hidden_layers": 4,
        "num_attention_heads": 8,
        "num_key_value_heads": 8,
    },
    "full": {
        "vocab_size": 8_000,
        "hidden_size": 512,
        "intermediate_size": 1_408,
        "num_hidden_layers": 8,
        "num_attention_heads": 8,
        "num_key_value_heads": 8,
        "tie_word_embeddings": True,
    },
    "small": {
        "vocab_size": 50_000,
        "hidden_size": 512,
        "intermediate_size": 1_536,
        "num_hidden_layers": 8,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
    },
    "gpt2": {
        "vocab_size": 50_257,
        "hidden_size": 768,
        "intermediate_size": 2_048,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "num_key_value_heads": 12,
        "tie_word_embeddings": True,
    },
    "llama-3.2-1b": {
        "vocab_size": 128_256,
        "hidden_size": 2_048,
        "intermediate_size": 8_192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 64,
        "tie_word_embeddings": True,
    },
    "llama-3.1-8b": {
        "vocab_size": 128_256,
        "hidden_size": 4_096,
        "intermediate_size": 14_336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
    },
    "llama-3.1-70b": {
        "vocab_size": 128_256,
        "hidden_size": 8_192,
        "intermediate_size": 28_672,
        "num_hidden_layers": 80,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
    },
}


def shape_parser(description: str | None, shape: str) -> argparse.ArgumentParser:
    """A command line with what all benchmarks on a shape share; `shape` is the default one."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--shape", choices=SHAPES, default=shape)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path)
    return parser


def random_llama(shape: str | dict[str, Any], device: str = "cpu", dtype: str = "float32") -> Any:
    """A random Llama of a named shape, or of such settings, made in its own precision."""
    settings = SHAPES[shape] if isinstance(shape, str) else shape
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        with torch.device(device):
            base = LlamaForCausalLM(LlamaConfig(**settings)).eval()
    finally:
        torch.set_default_dtype(before)
    base.generation_config.pad_token_id = 0
    return base
