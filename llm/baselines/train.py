"""The loop that all trained baselines share."""

from __future__ import annotations

import logging
import random
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from llm.baselines.objectives import OBJECTIVES, Material
from llm.encoding import Encoded
from llm.experiment import BaselineSettings
from t3theory.exceptions import InputError

__all__ = ["method_constants", "train_baseline"]

_LOG = logging.getLogger(__name__)


def method_constants(method: str) -> dict[str, Any]:
    """The method's own small configuration, `llm/baselines/<method>.toml`.

    Raises:
        InputError: no such method.

    >>> method_constants("npo")
    {'beta': 0.1, 'retain_weight': 1.0}
    """
    if method not in OBJECTIVES:
        raise InputError(f"baseline {method!r}: expected one of {', '.join(OBJECTIVES)}")
    return tomllib.loads(Path(__file__).with_name(f"{method}.toml").read_text(encoding="utf-8"))


def _batches(
    forget: int, retain: int, size: int, seed: int, epoch: int
) -> Iterator[tuple[list[int], list[int]]]:
    """Every forget pair once an epoch, beside each a retain pair drawn afresh."""
    rng = random.Random(f"{seed}/{epoch}")
    order = rng.sample(range(forget), forget)
    for start in range(0, forget, size):
        chosen = order[start : start + size]
        yield chosen, [rng.randrange(retain) for _ in chosen]


def train_baseline(
    model: PreTrainedModel,
    method: str,
    forget: Sequence[Encoded],
    retain: Sequence[Encoded],
    settings: BaselineSettings,
    learning_rate: float,
    epochs: int,
    seed: int,
    on_epoch: Callable[[int, PreTrainedModel], None] | None = None,
    refusals: Sequence[Encoded] = (),
) -> PreTrainedModel:
    """Unlearn `forget` by a method of `OBJECTIVES`; most change `model` in place.

    AdamW; the learning rate rises over the first epoch and then stays, so that the model
    after k epochs does not depend on how many follow.

    Args:
        on_epoch: called after every epoch with the epochs done and the model, in evaluation mode.
        refusals: for "idkdpo", the questions of `forget` with a refusal each.
    Returns:
        the model to decode with; its attribute `trained_parameters` says how many were trained.
    Raises:
        InputError: no such method.
    """
    constants = method_constants(method)
    material = Material(
        model.eval(), forget, retain, refusals, constants, settings.batch_size, seed
    )
    objective = OBJECTIVES[method](material)
    result: Any = objective.model
    result.trained_parameters = sum(p.numel() for p in objective.trained)
    model.requires_grad_(False)
    for parameter in objective.trained:
        parameter.requires_grad_(True)
    optimizer = torch.optim.AdamW(
        objective.trained,
        lr=learning_rate,
        weight_decay=settings.weight_decay,
        fused=model.device.type == "cuda",
    )
    per_epoch = -(-len(forget) // settings.batch_size)
    for epoch in range(epochs):
        result.train()
        batches = _batches(len(forget), len(retain), settings.batch_size, seed, epoch)
        for i, (lost, kept) in enumerate(batches):
            rise = min(1.0, (epoch * per_epoch + i + 1) / per_epoch)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * rise
            optimizer.zero_grad(set_to_none=True)
            objective.loss(lost, kept).backward()
            nn.utils.clip_grad_norm_(objective.trained, 1.0)
            optimizer.step()
        result.eval()
        _LOG.info("%s: epoch %d of %d", method, epoch + 1, epochs)
        if on_epoch is not None:
            on_epoch(epoch + 1, result)
    model.requires_grad_(True)
    return result
