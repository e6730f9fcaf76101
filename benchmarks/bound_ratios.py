"""How near each bound comes to the true error: the largest ratio a targeted search finds.

    python benchmarks/bound_ratios.py [--examples 3000] [--seed 0] [--letters ABCDEFGHLNQ]
        [--out runs/benchmarks/bound_ratios.jsonl]

The searches are those of the tests (`tests/searches.py`: what a ratio is, and of which instances),
with more examples: `hypothesis.target` climbs from the best instances met, each form by itself.
`python docs/tables.py` makes the table of docs/theory.md of benchmarks/results/bound_ratios.jsonl.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from searches import SEARCHES, largest_ratios

from t3theory.records import Stopwatch, check_place, make_record, write_records


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--examples", type=int, default=3000, help="instances a letter")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--letters", default="".join(SEARCHES))
    parser.add_argument("--out", type=Path, help="a record file to write")
    return parser.parse_args()


def main() -> None:
    """Search letter by letter; print each ratio, write a record a letter."""
    args, records = arguments(), []
    if args.out:
        check_place(args.out)
    for letter in args.letters:
        watch = Stopwatch()
        found = sorted(largest_ratios(letter, args.examples, args.seed).items())
        for (form, hot), ratio in found:
            print(letter, form or "–", "T > 1" if hot else "T = 1", f"{ratio:.6f}", flush=True)
        ratios = [{"form": form, "above_one": hot, "ratio": x} for (form, hot), x in found]
        about = {"letter": letter, "examples": args.examples}
        values = {"ratios": ratios}
        records.append(
            make_record("benchmark.bound_ratios", about, args.seed, values, watch.seconds)
        )
    if args.out:
        write_records(args.out, records)


if __name__ == "__main__":
    main()
