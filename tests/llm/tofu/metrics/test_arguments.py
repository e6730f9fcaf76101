"""What every metric takes, and what it says of anything else."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from llm.tofu.metrics import (
    exact_memorization,
    extraction_strength,
    forget_quality,
    min_k_score,
    model_utility,
    normalised_probability,
    privacy_leakage,
    probability,
    truth_ratio,
)
from t3theory.exceptions import AssumptionError


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: probability([]), r"loss must be a list of at least one number, got \(0,\)"),
        (lambda: probability([1.0, math.nan]), r"loss\[1\] must be a number, got nan"),
        (lambda: truth_ratio([1.0], [1.0]), r"must have the shape \(1, k\)"),
        (lambda: truth_ratio([1.0, 2.0], [[1.0]]), r"must have the shape \(2, k\)"),
        (lambda: normalised_probability([1.0], [[math.nan]]), r"wrong_losses\[0, 0\]"),
        (lambda: forget_quality([1.0], []), "retain_truth_ratios must be a list"),
        (lambda: model_utility({}), "parts must be a list of at least one"),
        (lambda: model_utility({"a": 0.5, "b": -1.0}), r"parts\['b'\] must be ≥ 0, got -1"),
        (lambda: min_k_score([-1.0], k=0.0), r"k must lie in \(0, 1\], got 0"),
        (lambda: privacy_leakage(1.5, 0.5), r"auc must lie in \[0, 1\], got 1.5"),
        (lambda: privacy_leakage(0.5, math.nan), "retain_auc must lie in"),
    ],
)
def test_wrong_arguments(call: Any, message: str) -> None:
    with pytest.raises(AssumptionError, match=message):
        call()


def test_tensors_will_do() -> None:
    loss = torch.tensor([1.0, 2.0], dtype=torch.bfloat16, requires_grad=True)
    wrong = torch.tensor([[1.0], [3.0]])
    assert truth_ratio(loss, wrong) == pytest.approx(truth_ratio([1.0, 2.0], [[1.0], [3.0]]))
    assert forget_quality(loss, loss).p_value == 1.0
    hits_ = torch.tensor([True, False, True, True])
    assert exact_memorization(hits_) == 2 / 3
    assert extraction_strength(hits_) == pytest.approx(1 / 3)
