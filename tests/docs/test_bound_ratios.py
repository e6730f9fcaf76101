"""The table of largest ratios in docs/theory.md has every letter that is searched, and each form."""

from __future__ import annotations

from pathlib import Path

import pytest
from searches import SEARCHES, largest_ratios

from t3theory.records import read_records

RECORDS = Path(__file__).parents[2] / "benchmarks" / "results" / "bound_ratios.jsonl"


@pytest.mark.parametrize("letter", SEARCHES)
def test_every_form_of_a_letter_is_recorded(letter):
    (record,) = (r for r in read_records(RECORDS) if r["config"]["letter"] == letter)
    recorded = {(r["form"], r["above_one"]): r["ratio"] for r in record["values"]["ratios"]}
    assert largest_ratios(letter, examples=20).keys() <= recorded.keys()
    # differences of numbers of order one that are down to 1e-9: rounding is up to 1e-6 of them
    assert all(0 < ratio <= 1 + 1e-6 for ratio in recorded.values())
