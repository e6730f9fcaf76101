"""A base model and its tokenizer by name, with one clear line when they cannot be had."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from t3theory.exceptions import InputError

__all__ = ["load_base"]

DTYPES = ("auto", "float32", "bfloat16", "float16")


def load_base(name: str, device: str | None = None, dtype: str = "auto") -> tuple[Any, Any]:
    """The causal language model and the tokenizer of a folder or a Hub name.

    Args:
        device: "cpu", "cuda", …; default "cuda" where there is one; "auto" spreads a large
            model over all devices.
        dtype: one of auto, float32, bfloat16, float16.
    Raises:
        InputError: there is no such model, device or dtype.
    """
    if dtype not in DTYPES:
        raise InputError(f"dtype {dtype!r}: expected one of {', '.join(DTYPES)}")
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        where = {"device_map": "auto"} if device == "auto" else {}
        base: Any = AutoModelForCausalLM.from_pretrained(name, dtype=dtype, **where)
        tokenizer = AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().split("\n")[0]
        raise InputError(
            f"model {name!r}: expected a folder or a Hub name of a causal language model with "
            f"its tokenizer; {reason}"
        ) from error
    try:
        return (base if device == "auto" else base.to(device)).eval(), tokenizer
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().split("\n")[0]
        raise InputError(f"device {device!r}: cannot be used: {reason}") from error
