"""The loop that all trained baselines share."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel

from llm.baselines.answers import Answers
from llm.baselines.graddiff import graddiff
from llm.baselines.npo import npo
from llm.baselines.simnpo import simnpo
from llm.encoding import Encoded, collate
from llm.experiment import BaselineSettings
from llm.pretrain import answer_losses
from t3theory.exceptions import InputError

__all__ = ["LOSSES", "train_baseline"]

_LOG = logging.getLogger(__name__)

LOSSES: dict[str, Callable[[Answers, BaselineSettings], Float[Tensor, ""]]] = {
    "graddiff": lambda forget, settings: graddiff(forget),
    "npo": lambda forget, settings: npo(forget, settings.npo_beta),
    "simnpo": lambda forget, settings: simnpo(forget, settings.simnpo_beta),
}


def _by_row(
    model: PreTrainedModel, rows: Sequence[Encoded]
) -> tuple[Float[Tensor, " rows"], Float[Tensor, " rows"]]:
    """log π(y|x) and |y| of each row."""
    batch = collate(rows, model.config.pad_token_id).to(model.device)
    losses, owner = answer_losses(model, batch)
    zero = losses.new_zeros(len(rows))
    return -zero.index_add(0, owner, losses), zero.index_add(0, owner, torch.ones_like(losses))


def _references(
    model: PreTrainedModel, rows: Sequence[Encoded], batch_size: int
) -> Float[Tensor, " rows"]:
    with torch.no_grad():
        starts = range(0, len(rows), batch_size)
        return torch.cat([_by_row(model, rows[i : i + batch_size])[0] for i in starts])


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
) -> PreTrainedModel:
    """Unlearn `forget` by a loss of `LOSSES` plus the weighted mean loss on `retain`, in place.

    AdamW; the learning rate rises over the first epoch and then stays, so that the model
    after k epochs does not depend on how many follow.

    Args:
        on_epoch: called after every epoch with the epochs done and the model, in evaluation mode.
    Raises:
        InputError: no such method.
    """
    if method not in LOSSES:
        raise InputError(f"baseline {method!r}: expected one of {', '.join(LOSSES)}")
    reference = _references(model.eval(), forget, settings.batch_size)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=learning_rate, weight_decay=settings.weight_decay
    )
    per_epoch = -(-len(forget) // settings.batch_size)
    for epoch in range(epochs):
        model.train()
        batches = _batches(len(forget), len(retain), settings.batch_size, seed, epoch)
        for i, (lost, kept) in enumerate(batches):
            rise = min(1.0, (epoch * per_epoch + i + 1) / per_epoch)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * rise
            log_prob, length = _by_row(model, [forget[j] for j in lost])
            loss = LOSSES[method](Answers(log_prob, reference[lost], length), settings)
            log_prob, length = _by_row(model, [retain[j] for j in kept])
            loss = loss - settings.retain_weight * log_prob.sum() / length.sum()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        _LOG.info("%s: epoch %d of %d", method, epoch + 1, epochs)
        model.eval()
        if on_epoch is not None:
            on_epoch(epoch + 1, model)
    return model
