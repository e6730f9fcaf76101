"""Choosing settings on the tuning seed: which candidate is taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llm.experiment import ExperimentConfig
from t3theory.exceptions import RecordError
from t3theory.records import read_records

__all__ = ["choose", "chosen"]


def choose(
    candidates: Sequence[Mapping[str, Any]], full_utility: float, utility_share: float
) -> Mapping[str, Any]:
    """The candidate record of the best forget quality, and of those the best utility.

    Candidates below `utility_share` of the full model's utility count only if all are.
    """
    floor = utility_share * full_utility
    useful = [c for c in candidates if c["values"]["utility"] >= floor] or list(candidates)
    return max(
        useful, key=lambda c: (c["values"]["forget_quality_log10_p"], c["values"]["utility"])
    )


def chosen(tuning: str | Path, method: str, config: ExperimentConfig) -> dict[str, Any]:
    """The settings that the records in `tuning` choose for a method.

    Raises:
        RecordError: the file has no candidates of this method, or no full model to compare with.
    """
    records = read_records(tuning, "llm.tuning")
    full = [r for r in records if r["config"]["method"] == "full"]
    candidates = [r for r in records if r["config"]["method"] == method]
    if not full or not candidates:
        raise RecordError(f"{tuning}: expected tuning records of 'full' and {method!r}")
    best = choose(candidates, full[0]["values"]["utility"], config.evaluation.utility_share)
    return dict(best["config"]["setting"])
