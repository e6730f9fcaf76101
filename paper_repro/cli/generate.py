"""`t3 generate`: text from the unlearned model, token by token."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

__all__ = ["generate"]


def generate(
    adapter: Path,
    prompt: str,
    base: str | None = None,
    max_new_tokens: int = 128,
    raw: bool = False,
    sample: bool = False,
    seed: int = 0,
    device: str | None = None,
    dtype: str = "auto",
) -> None:
    """Answer a prompt with the unlearned model, streamed to standard output.

    Args:
        adapter: a folder that `t3 unlearn` wrote.
        prompt: the question, set in the tokenizer's chat template if it has one.
        base: folder or Hub name of the base model; default the one the adapter names.
        max_new_tokens: at most so many.
        raw: go on with the prompt as it stands, as for pairs of "prompt" and "completion".
        sample: draw tokens from the unlearned law instead of taking the likeliest; what the base's
            own settings say of sampling (temperature, top-k, …) is left aside.
        seed: of the draws.
        device: cpu, cuda, …; default cuda where there is one.
        dtype: of the base (auto, float32, bfloat16, float16).
    """
    from t3theory.exceptions import AssumptionError

    if max_new_tokens < 1:
        raise AssumptionError("max_new_tokens", "must be at least 1", max_new_tokens)

    import torch
    from transformers import TextStreamer

    from llm import adapter as adapters
    from llm.encoding import encode_prompt
    from llm.loading import load_base, named_base
    from llm.model import T3ForCausalLM
    from llm.scoring import check_fit, end_ids, pad_id, plainly

    description, _ = adapters.load(adapter)
    with named_base(adapter, description.base, base) as name:
        model, tokenizer = load_base(name, device, dtype)
    unlearned = T3ForCausalLM.from_pretrained(adapter, base=model)
    asked = encode_prompt(tokenizer, prompt, raw)
    room = min(max_new_tokens, _room(model, len(asked)))
    check_fit(model, [asked])
    ids = torch.tensor([asked], device=model.device)
    # Left open, transformers keeps the 50 likeliest.
    whole = {"temperature": 1.0, "top_k": 0, "top_p": 1.0} if sample else {}
    ends = end_ids(unlearned, tokenizer)
    torch.manual_seed(seed)
    with plainly(unlearned):
        unlearned.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=room,
            do_sample=sample,
            eos_token_id=ends,
            pad_token_id=pad_id(tokenizer),
            streamer=TextStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True),
            **whole,
        )
    sys.stdout.flush()


def _room(model: Any, asked: int) -> float:
    """How many tokens the model's context has left after the prompt's."""
    from t3theory.exceptions import InputError

    longest = getattr(model.config, "max_position_embeddings", None) or math.inf
    if asked >= longest:
        raise InputError(
            f"--prompt: expected fewer than the {longest} tokens of the model's context, got {asked}"
        )
    return longest - asked
