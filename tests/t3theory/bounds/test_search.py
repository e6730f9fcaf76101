"""hypothesis.target: a search, letter by letter, for an error above its bound."""

from __future__ import annotations

import pytest
from searches import SEARCHES, largest_ratios


@pytest.mark.parametrize("letter", SEARCHES)
def test_search_for_the_largest_ratio_finds_none_above_one(letter):
    """The search fails where a bound does."""
    found = largest_ratios(letter, examples=100)
    # differences of numbers of order one that are down to 1e-9: rounding is up to 1e-6 of them
    assert 0 < max(found.values()) <= 1 + 1e-6


def test_a_bound_too_small_is_found(monkeypatch):
    """D with half its Δ."""
    monkeypatch.setattr("searches.gap_bound", lambda overlap, delta: 0.5 * delta**0.5 / 2)
    with pytest.raises(AssertionError):
        largest_ratios("D", examples=100)
