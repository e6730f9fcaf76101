"""A grid of 100 settings against one setting, from one pass of the base, and the floor of it.

    python benchmarks/grid.py [--shape small] [--out runs/benchmarks/grid.jsonl]

The grid is 5 temperatures × 4 priors × 5 gates. The floor is what no method can go below that
normalises each distinct setting by itself: the pass of the base, and one softmax for each of them.
"""

from __future__ import annotations

import argparse
import itertools

import torch
from shapes import random_llama, shape_parser

from llm.encoding import Encoded
from llm.head import LowRankHead
from llm.sweep import answer_states, sweep_losses
from llm.tilt import T3Config
from t3theory.records import Stopwatch, make_record, write_records

GATES = (("none", 0.5), ("hard", 0.3), ("hard", 0.5), ("hard", 0.7), ("soft", 0.5))
GRID = [
    T3Config(temperature=t, log_prior_odds=prior, gate=gate, gate_threshold=threshold)
    for t, prior, (gate, threshold) in itertools.product(
        (1.25, 1.5, 2.0, 2.5, 3.0), (0.0, 1.0, 2.0, 3.0), GATES
    )
]
DISTINCT = 5 * 4 + 4 + 5 * 4
"""Uniform ones, T = 1 where a hard gate is shut, soft gates."""


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = shape_parser(__doc__, "small")
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def softmaxes(scores: torch.Tensor, count: int) -> None:
    """As many of a vocabulary; none is kept, or the memory for all would be measured too."""
    for _ in range(count):
        scores[:1].log_softmax(-1)


def main() -> None:
    """Measure and print."""
    args = arguments()
    base = random_llama(args.shape, args.device, args.dtype)
    vocab_size, hidden_size = base.lm_head.weight.shape
    generator = torch.Generator().manual_seed(0)
    head = LowRankHead(hidden_size, 20, vocab_size, "published", generator).to(args.device)
    # As TOFU's: twenty tokens of a question, forty of an answer.
    ids = torch.randint(3, vocab_size, (args.rows, 60), generator=generator).tolist()
    rows = [Encoded(row, 20) for row in ids]
    cells = [("head", config) for config in GRID]
    works = {
        "pass": lambda: [None for _ in answer_states(base, rows, args.rows)],
        "one": lambda: sweep_losses(base, rows, cells[:1], {"head": head}, args.rows),
        "grid": lambda: sweep_losses(base, rows, cells, {"head": head}, args.rows),
    }
    tokens = 40 * args.rows
    scores = torch.randn(8, vocab_size, device=args.device)
    works["softmax"] = lambda: softmaxes(scores, tokens)
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(args.rounds):
        for name, work in works.items():
            watch = Stopwatch()
            work()
            if args.device != "cpu":
                torch.cuda.synchronize()
            times[name].append(watch.seconds)
    best = {name: min(found) for name, found in times.items()}
    floor = best["pass"] + DISTINCT * best["softmax"]
    values = {
        "ratio": best["grid"] / best["one"],
        "floor_ratio": floor / best["one"],
        "seconds": best,
    }
    about = {"shape": args.shape, "dtype": args.dtype, "device": args.device, "rows": args.rows}
    about |= {"settings": len(GRID), "distinct": DISTINCT, "threads": torch.get_num_threads()}
    print(
        f"{args.shape}: {len(GRID)} settings cost {values['ratio']:.2f} of one "
        f"(floor {values['floor_ratio']:.2f}); seconds {best}"
    )
    if args.out:
        write_records(args.out, [make_record("benchmark.grid", about, 0, values)])


if __name__ == "__main__":
    main()
