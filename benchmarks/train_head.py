"""Head training on cached features, the caching pass included, against the base at each step.

    python benchmarks/train_head.py [--retain 3600] [--out runs/benchmarks/train_head.jsonl]

100 epochs over the rows to forget, 32 rows of each class a step. With the base at each
step the time is measured on a few steps and multiplied; everything else is measured whole.
"""

from __future__ import annotations

import argparse
import random
from typing import Any

import torch
from shapes import random_llama, shape_parser

from llm.costs import seconds_a_step
from llm.encoding import Encoded
from llm.features import cache_features
from llm.fit_head import HeadConfig, fit_head
from paper_repro.pipeline.memory import PeakMemory
from t3theory.records import Stopwatch, make_record, write_records

BATCH = 32


def rows_of(count: int, vocab_size: int, draw: random.Random) -> list[Encoded]:
    """Random pairs as long as TOFU's: some 20 tokens asked, some 40 answered."""
    return [
        Encoded(
            draw.choices(
                range(3, vocab_size), k=(asked := draw.randint(12, 28)) + draw.randint(20, 60)
            ),
            asked,
        )
        for _ in range(count)
    ]


def uncached_seconds(
    base: Any, parts: list[list[Encoded]], steps: int, draw: random.Random
) -> float:
    """Of a step with the base run on rows drawn for it."""
    drawn = [[draw.choices(part, k=BATCH) for part in parts] for _ in range(steps)]
    return seconds_a_step(base, drawn, rank=20)


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = shape_parser(__doc__, "tiny")
    parser.add_argument("--forget", type=int, default=400)
    parser.add_argument("--retain", type=int, nargs="*", default=[3600, 400])
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--uncached-steps", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=32, help="rows of the caching pass")
    return parser.parse_args()


def measure(base: Any, count: int, args: argparse.Namespace) -> dict[str, Any]:
    """A record of both ways at one number of retain rows."""
    draw, vocab_size = random.Random(0), base.lm_head.weight.shape[0]
    steps = args.epochs * -(-args.forget // BATCH)
    parts = [rows_of(n, vocab_size, draw) for n in (count, args.forget)]
    uncached_seconds(base, parts, 1, draw)  # warm-up
    # Half before and half after: what else the machine does falls on both.
    uncached = [uncached_seconds(base, parts, args.uncached_steps, draw)]
    memory, watch = PeakMemory(), Stopwatch()
    features = [
        cache_features(base, part, batch_size=args.batch_size).to(base.device) for part in parts
    ]
    caching = watch.seconds
    config = HeadConfig(steps=steps, batch_pairs=BATCH, stop_at_risk=None, evaluate_every=steps)
    fit_head(features[0], features[1], vocab_size, config)
    cached = watch.seconds
    uncached.append(uncached_seconds(base, parts, args.uncached_steps, draw))
    whole = steps * sum(uncached) / 2
    values = {
        "ratio": whole / cached,
        "caching_seconds": caching,
        "head_seconds": cached - caching,
        "uncached_seconds": whole,
        "cached_tokens_per_second": sum(len(r.input_ids) for p in parts for r in p) / caching,
    }
    about = {"shape": args.shape, "retain": count, "forget": args.forget, "epochs": args.epochs}
    about |= {"dtype": args.dtype, "device": args.device, "threads": torch.get_num_threads()}
    about |= {"batch_size": args.batch_size}
    return make_record("benchmark.train_head", about, 0, values | memory.bytes())


def main() -> None:
    """Measure and print."""
    args = arguments()
    base = random_llama(args.shape, args.device, args.dtype)
    records = []
    for count in args.retain:
        records.append(measure(base, count, args))
        values = records[-1]["values"]
        print(
            f"{count} retain rows: caching {values['caching_seconds']:.1f} s, head "
            f"{values['head_seconds']:.1f} s; base at each step {values['uncached_seconds']:.0f} s: "
            f"{values['ratio']:.1f} times; caching {values['cached_tokens_per_second']:.0f} tokens/s"
            + (
                f", {gpu / 2**30:.1f} GiB of the GPU"
                if (gpu := values.get("peak_gpu_bytes"))
                else ""
            )
        )
    if args.out:
        write_records(args.out, records)


if __name__ == "__main__":
    main()
