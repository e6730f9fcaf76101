"""Greedy decoding where all is dispatch, as on a fast GPU: processor time of T3 against its base's.

    python benchmarks/dispatch.py [--out runs/benchmarks/dispatch.jsonl]

Llamas as deep as known ones (8 layers: `full`; 12: GPT-2; 16: Llama 3.2 1B; 32: Llama 3.1 8B) and
16 wide, so that next to nothing is computed: a token takes what Python and the calls of operations
take, which is what a GPU waits for at these sizes. T3 goes the way that it goes on a GPU.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from decode import seconds
from shapes import random_llama

from llm.head import LowRankHead
from llm.model import T3Config, T3ForCausalLM
from t3theory.records import make_record, write_records

WIDTH, VOCAB, RANK = 16, 128, 20
THIN = {
    "vocab_size": VOCAB,
    "hidden_size": WIDTH,
    "intermediate_size": WIDTH,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
}


def measure(layers: int, gate: Any, args: argparse.Namespace) -> dict[str, Any]:
    """A record of one depth and gate: each round of T3's between two of its base's."""
    base = random_llama(THIN | {"num_hidden_layers": layers})
    generator = torch.Generator().manual_seed(0)
    head = LowRankHead(WIDTH, RANK, VOCAB, "published", generator)
    model = T3ForCausalLM(base, head, T3Config(gate=gate)).eval()
    ids = torch.randint(3, VOCAB, (args.batch, 8), generator=generator)

    def a_token(one: Any) -> float:
        return seconds(one, ids, args.new_tokens)[1] / args.new_tokens

    a_token(model)  # warm-up
    of_base, of_t3 = [a_token(base)], []
    for _ in range(args.rounds):
        of_t3.append(a_token(model))
        of_base.append(a_token(base))
    around = (np.array(of_base[:-1]) + np.array(of_base[1:])) / 2
    low, middle, high = np.quantile(around / np.array(of_t3), [0.25, 0.5, 0.75])
    values = {
        "ratio": middle,
        "quartiles": [low, high],
        "base_microseconds": 1e6 * float(np.median(of_base)),
        "added_microseconds": 1e6 * float(np.median(np.array(of_t3) - around)),
    }
    about = {"layers": layers, "gate": gate, "batch": args.batch, "new_tokens": args.new_tokens}
    return make_record("benchmark.dispatch", about | {"rounds": args.rounds}, 0, values)


def on_no_processor(*_: torch.Tensor) -> bool:
    """What `llm.tilt` finds of arrays on a GPU."""
    return False


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, nargs="*", default=[8, 12, 16, 32])
    parser.add_argument("--gate", nargs="*", default=["none", "hard"])
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--new-tokens", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    records = []
    with mock.patch("llm.tilt._numbers_alone", on_no_processor):
        for layers in args.layers:
            for gate in args.gate:
                records.append(measure(layers, gate, args))
                values = records[-1]["values"]
                print(
                    f"{layers:2d} layers, gate {gate:4s}: base {values['base_microseconds']:5.0f} µs "
                    f"a token, T3 adds {values['added_microseconds']:4.0f}: ratio "
                    f"{values['ratio']:.3f} ({values['quartiles'][0]:.3f} to "
                    f"{values['quartiles'][1]:.3f})",
                    flush=True,
                )
    if args.out:
        write_records(args.out, records)


if __name__ == "__main__":
    main()
