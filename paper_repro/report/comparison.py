"""A run's language models beside figures that others have published, and what differs."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from paper_repro.report.tables import method_rows

__all__ = ["COMPARED", "compare", "published"]

COMPARED = {
    "forget_quality_log10_p": "forget quality, log₁₀ p",
    "model_utility": "model utility",
    "forget_truth_ratio": "forget truth ratio",
}
"""Values that both have, and their headings."""


@cache
def published() -> list[dict[str, Any]]:
    """The sources of `published.toml`, p-values as logarithms."""
    path = Path(__file__).with_name("published.toml")
    sources: list[dict[str, Any]] = tomllib.loads(path.read_text(encoding="utf-8"))["source"]
    return [
        source
        | {
            "methods": {
                method: dict(zip(COMPARED, (math.log10(p), *rest), strict=True))
                for method, (p, *rest) in source["methods"].items()
            }
        }
        for source in sources
    ]


def compare(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Rows of methods that this run and a source have in common; how this run differs."""
    ours = [r for r in records if r["kind"] == "llm.evaluation"]
    sources = published()
    rows = [
        {
            "name": row["name"],
            "here": row["cells"],
            "there": [source["methods"].get(row["method"]) for source in sources],
        }
        for row in method_rows(records, tuple(COMPARED))
        if any(row["method"] in source["methods"] for source in sources)
    ]
    return {
        "rows": rows,
        "columns": COMPARED,
        "sources": sources,
        "parameters": sorted({r["values"]["total_parameters"] for r in ours}),
        "data": sorted({r["config"]["data"] for r in ours}),
    }
