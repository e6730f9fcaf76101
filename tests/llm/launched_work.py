"""What `accelerate launch` runs in every process: unlearn, then evaluate, as the command line does."""

from __future__ import annotations

import sys

from paper_repro.cli import main


def work(place: str, out: str, adapter: str) -> int:
    """Unlearn and evaluate; the sum of both exit statuses."""
    pairs = ("--forget", f"{place}/forget.jsonl", "--retain", f"{place}/retain.jsonl")
    how = ("--cache", f"{out}/cache", "--out", adapter, "--device", "cpu", "--steps", "20")
    status = main(["unlearn", "--model", f"{place}/model", *pairs, *how])
    short = ("--max-new-tokens", "2", "--batch-size", "7")
    status += main(
        ["evaluate", "--model", f"{place}/model", "--data", f"{place}/data", "--out", out, *short]
    )
    return status


if __name__ == "__main__":
    sys.exit(work(*sys.argv[1:]))
