"""Base models: what one must have, and how it is known again in another precision or place."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from accelerate.utils import align_module_device
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel

from llm.head import LowRankHead
from t3theory.exceptions import InputError
from t3theory.records import config_hash

__all__ = [
    "base_fingerprint",
    "base_settings",
    "check_causal_lm",
    "check_looks_back",
    "check_sizes",
    "decoder_of",
    "device_of",
    "digest_weight",
    "other_weight",
    "weight_probes",
]


def decoder_of(base: Any) -> nn.Module:
    """The module whose output is the final hidden states, after the norm; `base` where it has none."""
    found = base.get_decoder()
    return found if found is not base else getattr(base, "model", base)


def device_of(module: nn.Module) -> Any:
    """Where a module computes, which is not where accelerate keeps the weights of a large one."""
    hook = getattr(module, "_hf_hook", None)
    found = getattr(hook, "execution_device", None)
    return next(module.parameters()).device if found is None else found


def check_causal_lm(base: Any) -> None:
    """Raise unless `base` has a decoder and an output matrix."""
    kind = type(base).__name__
    if hasattr(base, "t3_config") or hasattr(base, "uld_config"):
        raise InputError(f"base model {kind}: expected one that is not unlearned yet, as its .base")
    known = isinstance(base, PreTrainedModel)
    if not known or base.get_output_embeddings() is None or decoder_of(base) is base:
        raise InputError(
            f"base model {kind}: expected a causal language model of transformers with a decoder "
            "and an output matrix (lm_head)"
        )


@torch.inference_mode()
def check_looks_back(base: Any) -> None:
    """Raise if what `base` says of a token depends on a later one, as in BERT's own direction."""
    ends = torch.tensor([[1, 2], [1, 3]], device=device_of(base.get_input_embeddings()))
    one, other = base(ends).logits[:, 0].to(torch.float32)
    # Rows of one batch differ by rounding only: far less than their logits among themselves.
    if (one - other).abs().max() > 0.1 * one.std():
        raise InputError(
            f"base model {type(base).__name__}: expected one that predicts a token from those "
            "before it, got one that sees those behind it too"
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


def base_fingerprint(base: PreTrainedModel) -> str:
    """Sixteen hex digits of the base's configuration and of every byte of its weights."""
    digest = hashlib.sha256()
    for name, weight in _weights(base):
        digest_weight(digest, name, weight)
    return config_hash(base_settings(base), digest.hexdigest())


def digest_weight(digest: hashlib._Hash, name: str, weight: Tensor) -> None:
    """Add a weight's name, shape, type and every byte to a running digest."""
    digest.update(f"{name} {tuple(weight.shape)} {weight.dtype}".encode())
    digest.update(weight.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)


_PROBES = 16
"""Numbers of each weight that an adapter remembers."""
_GOLDEN = (5**0.5 - 1) / 2


def weight_probes(base: PreTrainedModel) -> dict[str, list[float]]:
    """Sixteen numbers of every floating-point weight, scattered over it, to bfloat16's three digits."""
    return {
        name: _scattered(weight).to(torch.bfloat16).to(torch.float32).tolist()
        for name, weight in _weights(base)
        if weight.is_floating_point() and weight.numel()
    }


def other_weight(base: PreTrainedModel, probes: Mapping[str, Sequence[float]]) -> str | None:
    """The first weight of `base` that cannot be the one that was probed, in any precision.

    Weights that only one side has (quantised ones are no floating-point numbers) say nothing,
    unless there are no others.
    """
    found = weight_probes(base)
    common = [name for name in probes if name in found]
    for name in common:
        here, there = torch.tensor(found[name]), torch.tensor(list(probes[name]))
        # Each side is rounded once or twice to eight bits; below 6e-8 float16 has no digits left.
        if here.shape != there.shape or not torch.allclose(here, there, rtol=2**-7, atol=2**-24):
            return name
    return None if common else next(iter(probes), "any")


def _scattered(weight: Tensor) -> Float[Tensor, " n"]:
    """Numbers at the places of a golden-ratio sequence: rows and columns of all residues."""
    size = weight.numel()
    places = [int((k * _GOLDEN % 1) * size) for k in range(min(_PROBES, size))]
    return weight.reshape(-1)[torch.tensor(places, device=weight.device)].to("cpu")


def _weights(base: PreTrainedModel) -> Iterator[tuple[str, Tensor]]:
    """All parameters by name, those that accelerate keeps on another device or on disk included."""
    modules = sorted(base.named_modules(), key=lambda item: item[0])
    for place, module in modules:
        with align_module_device(module):
            for name, weight in sorted(module.named_parameters(recurse=False)):
                yield f"{place}.{name}".lstrip("."), weight.detach()
