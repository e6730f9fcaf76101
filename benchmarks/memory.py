"""What unlearning needs of memory, as the table of docs/own-model.md.

    python benchmarks/memory.py

Counted from the shapes alone, on torch's meta device: no weight is ever made.
"""

from __future__ import annotations

import torch
from shapes import SHAPES
from transformers import LlamaConfig, LlamaForCausalLM

RANK, PAIRS, ANSWER, SHARD, BATCH = 20, 4_000, 40, 65_536, 32
CHOSEN, BLOCK = 16, 5 * (1 << 26)
"""Pairs at a time while temperature and gate are chosen, and bytes of float32 beside their logits."""
BIG = ("llama-3.2-1b", "llama-3.1-8b", "llama-3.1-70b")


def size(count: float) -> str:
    """Bytes, as people say it."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count:.0f} B"


def needs(shape: str) -> list[str]:
    """One column of the table."""
    config = LlamaConfig(**SHAPES[shape])
    with torch.device("meta"):
        base = LlamaForCausalLM(config)
    parameters = sum(p.numel() for p in base.parameters())
    hidden, vocab = config.hidden_size, config.vocab_size
    head = RANK * (hidden + vocab) * 4
    keys = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * 2
    return [
        f"{parameters / 1e9:.2f}·10⁹",
        size(2 * parameters),
        size(SHARD * hidden * 4),
        size(PAIRS * ANSWER * hidden * 4),
        size(head),
        size(4 * head),
        f"{size(keys)} + {(RANK + 1) * 4} B",
        size(2 * CHOSEN * ANSWER * vocab * 2 + BLOCK),
        size(4 * BATCH * vocab * 4),
    ]


ROWS = (
    "parameters",
    "base in bfloat16",
    "caching: one shard in memory",
    "caching: 4,000 pairs on disk",
    "adapter",
    "training the head",
    "cache a token: base + head",
    "choosing T and gate, 16 pairs",
    "decoding, batch 32",
)


def main() -> None:
    """Print the table."""
    columns = [needs(shape) for shape in BIG]
    print("| | 1B | 8B | 70B |\n|---|---|---|---|")
    for row in zip(ROWS, *columns, strict=True):
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
