"""A few forget pairs learnt again: does the rest come back with them?"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from llm.encoding import Encoded, collate
from llm.pretrain import answer_loss, shuffled_batches

__all__ = ["EPOCHS", "LEARNING_RATE", "SHARE", "relearned", "split"]

SHARE = 0.1
"""Of the forget pairs, learnt again."""
EPOCHS = 10
LEARNING_RATE = 3e-4


def split(count: int) -> tuple[list[int], list[int]]:
    """Which of `count` rows are learnt again, evenly spread, and which are measured.

    >>> split(20)
    ([0, 10], [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19])
    """
    every = round(1 / SHARE)
    learnt = list(range(0, count, every))
    return learnt, [i for i in range(count) if i % every]


def relearned(model: Any, rows: Sequence[Encoded], batch_size: int, seed: int) -> Any:
    """A copy with all weights trained on `rows`: AdamW at a fixed rate."""
    copied = copy.deepcopy(model).requires_grad_(True)
    optimizer = torch.optim.AdamW(copied.parameters(), lr=LEARNING_RATE, weight_decay=0.0)
    copied.train()
    for epoch in range(EPOCHS):
        for chosen in shuffled_batches(rows, batch_size, seed, epoch):
            batch = collate([rows[i] for i in chosen], model.config.pad_token_id)
            optimizer.zero_grad(set_to_none=True)
            answer_loss(copied, batch.to(copied.device)).backward()
            nn.utils.clip_grad_norm_(copied.parameters(), 1.0)
            optimizer.step()
    return copied.eval()
