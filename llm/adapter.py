"""Adapters on disk: a head in safetensors, a description in JSON, and the base they belong to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import align_module_device
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedModel

from llm.head import LowRankHead
from llm.tilt import T3Config
from t3theory.exceptions import InputError
from t3theory.records import atomic_path, config_hash, write_json

__all__ = [
    "Description",
    "base_fingerprint",
    "base_settings",
    "check_base",
    "check_causal_lm",
    "check_sizes",
    "load",
    "save",
    "weight_hashes",
]

CONFIG, WEIGHTS = "t3_config.json", "head.safetensors"


@dataclass(frozen=True)
class Description:
    """What `t3_config.json` says: the base by name, settings and weights; the T3 settings."""

    base: str
    settings: dict[str, Any]
    weights: list[str]
    t3: T3Config


def check_causal_lm(base: Any) -> None:
    """Raise unless `base` has a decoder and an output matrix."""
    output = base.get_output_embeddings() if hasattr(base, "get_output_embeddings") else None
    if output is None or base.base_model is base:
        raise InputError(
            f"base model {type(base).__name__}: expected a causal language model with an output "
            "matrix (lm_head)"
        )


def check_sizes(base: PreTrainedModel, head: LowRankHead) -> None:
    """Raise unless the head reads this base's final hidden states and scores its tokens."""
    check_causal_lm(base)
    vocab_size, hidden_size = base.get_output_embeddings().weight.shape
    for what, found, expected in (
        ("hidden_size", head.hidden_size, hidden_size),
        ("vocab_size", head.vocab_size, vocab_size),
    ):
        if found != expected:
            raise InputError(f"head: expected {what} {expected} as in the base, got {found}")


_VOLATILE = {"architectures", "dtype", "torch_dtype", "transformers_version", "use_cache"}
"""What may differ between two copies of one model, beside names of tokens and private entries."""


def base_settings(base: PreTrainedModel) -> dict[str, Any]:
    """The configuration of the base that shapes its function, as JSON holds it."""
    config = {
        name: value
        for name, value in base.config.to_dict().items()
        if name not in _VOLATILE and not name.startswith("_") and not name.endswith("_token_id")
    }
    return json.loads(json.dumps(config, default=repr))


def weight_hashes(base: PreTrainedModel) -> list[str]:
    """Hashes of eight numbers of every weight, as bfloat16 and as float16 would hold them.

    Two copies of a checkpoint in different precisions share one of their hashes: rounding to
    bfloat16 is the same from float32 and from bfloat16, and after float16 the same from float16.
    """
    digests = hashlib.sha256(), hashlib.sha256()
    for name, weight in sorted(_weights(base), key=lambda item: item[0]):
        flat = weight.reshape(-1)
        probe = flat[:: max(1, flat.numel() // 8)][:8].to("cpu")
        for digest, seen in zip(digests, (probe, probe.to(torch.float16)), strict=True):
            digest.update(name.encode() + str(tuple(weight.shape)).encode())
            digest.update(seen.to(torch.bfloat16).to(torch.float32).numpy().tobytes())
    return [digest.hexdigest()[:16] for digest in digests]


def _weights(base: PreTrainedModel) -> Iterator[tuple[str, Tensor]]:
    """All parameters, those that accelerate keeps on another device or on disk included."""
    for place, module in base.named_modules():
        with align_module_device(module):
            for name, weight in module.named_parameters(recurse=False):
                yield f"{place}.{name}", weight.detach()


def base_fingerprint(base: PreTrainedModel) -> str:
    """Sixteen hex digits of the base's configuration and of a few numbers of every weight."""
    return config_hash(base_settings(base), weight_hashes(base)[0])


def save(folder: Path, base: PreTrainedModel, head: LowRankHead, config: T3Config) -> None:
    """Write an adapter, each file all or nothing, the description last.

    Raises:
        InputError: the folder cannot be written.
    """
    tensors = {k: v.detach().cpu().contiguous() for k, v in head.state_dict().items()}
    description = {
        "base": base.config.name_or_path or base.name_or_path,
        "base_settings": base_settings(base),
        "base_weights": weight_hashes(base),
        "head": {
            "hidden_size": head.hidden_size,
            "rank": head.rank,
            "vocab_size": head.vocab_size,
        },
        "t3": asdict(config),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(folder / WEIGHTS) as temporary:
            save_file(tensors, temporary, metadata={"format": "pt"})
        write_json(folder / CONFIG, description)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{folder}: the adapter cannot be written, {error}") from error


def load(folder: Path) -> tuple[Description, LowRankHead]:
    """The description and the head of an adapter.

    Raises:
        InputError: a file is missing, cut short, or not what it should be.
    """
    try:
        content = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        description = Description(
            content["base"],
            dict(content["base_settings"]),
            list(content["base_weights"]),
            T3Config(**content["t3"]),
        )
        head = LowRankHead(**content["head"])
        head.load_state_dict(load_file(folder / WEIGHTS))
    except FileNotFoundError as error:
        raise InputError(f"{folder}: expected an adapter ({CONFIG} and {WEIGHTS})") from error
    except (ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        reason = str(error).split("\n")[0]
        raise InputError(f"{folder}: the adapter is damaged: {reason}") from error
    return description, head


def check_base(
    base: PreTrainedModel, head: LowRankHead, description: Description, folder: str | Path
) -> None:
    """Raise unless `base` is the model the adapter was trained for; says what does not match.

    Settings are compared where both have them: versions of transformers differ in the rest.
    """
    named = f"{folder}: expected the base of its training, {description.base or '(unnamed)'}"
    try:
        check_sizes(base, head)
    except InputError as error:
        raise InputError(f"{named}; {error}") from error
    found = base_settings(base)
    for name, wanted in sorted(description.settings.items()):
        if name in found and found[name] != wanted:
            raise InputError(f"{named}, with {name} {wanted!r}, got one with {found[name]!r}")
    if not set(description.weights) & set(weight_hashes(base)):
        raise InputError(f"{named}, got one of the same shape with other weights")
