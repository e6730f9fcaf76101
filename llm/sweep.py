"""Many settings of T, s, gate and head scored from one pass of the base."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedModel

from llm import processes
from llm.encoding import IGNORED, Encoded, collate, length_sorted_batches
from llm.head import LowRankHead, running_mean
from llm.hidden import final_hidden
from llm.scoring import RowScores, answer_logits
from llm.setting_scores import setting_losses, setting_matches
from llm.tilt import T3Config

__all__ = [
    "AnswerStates",
    "answer_states",
    "sweep_losses",
    "sweep_scores",
]


class AnswerStates(NamedTuple):
    """The base at the positions that predict the answer tokens of some rows.

    Symbols: `logits` (tokens, vocab); `pooled`: running means of the final hidden states
    (tokens, hidden); `targets`: the answer's tokens; `rows`: the row each belongs to.
    """

    logits: Float[Tensor, "tokens vocab"]
    pooled: Float[Tensor, "tokens hidden"]
    targets: Int[Tensor, " tokens"]
    rows: Int[Tensor, " tokens"]

    def blocks(self) -> Iterator[AnswerStates]:
        """The same a few tokens at a time: 64 MiB of float32 for what each needs of the vocabulary."""
        step = max(1, (1 << 24) // self.logits.shape[1])
        for parts in zip(*(x.split(step) for x in self), strict=True):
            yield AnswerStates(*parts)


def answer_states(
    base: PreTrainedModel, rows: Sequence[Encoded], batch_size: int, shared: bool = False
) -> Iterator[AnswerStates]:
    """The states of all rows, batch by batch, longest rows first.

    Args:
        shared: only the batches of this process of `accelerate launch`.
    """
    batches = list(length_sorted_batches(rows, batch_size))
    for chosen in processes.share(batches) if shared else batches:
        batch = collate([rows[i] for i in chosen], pad_id=0).to(base.device)
        with torch.inference_mode(), final_hidden(base) as found:
            logits = answer_logits(base, batch)
        kept = logits.shape[1]
        pooled = running_mean(found[-1], batch.attention_mask)[:, -kept - 1 : -1]
        labels = batch.labels[:, -kept:]
        row, place = (labels != IGNORED).nonzero(as_tuple=True)
        owner = torch.tensor(chosen, device=base.device)[row]
        yield AnswerStates(logits[row, place], pooled[row, place], labels[row, place], owner)


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
    places = {name: [i for i, (n, _) in enumerate(settings) if n == name] for name in heads}
    for states in answer_states(base, rows, batch_size):
        owner = states.rows.cpu().numpy()
        np.add.at(count, owner, 1)
        for name, head in heads.items():
            configs = [settings[i][1] for i in places[name]]
            if configs:
                losses = setting_losses(states.logits, head(states.pooled), states.targets, configs)
                for i, row in zip(places[name], losses.cpu().numpy(), strict=True):
                    np.add.at(total[i], owner, row)
    return total / count


def sweep_scores(
    base: PreTrainedModel,
    rows: Sequence[Encoded],
    head: LowRankHead,
    configs: Sequence[T3Config],
    batch_size: int = 32,
) -> list[list[RowScores]]:
    """What each setting makes of each row's answer, from one pass of the base: settings, then rows.

    The processes of `accelerate launch` share the batches, and get the same.
    """
    batches = answer_states(base, rows, batch_size, shared=True)
    parts = processes.merge([_scores_of(states, head, configs) for states in batches])
    found: list[list[Any]] = [[None] * len(rows) for _ in configs]
    for owner, log_probs, matches in parts:
        ends = np.flatnonzero(np.diff(owner, append=-1)) + 1  # a row's tokens stand together
        for start, end in zip(np.append(0, ends[:-1]), ends, strict=True):
            for i, scores in enumerate(found):
                scores[owner[start]] = RowScores(log_probs[i, start:end], matches[i, start:end])
    return found


def _scores_of(
    states: AnswerStates, head: LowRankHead, configs: Sequence[T3Config]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each token of a batch: its row, and under each setting its log-probability and match."""
    losses, matches = [], []
    for block in states.blocks():
        args = (block.logits, head(block.pooled), block.targets, configs)
        losses.append(setting_losses(*args).cpu())
        matches.append(setting_matches(*args).cpu())
    log_probs, hits = (torch.cat(x, dim=1).numpy() for x in (losses, matches))
    return states.rows.cpu().numpy(), -log_probs, hits
