"""What `accelerate launch` runs in every process: unlearn, then evaluate, as the command line does."""

from __future__ import annotations

import sys

from paper_repro.cli import main

place, out, adapter = sys.argv[1:]
pairs = ("--forget", f"{place}/forget.jsonl", "--retain", f"{place}/retain.jsonl")
how = ("--cache", f"{out}/cache", "--out", adapter, "--device", "cpu", "--steps", "20")
status = main(["unlearn", "--model", f"{place}/model", *pairs, *how])
short = ("--max-new-tokens", "2", "--batch-size", "7")
status += main(
    ["evaluate", "--model", f"{place}/model", "--data", f"{place}/data", "--out", out, *short]
)
sys.exit(status)
