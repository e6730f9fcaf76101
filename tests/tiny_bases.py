"""Tiny random causal language models, one an architecture, sharp enough to generate variety."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from llm.encoding import collate, encode_pair

VOCAB, HIDDEN = 60, 16
COMMON: dict[str, Any] = {
    "vocab_size": VOCAB,
    "hidden_size": HIDDEN,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 128,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
# Logit caps and scales, sliding windows and per-head widths: what wrappers get wrong.
SPECIAL: dict[str, dict[str, Any]] = {
    "llama": {},
    "qwen2": {},
    "qwen3": {"head_dim": 8},
    "mistral": {"sliding_window": 6},
    "gemma": {"head_dim": 8},
    "gemma2": {"head_dim": 8, "final_logit_softcapping": 3.0, "sliding_window": 6},
    "phi": {"num_key_value_heads": 2},
    "phi3": {},
    "gpt2": {"n_embd": HIDDEN, "n_layer": 2, "n_head": 2, "n_positions": 128},
    "gpt_neox": {"num_key_value_heads": None},
    "granite": {"logits_scaling": 4.0},
    "cohere": {"logit_scale": 0.5},
}
# Other ways to call a decoder, to route experts and to keep the past: recurrent, or in no cache.
OTHERS: dict[str, dict[str, Any]] = {
    "opt": {"ffn_dim": 24, "word_embed_proj_dim": HIDDEN},
    "bloom": {"n_layer": 2, "n_head": 2},
    "falcon": {},
    "gptj": {"n_embd": HIDDEN, "n_layer": 2, "n_head": 2, "n_positions": 128, "rotary_dim": 4},
    "mixtral": {"num_local_experts": 4},
    "qwen3_moe": {"num_experts": 4, "moe_intermediate_size": 8, "num_experts_per_tok": 2},
    "gpt_oss": {"num_local_experts": 4, "head_dim": 8, "sliding_window": 6},
    "deepseek_v3": {
        "num_key_value_heads": 2,
        "head_dim": 4,
        "kv_lora_rank": 8,
        "q_lora_rank": 8,
        "qk_rope_head_dim": 4,
        "qk_nope_head_dim": 4,
        "v_head_dim": 8,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "n_group": 1,
        "topk_group": 1,
        "first_k_dense_replace": 1,
        "moe_intermediate_size": 8,
    },
    "llama4_text": {
        "num_local_experts": 2,
        "intermediate_size_mlp": 24,
        "attention_chunk_size": 6,
        "head_dim": 8,
    },
    "jamba": {
        "mamba_d_state": 4,
        "mamba_dt_rank": 2,
        "num_experts": 2,
        "attn_layer_period": 2,
        "attn_layer_offset": 1,
        "use_mamba_kernels": False,
    },
    "mamba": {"state_size": 4, "time_step_rank": 2},
    "recurrent_gemma": {"num_hidden_layers": 3, "lru_width": HIDDEN, "attention_window_size": 6},
    "rwkv": {"attention_hidden_size": HIDDEN},
}
BIDIRECTIONAL = {"bert": {"is_decoder": False}}


def tiny_base(architecture: str, **changes: Any) -> Any:
    settings = COMMON | (SPECIAL | OTHERS | BIDIRECTIONAL)[architecture] | changes
    if architecture == "gpt2":
        for name in (
            "hidden_size",
            "intermediate_size",
            "num_hidden_layers",
            "num_attention_heads",
            "num_key_value_heads",
            "max_position_embeddings",
        ):
            settings.pop(name)
    settings = {k: v for k, v in settings.items() if v is not None}
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(
        CONFIG_MAPPING[architecture](**settings, initializer_range=0.4)
    )
    return model.eval()


def sharp_head(rank: int = 3, seed: int = 1, vocab: int = VOCAB) -> Any:
    """A head whose log-odds move every greedy choice."""
    from llm.head import LowRankHead

    generator = torch.Generator().manual_seed(seed)
    head = LowRankHead(HIDDEN, rank, vocab, "published", generator)
    with torch.no_grad():
        head.up.weight.mul_(6)
    return head


def prompts(batch: int = 3, length: int = 7, seed: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Left-padded ids and mask; row i starts with i padding tokens."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, VOCAB, (batch, length), generator=generator)
    mask = torch.ones_like(ids)
    for i in range(batch):
        ids[i, :i] = 0
        mask[i, :i] = 0
    return ids, mask


def memorised(tokenizer: Any, pairs: Sequence[tuple[str, str]], device: str = "cpu") -> Any:
    """A tiny Llama there that knows all pairs by heart."""
    sizes = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
    base = tiny_base("llama", vocab_size=400, hidden_size=48, **sizes).to(device).train()
    batch = collate([encode_pair(tokenizer, *pair) for pair in pairs], 2).to(device)
    optimiser = torch.optim.AdamW(base.parameters(), lr=1e-2)
    for _ in range(60):
        optimiser.zero_grad()
        base(
            batch.input_ids, attention_mask=batch.attention_mask, labels=batch.labels
        ).loss.backward()
        optimiser.step()
    return base.eval()
