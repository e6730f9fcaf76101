"""Choosing settings on the tuning seed: which candidate is taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llm.experiment import ExperimentConfig
from t3theory.exceptions import RecordError
from t3theory.records import read_records

__all__ = ["RETAIN_BUDGET", "choose", "choose_blind", "chosen", "chosen_blind"]

RETAIN_BUDGET = 0.1
"""Nats a token that retain answers may cost, where no retain model is at hand."""


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


def choose_blind(
    candidates: Sequence[Mapping[str, Any]], full_retain_loss: float, budget: float = RETAIN_BUDGET
) -> Mapping[str, Any]:
    """The candidate that forgets most within the budget, by losses on the pairs at hand alone.

    In the spirit of `t3 unlearn`, for every method: the greatest loss on forget answers among
    those whose loss on retain answers is above the full model's by at most `budget`; where none
    is, the one that costs least.
    """
    within = [c for c in candidates if c["values"]["retain_loss"] <= full_retain_loss + budget]
    if not within:
        return min(candidates, key=lambda c: c["values"]["retain_loss"])
    return max(within, key=lambda c: c["values"]["forget_loss"])


def chosen_blind(tuning: str | Path, method: str) -> dict[str, Any]:
    """The settings that `choose_blind` takes for a method, from the records in `tuning`.

    Raises:
        RecordError: the file has no candidates of this method, or no full model to compare with.
    """
    full, candidates = _candidates(tuning, method)
    best = choose_blind(candidates, full["values"]["retain_loss"])
    return dict(best["config"]["setting"])


def chosen(tuning: str | Path, method: str, config: ExperimentConfig) -> dict[str, Any]:
    """The settings that the records in `tuning` choose for a method.

    Raises:
        RecordError: the file has no candidates of this method, or no full model to compare with.
    """
    full, candidates = _candidates(tuning, method)
    best = choose(candidates, full["values"]["utility"], config.evaluation.utility_share)
    return dict(best["config"]["setting"])


def _candidates(
    tuning: str | Path, method: str
) -> tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]:
    """The full model's record, and those of a method."""
    records = read_records(tuning, "llm.tuning")
    full = [r for r in records if r["config"]["method"] == "full"]
    candidates = [r for r in records if r["config"]["method"] == method]
    if not full or not candidates:
        raise RecordError(f"{tuning}: expected tuning records of 'full' and {method!r}")
    return full[0], candidates
