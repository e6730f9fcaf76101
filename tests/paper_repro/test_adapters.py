"""The adapters committed beside a run are those that its records tell of."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm import adapter
from paper_repro.results import read_results

RESULTS = Path(__file__).parents[2] / "paper_repro" / "results"


@pytest.mark.parametrize("seed", range(5))
def test_an_adapter_has_the_settings_and_the_size_that_the_records_tell(seed):
    description, head = adapter.load(RESULTS / "adapters" / f"seed-{seed}")
    records = [
        r
        for r in read_results(RESULTS / "small-forget05-tofu.jsonl")
        if r["seed"] == seed and r["config"].get("method") == "t3-gated"
    ]
    (chosen,) = (r["config"] for r in records if r["kind"] == "llm.evaluation")
    t3 = description.t3
    assert (t3.temperature, t3.guidance_scale, t3.gate) == (
        chosen["temperature"],
        chosen["guidance_scale"],
        chosen["gate"],
    )
    assert sum(p.numel() for p in head.parameters()) == 20 * (192 + 4000)  # rank, width, tokens
    assert description.base == f"runs/small-forget05-tofu/lm/{seed}/full"
