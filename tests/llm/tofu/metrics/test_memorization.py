"""What the model would say itself: extraction strength and exact memorisation."""

from __future__ import annotations

import math

from hypothesis import assume, given
from hypothesis import strategies as st

from llm.tofu.metrics import exact_memorization, extraction_strength

hits = st.lists(st.booleans(), min_size=1, max_size=12)
# A handful of float64 operations on numbers of moderate size.
ROUNDING = 1e-12


def brute_force_strength(matches: list[bool]) -> float:
    kept = matches[:-1]
    if not kept:
        return 0.0
    k = next(k for k in range(len(kept) + 1) if all(kept[k:]))
    return 1 - k / len(kept)


@given(hits)
def test_extraction_strength_is_the_shortest_prefix(matches: list[bool]) -> None:
    exact = extraction_strength(matches, floor=False)
    assert exact == brute_force_strength(matches)
    n = len(matches) - 1
    assert extraction_strength(matches) == (max(exact, 1 - (n - 1) / n) if n else 0.0)


@given(hits)
def test_strength_never_exceeds_memorization(matches: list[bool]) -> None:
    assume(len(matches) > 1)
    strength = extraction_strength(matches, floor=False)
    assert strength <= exact_memorization(matches) + ROUNDING
    assert (strength == 1) == (exact_memorization(matches) == 1)


def test_memorization_of_nothing() -> None:
    assert math.isnan(exact_memorization([True]))
    assert extraction_strength([True]) == 0.0
