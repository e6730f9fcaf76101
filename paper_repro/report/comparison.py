"""A run's language models beside figures that others have published, and what differs."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from paper_repro.report.measures import Measure
from paper_repro.report.tables import rows_of

__all__ = ["COMPARED", "compare", "published"]

COMPARED = (
    Measure("forget quality, log₁₀ p", "values/forget_quality_log10_p"),
    Measure("model utility", "values/model_utility"),
    Measure("forget truth ratio", "values/forget_truth_ratio"),
)
"""What both have, in the order of `published.toml`."""


@cache
def _file() -> dict[str, Any]:
    path = Path(__file__).with_name("published.toml")
    return tomllib.loads(path.read_text(encoding="utf-8"))


@cache
def published() -> list[dict[str, Any]]:
    """The sources of `published.toml`, p-values as logarithms."""
    sources: list[dict[str, Any]] = _file()["source"]
    return [
        source
        | {
            "methods": {
                method: [math.log10(p), *rest] for method, (p, *rest) in source["methods"].items()
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
            "name": row.name,
            "here": row.cells,
            "there": [source["methods"].get(row.method) for source in sources],
        }
        for row in rows_of(records, COMPARED)
        if any(row.method in source["methods"] for source in sources)
    ]
    return {
        "rows": rows,
        "columns": COMPARED,
        "sources": sources,
        "paper": _file()["paper"],
        "parameters": sorted({r["values"]["total_parameters"] for r in ours}),
        "data": sorted({r["config"]["data"] for r in ours}),
    }
