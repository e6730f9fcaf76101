"""`t3 generate`: text from the unlearned model, token by token."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from t3theory.exceptions import AssumptionError, InputError

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
    if max_new_tokens < 1:
        raise AssumptionError("max_new_tokens", "must be at least 1", max_new_tokens)
    if not -(2**63) <= seed < 2**63:
        raise AssumptionError("seed", "must fit in 64 bits", seed)
    try:
        prompt.encode()
    except UnicodeEncodeError as error:
        raise InputError("--prompt: expected text in UTF-8") from error

    import torch

    from llm import adapter as adapters
    from llm.loading import load_base, named_base
    from llm.model import T3ForCausalLM

    description, _ = adapters.load(adapter)
    with named_base(adapter, description.base, base) as name:
        model, tokenizer = load_base(name, device, dtype)
    unlearned = T3ForCausalLM.from_pretrained(adapter, base=model)
    asked = _asked(unlearned, tokenizer, prompt, raw)
    torch.manual_seed(seed)
    _stream(unlearned, tokenizer, asked, max_new_tokens, sample)


def _asked(model: Any, tokenizer: Any, prompt: str, raw: bool) -> list[int]:
    """The prompt's tokens, if the model has them and room for one more."""
    from llm.encoding import encode_prompt
    from llm.scoring import check_fit

    ids = encode_prompt(tokenizer, prompt, raw)
    longest = _positions(model)
    if longest is not None and len(ids) >= longest:
        raise InputError(
            f"--prompt: expected fewer than the {longest} tokens of the model's context, "
            f"got {len(ids)}"
        )
    check_fit(model, [ids])
    return ids


def _positions(model: Any) -> int | None:
    return getattr(model.config, "max_position_embeddings", None)


def _stream(
    model: Any, tokenizer: Any, asked: list[int], max_new_tokens: int, sample: bool
) -> None:
    import torch
    from transformers import TextStreamer

    from llm.scoring import end_ids, pad_id, plainly

    ids = torch.tensor([asked], device=model.device)
    longest = _positions(model)
    room = max_new_tokens if longest is None else min(max_new_tokens, longest - len(asked))
    # Left open, transformers keeps the 50 likeliest.
    whole = {"temperature": 1.0, "top_k": 0, "top_p": 1.0} if sample else {}
    ends = end_ids(model, tokenizer)
    with plainly(model):
        model.generate(
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
