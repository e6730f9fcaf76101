"""Truth ratios and probabilities: by hand, and laws for all losses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from llm.tofu.metrics import (
    closeness_to_one,
    normalised_probability,
    probability,
    true_better,
    truth_ratio,
)
from t3theory.exceptions import InputError

losses = st.floats(0.0, 20.0)
# A handful of float64 operations on numbers of moderate size.
ROUNDING = 1e-12


def loss_table(k: int) -> st.SearchStrategy[tuple[np.ndarray, np.ndarray]]:
    return st.integers(1, 6).flatmap(
        lambda n: st.tuples(
            arrays(float, n, elements=losses), arrays(float, (n, k), elements=losses)
        )
    )


def test_truth_ratio_by_hand() -> None:
    correct, wrong = [math.log(2)], [[math.log(4), math.log(16)]]  # 1/2 against 1/4 and 1/16
    assert truth_ratio(correct, wrong, "tofu") == pytest.approx([1 / 4])  # geometric mean 1/8
    assert truth_ratio(correct, wrong, "arithmetic") == pytest.approx([5 / 16])
    assert truth_ratio(correct, wrong) == pytest.approx([1 / 8 / (1 / 2 + 1e-10)], rel=1e-15)
    assert truth_ratio(correct, wrong, "prob-mean") == pytest.approx([4 / 5])


@given(loss_table(4))
def test_variants_are_ordered(table: tuple[np.ndarray, np.ndarray]) -> None:
    tofu, own, mean = (truth_ratio(*table, v) for v in ("tofu", "open-unlearning", "arithmetic"))
    assert np.all(own <= tofu)  # the 1e-10 only lowers it
    assert np.all(tofu <= mean * (1 + ROUNDING))  # geometric ≤ arithmetic


@given(loss_table(1))
def test_variants_agree_on_one_wrong_answer(table: tuple[np.ndarray, np.ndarray]) -> None:
    tofu, mean, share = (truth_ratio(*table, v) for v in ("tofu", "arithmetic", "prob-mean"))
    assert mean == pytest.approx(tofu, rel=ROUNDING)
    epsilon = 1e-10 / (np.exp(-table[0]) + np.exp(-table[1][:, 0]))
    assert share * (1 + tofu) == pytest.approx(1 / (1 + epsilon), rel=1e-9)


@given(loss_table(3), st.floats(-5.0, 5.0))
def test_ratio_does_not_see_a_common_shift(
    table: tuple[np.ndarray, np.ndarray], shift: float
) -> None:
    correct, wrong = table
    moved = truth_ratio(correct + shift, wrong + shift, "tofu")
    assert moved == pytest.approx(truth_ratio(correct, wrong, "tofu"), rel=1e-11)


def test_an_impossible_answer_is_infinitely_wrong_without_epsilon() -> None:
    assert truth_ratio([1000.0], [[0.0]], "tofu") == [np.inf]
    assert truth_ratio([1000.0], [[0.0]]) == pytest.approx([1e10])
    assert closeness_to_one([np.inf, 0.0]) == 0.0


@given(arrays(float, 5, elements=st.floats(1e-6, 1e6)))
def test_closeness_is_symmetric(ratios: np.ndarray) -> None:
    assert closeness_to_one(ratios) == pytest.approx(closeness_to_one(1 / ratios), rel=ROUNDING)
    assert 0 < closeness_to_one(ratios) <= 1
    assert 0 <= true_better(ratios) < 1


def test_unknown_variant() -> None:
    unknown: Any = "geometric"
    with pytest.raises(InputError, match="truth ratio variant 'geometric': expected open-unl"):
        truth_ratio([1.0], [[1.0]], unknown)


@given(loss_table(3))
def test_normalised_probability_is_a_share(table: tuple[np.ndarray, np.ndarray]) -> None:
    correct, wrong = table
    everyone = np.column_stack([correct, wrong])
    others = [np.delete(everyone, j, axis=1) for j in range(4)]
    shares_ = [normalised_probability(everyone[:, j], others[j], 0.0) for j in range(4)]
    assert np.sum(shares_, axis=0) == pytest.approx(np.ones(len(correct)), rel=ROUNDING)
    assert np.all(normalised_probability(correct, wrong) <= shares_[0])


@given(arrays(float, 4, elements=losses))
def test_probability_inverts_the_loss(loss: np.ndarray) -> None:
    assert -np.log(probability(loss)) == pytest.approx(loss, abs=ROUNDING)
