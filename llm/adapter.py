"""Adapters on disk: a head in safetensors, a description in JSON, and the base they belong to."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from llm.head import LowRankHead
from llm.tilt import T3Config
from t3theory.exceptions import InputError
from t3theory.records import atomic_path, config_hash, write_json

__all__ = ["Description", "base_fingerprint", "check_base", "check_sizes", "load", "save"]

CONFIG, WEIGHTS = "t3_config.json", "head.safetensors"


@dataclass(frozen=True)
class Description:
    """What `t3_config.json` says: the base by name and fingerprint, the T3 settings."""

    base: str
    fingerprint: str
    t3: T3Config


def check_sizes(base: PreTrainedModel, head: LowRankHead) -> None:
    """Raise unless the head reads this base's final hidden states and scores its tokens."""
    output = base.get_output_embeddings() if hasattr(base, "get_output_embeddings") else None
    if output is None or base.base_model is base:
        raise InputError(
            f"base model {type(base).__name__}: expected a causal language model with an output "
            "matrix (lm_head)"
        )
    vocab_size, hidden_size = output.weight.shape
    for what, found, expected in (
        ("hidden_size", head.hidden_size, hidden_size),
        ("vocab_size", head.vocab_size, vocab_size),
    ):
        if found != expected:
            raise InputError(f"head: expected {what} {expected} as in the base, got {found}")


def base_fingerprint(base: PreTrainedModel) -> str:
    """Hash of the base's architecture and of a few numbers of every weight matrix.

    Numbers are compared as bfloat16, so that one checkpoint loaded in bfloat16 and in
    float32 is the same base.
    """
    volatile = {"dtype", "torch_dtype", "transformers_version", "_name_or_path", "use_cache"}
    settings = {
        k: repr(v)
        for k, v in base.config.to_dict().items()
        if k not in volatile and not k.startswith("_") and not k.endswith("_token_id")
    }
    digest = hashlib.sha256(config_hash(settings).encode())
    for name, weight in sorted(base.state_dict().items()):
        flat = weight.reshape(-1)
        probe = flat[:: max(1, flat.numel() // 8)][:8].to(device="cpu", dtype=torch.bfloat16)
        digest.update(name.encode() + str(tuple(weight.shape)).encode())
        digest.update(probe.to(torch.float32).numpy().tobytes())
    return digest.hexdigest()[:16]


def save(folder: Path, base: PreTrainedModel, head: LowRankHead, config: T3Config) -> None:
    """Write an adapter, each file all or nothing, the description last."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {k: v.detach().cpu().contiguous() for k, v in head.state_dict().items()}
    with atomic_path(folder / WEIGHTS) as temporary:
        save_file(tensors, temporary, metadata={"format": "pt"})
    write_json(
        folder / CONFIG,
        {
            "base": base.config.name_or_path or base.name_or_path,
            "fingerprint": base_fingerprint(base),
            "head": {
                "hidden_size": head.hidden_size,
                "rank": head.rank,
                "vocab_size": head.vocab_size,
            },
            "t3": asdict(config),
        },
    )


def load(folder: Path) -> tuple[Description, LowRankHead]:
    """The description and the head of an adapter.

    Raises:
        InputError: a file is missing, cut short, or not what it should be.
    """
    try:
        content = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        description = Description(
            content["base"], content["fingerprint"], T3Config(**content["t3"])
        )
        head = LowRankHead(**content["head"])
        head.load_state_dict(load_file(folder / WEIGHTS))
    except FileNotFoundError as error:
        raise InputError(f"{folder}: expected an adapter ({CONFIG} and {WEIGHTS})") from error
    except (ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        reason = str(error).split("\n")[0]
        raise InputError(f"{folder}: the adapter is damaged: {reason}") from error
    return description, head


def check_base(base: PreTrainedModel, description: Description, folder: str | Path) -> None:
    """Raise unless `base` is the model the adapter was trained for."""
    found = base_fingerprint(base)
    if found != description.fingerprint:
        raise InputError(
            f"{folder}: expected base model {description.base or 'of its training'} with "
            f"fingerprint {description.fingerprint}, got one with {found}"
        )
