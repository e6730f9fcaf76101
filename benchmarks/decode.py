"""Greedy decoding: the unlearned model against its base, tokens per second, in one run.

    python benchmarks/decode.py [--threads 1] [--out runs/benchmarks/decode.jsonl]

The base is a random Llama: small, with a vocabulary of 50,000, or of a known shape. Rounds of base and T3 alternate, so that whatever else the machine does falls on
both; the ratio is that of the two fastest rounds, the least disturbed ones. On one thread of a
shared machine the ratio of processor times is the steadier of the two.
"""

from __future__ import annotations

import time
from typing import Any

import torch
from shapes import random_llama, shape_parser

from llm.head import LowRankHead
from llm.model import T3Config, T3ForCausalLM
from t3theory.records import make_record, write_records


def seconds(model: Any, ids: torch.Tensor, new_tokens: int) -> tuple[float, float]:
    """Time to generate `new_tokens` for every row: by the clock, and of the processor."""
    start = time.perf_counter(), time.process_time()
    model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=new_tokens,
        min_new_tokens=new_tokens,
        do_sample=False,
    )
    if ids.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - start[0], time.process_time() - start[1]


def measure(base: Any, batch: int, config: T3Config, rank: int, args: Any) -> dict[str, Any]:
    """A record of the two rates at one batch size."""
    generator = torch.Generator().manual_seed(0)
    vocab_size, hidden_size = base.lm_head.weight.shape
    model = T3ForCausalLM(base, LowRankHead(hidden_size, rank, vocab_size, "published", generator))
    model.t3_config = config
    ids = torch.randint(3, vocab_size, (batch, args.prompt), generator=generator).to(base.device)
    rounds: dict[str, list[tuple[float, float]]] = {"base": [], "t3": []}
    seconds(model, ids, 2)  # warm-up
    for _ in range(args.rounds):
        for name, one in (("base", base), ("t3", model)):
            rounds[name].append(seconds(one, ids, args.new_tokens))
    clock, processor = (
        {name: min(times[i] for times in found) for name, found in rounds.items()} for i in (0, 1)
    )
    about = {name: vars(args)[name] for name in ("shape", "prompt", "new_tokens", "dtype")}
    about |= {"batch": batch, "gate": config.gate, "rank": rank, "vocab_size": vocab_size}
    about |= {"threads": torch.get_num_threads(), "rounds": args.rounds}
    values = {
        "ratio": clock["base"] / clock["t3"],
        "processor_ratio": processor["base"] / processor["t3"],
        "base_tokens_per_second": batch * args.new_tokens / clock["base"],
        "t3_tokens_per_second": batch * args.new_tokens / clock["t3"],
    }
    return make_record("benchmark.decode", about, 0, values)


def main() -> None:
    """Measure and print."""
    parser = shape_parser(__doc__, "small")
    parser.add_argument("--batch", type=int, nargs="*", default=[1, 32])
    parser.add_argument("--gate", nargs="*", default=["none", "hard"])
    parser.add_argument("--rank", type=int, default=20)
    parser.add_argument("--prompt", type=int, default=8)
    parser.add_argument("--new-tokens", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    base = random_llama(args.shape, args.device, args.dtype)
    records = []
    for batch in args.batch:
        for gate in args.gate:
            config = T3Config(gate=gate)
            records.append(measure(base, batch, config, args.rank, args))
            values = records[-1]["values"]
            print(
                f"batch {batch:3d} gate {gate:5s}: base {values['base_tokens_per_second']:8.1f}, "
                f"T3 {values['t3_tokens_per_second']:8.1f} tokens/s, ratio {values['ratio']:.3f} "
                f"(of processor time {values['processor_ratio']:.3f})"
            )
    if args.out:
        write_records(args.out, records)


if __name__ == "__main__":
    main()
