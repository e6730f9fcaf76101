"""Made-up features of two classes that a head can tell apart."""

from __future__ import annotations

import torch
from tiny_bases import HIDDEN, VOCAB

from llm.features import Features


def separable(pairs: int = 40, hidden: int = HIDDEN, seed: int = 0) -> tuple[Features, Features]:
    """Retain and forget features around opposite means; targets below VOCAB − 10."""
    generator = torch.Generator().manual_seed(seed)
    out = []
    for sign in (1.0, -1.0):
        lengths = torch.randint(1, 6, (pairs,), generator=generator)
        tokens = int(lengths.sum())
        pooled = torch.randn(tokens, hidden, generator=generator) + sign
        targets = torch.randint(0, VOCAB - 10, (tokens,), generator=generator)
        offsets = torch.cat([torch.zeros(1, dtype=torch.long), lengths.cumsum(0)])
        out.append(Features((pooled,), targets, offsets))
    return out[0], out[1]
