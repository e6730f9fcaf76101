"""Many settings of T, s, gate and head scored from one pass of the base."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedModel

from llm.encoding import IGNORED, Encoded, collate, length_sorted_batches
from llm.head import LowRankHead, running_mean
from llm.model import T3Config, final_hidden, tilt

__all__ = ["AnswerStates", "answer_states", "sweep_losses"]


class AnswerStates(NamedTuple):
    """The base at the positions that predict the answer tokens of some rows.

    Symbols: `logits` (tokens, vocab); `pooled`: running means of the final hidden states
    (tokens, hidden); `targets`: the answer's tokens; `rows`: the row each belongs to.
    """

    logits: Float[Tensor, "tokens vocab"]
    pooled: Float[Tensor, "tokens hidden"]
    targets: Int[Tensor, " tokens"]
    rows: Int[Tensor, " tokens"]


def answer_states(
    base: PreTrainedModel, rows: Sequence[Encoded], batch_size: int
) -> Iterator[AnswerStates]:
    """The states of all rows, batch by batch, longest rows first."""
    for chosen in length_sorted_batches(rows, batch_size):
        batch = collate([rows[i] for i in chosen], base.config.pad_token_id or 0).to(base.device)
        with torch.inference_mode(), final_hidden(base) as found:
            logits = base(
                input_ids=batch.input_ids, attention_mask=batch.attention_mask, use_cache=False
            ).logits
        pooled = running_mean(found[-1], batch.attention_mask)
        row, place = (batch.labels[:, 1:] != IGNORED).nonzero(as_tuple=True)
        owner = torch.tensor(chosen, device=base.device)[row]
        targets = batch.labels[:, 1:][row, place]
        yield AnswerStates(logits[row, place], pooled[row, place], targets, owner)


def sweep_losses(
    base: PreTrainedModel,
    rows: Sequence[Encoded],
    settings: Sequence[tuple[str, T3Config]],
    heads: Mapping[str, LowRankHead],
    batch_size: int = 32,
) -> Float[np.ndarray, "settings rows"]:
    """Mean loss of each row's answer, nats a token, under each setting.

    Args:
        settings: (name of a head, how to decode with it).
    """
    total = np.zeros((len(settings), len(rows)))
    count = np.zeros(len(rows))
    for states in answer_states(base, rows, batch_size):
        owner = states.rows.cpu().numpy()
        np.add.at(count, owner, 1)
        log_odds = {name: head(states.pooled) for name, head in heads.items()}
        for i, (name, config) in enumerate(settings):
            with torch.inference_mode():
                scores = tilt(states.logits, log_odds[name], config)
                losses = torch.nn.functional.cross_entropy(scores, states.targets, reduction="none")
            np.add.at(total[i], owner, losses.cpu().numpy())
    return total / count
