"""The harmonic mean."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.tofu.metrics import model_utility

# A handful of float64 operations on numbers of moderate size.
ROUNDING = 1e-12


@given(st.lists(st.floats(1e-3, 1.0), min_size=1, max_size=9))
def test_utility_lies_between_the_least_and_the_mean(values: list[float]) -> None:
    utility = model_utility({str(i): v for i, v in enumerate(values)})
    assert min(values) * (1 - ROUNDING) <= utility <= np.mean(values) * (1 + ROUNDING)


def test_utility_by_hand() -> None:
    assert model_utility({"a": 1.0, "b": 0.5, "c": 0.25}) == pytest.approx(3 / 7)
    assert model_utility({"a": 1.0, "b": 0.0}) == 0.0
