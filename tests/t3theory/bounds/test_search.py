"""hypothesis.target: a search, letter by letter, for an error above its bound."""

from __future__ import annotations

from pathlib import Path

import pytest
from searches import SEARCHES, largest_ratios

from t3theory.records import read_records

RECORDS = Path(__file__).parents[3] / "benchmarks" / "results" / "bound_ratios.jsonl"


@pytest.mark.parametrize("letter", SEARCHES)
def test_search_for_the_largest_ratio_finds_none_above_one(letter):
    """The search fails where a bound does; what a longer one found is recorded, form by form."""
    found = largest_ratios(letter, examples=100)
    (record,) = (r for r in read_records(RECORDS) if r["config"]["letter"] == letter)
    recorded = {(r["form"], r["above_one"]): r["ratio"] for r in record["values"]["ratios"]}
    assert found.keys() <= recorded.keys()
    # differences of numbers of order one that are down to 1e-9: rounding is up to 1e-6 of them
    assert all(0 < ratio <= 1 + 1e-6 for ratio in recorded.values())


def test_a_bound_too_small_is_found(monkeypatch):
    """D with half its Δ."""
    monkeypatch.setattr("searches.gap_bound", lambda overlap, delta: 0.5 * delta**0.5 / 2)
    with pytest.raises(AssertionError):
        largest_ratios("D", examples=100)
