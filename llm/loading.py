"""A base model and its tokenizer by name, with one clear line when they cannot be had."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer

from llm import processes
from llm.baselines.assistant import WithAssistant
from t3theory.exceptions import InputError

__all__ = ["load_base", "load_causal_lm", "named_base"]

DTYPES = ("auto", "float32", "bfloat16", "float16")


@contextmanager
def _on(device: str) -> Iterator[None]:
    """Whatever goes wrong on `device` as one line."""
    try:
        yield
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().split("\n")[0]
        raise InputError(f"device {device!r}: cannot be used: {reason}") from error


@contextmanager
def _one_line(name: str) -> Iterator[None]:
    """Whatever goes wrong while reading `name` as one line: the Hub's retries are not shown."""
    hub = logging.getLogger("huggingface_hub")
    level = hub.level
    hub.setLevel(logging.ERROR)
    try:
        yield
    except InputError:
        raise
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().split("\n")[0]
        raise InputError(
            f"model {name!r}: expected a folder or a Hub name of a causal language model with "
            f"its tokenizer; {reason}"
        ) from error
    finally:
        hub.setLevel(level)


@contextmanager
def named_base(adapter: str | Path, named: str, given: object = None) -> Iterator[str]:
    """The name to load an adapter's base by: the one given, else the one that the adapter names.

    Raises:
        InputError: there is none; or what was raised inside, with where the name came from.
    """
    if given is not None:
        yield str(given)
        return
    if not named:
        raise InputError(f"{adapter}: names no base model, expected one as base= (--base)")
    try:
        yield named
    except InputError as error:
        if repr(named) not in str(error):  # not about the name
            raise
        raise InputError(
            f"{adapter}: its base is not where it says, expected its place as base= (--base); {error}"
        ) from error


def load_causal_lm(name: str, **how: Any) -> Any:
    """The causal language model of a folder or a Hub name, all of whose weights are there.

    Of a folder with an assistant, both decoded as one (`WithAssistant`).

    Args:
        how: for `from_pretrained` (dtype, device_map, …).
    Raises:
        InputError: there is no such model, a file of it is cut short, or it lacks weights, as
            one without an output matrix does; transformers would draw them at random.
    """
    with _one_line(name):
        if WithAssistant.found_in(name):
            return WithAssistant.from_pretrained(name, **how)
        loaded: Any = AutoModelForCausalLM.from_pretrained(name, output_loading_info=True, **how)
        model, info = loaded
        if missing := sorted(info["missing_keys"]):
            raise InputError(
                f"model {name!r}: expected a causal language model with all its weights, "
                f"{len(missing)} are missing, first {missing[0]}"
            )
        return model


def load_base(name: str, device: str | None = None, dtype: str = "auto") -> tuple[Any, Any]:
    """The causal language model and the tokenizer of a folder or a Hub name.

    Args:
        device: "cpu", "cuda", …; default "cuda" where there is one (each process of
            `accelerate launch` its own); "auto" spreads a large model over all devices.
        dtype: one of auto, float32, bfloat16, float16.
    Raises:
        InputError: there is no such model, device or dtype.
    """
    if dtype not in DTYPES:
        raise InputError(f"dtype {dtype!r}: expected one of {', '.join(DTYPES)}")
    if device is None:
        device = processes.device()
    if device != "auto":
        with _on(device):
            torch.zeros(1, device=device).item()  # one that holds no numbers is none
    where = {"device_map": "auto"} if device == "auto" else {}
    base = load_causal_lm(name, dtype=dtype, **where)
    with _one_line(name):
        tokenizer = AutoTokenizer.from_pretrained(name)
    with _on(device):
        return (base if device == "auto" else base.to(device)).eval(), tokenizer
