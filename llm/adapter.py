"""Adapters on disk: a head in safetensors, a description in JSON, and the base they belong to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from llm.bases import base_settings, check_sizes, other_weight, weight_probes
from llm.head import LowRankHead
from llm.tilt import T3Config
from t3theory.exceptions import InputError, T3Error
from t3theory.records import atomic_path

__all__ = ["Description", "check_base", "load", "save"]

CONFIG, WEIGHTS = "t3_config.json", "head.safetensors"


@dataclass(frozen=True)
class Description:
    """What `t3_config.json` says: the base by name, settings and weights; the T3 settings."""

    base: str
    settings: dict[str, Any]
    weights: dict[str, list[float]]
    t3: T3Config


def save(
    folder: Path,
    base: PreTrainedModel,
    head: LowRankHead,
    config: T3Config,
    beside: Mapping[str, str] | None = None,
) -> None:
    """Write an adapter: all files or, on a full disk, none.

    Args:
        beside: texts of other files, by name.
    Raises:
        InputError: the folder cannot be written.
    """
    tensors = {k: v.detach().cpu().contiguous() for k, v in head.state_dict().items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Renamed into place once all are written: the head, its description, the others.
        with (
            ExitStack() as others,
            atomic_path(folder / CONFIG) as described,
            atomic_path(folder / WEIGHTS) as weights,
        ):
            save_file(tensors, weights, metadata={"format": "pt"})
            description = _description(base, head, config, _hash_of(weights))
            described.write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")
            for name, text in (beside or {}).items():
                place = others.enter_context(atomic_path(folder / name))
                place.write_text(text, encoding="utf-8")
    except (OSError, SafetensorError) as error:
        raise InputError(f"{folder}: the adapter cannot be written, {error}") from error


def _description(
    base: PreTrainedModel, head: LowRankHead, config: T3Config, head_hash: str
) -> dict[str, Any]:
    name = base.config.name_or_path or base.name_or_path
    return {
        "base": str(Path(name).resolve()) if name and Path(name).is_dir() else name,
        "head": {
            "hidden_size": head.hidden_size,
            "rank": head.rank,
            "vocab_size": head.vocab_size,
        },
        "head_sha256": head_hash,
        "t3": asdict(config),
        "base_settings": base_settings(base),
        "base_weights": weight_probes(base),
    }


def _hash_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load(folder: Path) -> tuple[Description, LowRankHead]:
    """The description and the head of an adapter.

    Raises:
        InputError: a file is missing, cut short, of another adapter, or not what it should be.
    """
    try:
        content = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if unknown := sorted(content.keys() - _WRITTEN):
            raise InputError(f"{CONFIG} has an unknown field {unknown[0]!r}")
        description = Description(
            str(content["base"]),
            dict(content["base_settings"]),
            {name: list(map(float, probe)) for name, probe in content["base_weights"].items()},
            _t3_config(content["t3"]),
        )
        if content["head_sha256"] != _hash_of(folder / WEIGHTS):
            raise InputError(f"{WEIGHTS} is not the file that {CONFIG} describes")
        head = LowRankHead(**content["head"])
        head.load_state_dict(load_file(folder / WEIGHTS))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{folder}: expected an adapter ({CONFIG} and {WEIGHTS})") from error
    except KeyError as error:
        raise InputError(f"{folder}: the adapter is damaged: {CONFIG} lacks {error}") from error
    except _DAMAGE as error:
        reason = str(error).split("\n")[0]
        raise InputError(f"{folder}: the adapter is damaged: {reason}") from error
    if not all(torch.isfinite(weight).all() for weight in head.parameters()):
        raise InputError(f"{folder}: the adapter is damaged: its head is not finite")
    return description, head


_DAMAGE = (
    *(T3Error, SafetensorError),
    *(AttributeError, OSError, RuntimeError, TypeError, ValueError),
)


_WRITTEN = {"base", "head", "head_sha256", "t3", "base_settings", "base_weights"}


def _t3_config(content: Mapping[str, Any]) -> T3Config:
    if unknown := sorted(content.keys() - {field.name for field in fields(T3Config)}):
        raise InputError(f"unknown setting t3.{unknown[0]}")
    return T3Config(**content)


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
    # What kind of model it is first: other settings follow from it.
    for name, wanted in sorted(description.settings.items(), key=lambda s: s[0] != "model_type"):
        if name in found and found[name] != wanted:
            raise InputError(f"{named}, with {name} {wanted!r}, got one with {found[name]!r}")
    if other := other_weight(base, description.weights):
        raise InputError(f"{named}, got one of the same shape with other weights, as {other}")
