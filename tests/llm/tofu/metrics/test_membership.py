"""Membership inference and privacy leakage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.tofu.metrics import membership_auc, min_k_score, privacy_leakage

shares = st.floats(0.0, 1.0)
# A handful of float64 operations on numbers of moderate size.
ROUNDING = 1e-12


@given(st.lists(st.floats(-20.0, 0.0), min_size=2, max_size=12), st.floats(0.05, 1.0))
def test_min_k_looks_at_the_worst(log_probs: list[float], k: float) -> None:
    kept = log_probs[:-1]
    score = min_k_score(log_probs, k)
    assert -np.mean(kept) - ROUNDING <= score <= -min(kept) + ROUNDING
    assert min_k_score(log_probs, 1.0) == pytest.approx(-np.mean(kept), abs=ROUNDING)


def test_min_k_by_hand() -> None:
    assert min_k_score([-1.0, -5.0, -3.0, -2.0, -4.0, -100.0]) == 4.5  # 2 of 5: -5, -4
    assert min_k_score([-1.0, -5.0, -100.0], k=0.1) == 5.0  # at least one
    assert min_k_score([-100.0]) == 0.0


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=10),
    st.lists(st.integers(0, 6), min_size=1, max_size=10),
)
def test_auc_is_a_share_of_pairs(forget: list[int], holdout: list[int]) -> None:
    wins = [(a < b) + (a == b) / 2 for a in forget for b in holdout]
    assert membership_auc(forget, holdout) == pytest.approx(np.mean(wins), abs=ROUNDING)
    swapped = membership_auc(holdout, forget)
    assert swapped == pytest.approx(1 - membership_auc(forget, holdout), abs=ROUNDING)


@given(shares, shares)
def test_leakage_has_the_sign_of_the_difference(auc: float, retain_auc: float) -> None:
    leakage = privacy_leakage(auc, retain_auc)
    assert np.sign(leakage) == np.sign(retain_auc - auc)
    assert privacy_leakage(auc, auc) == 0.0


def test_leakage_of_the_extremes() -> None:
    assert privacy_leakage(1.0, 0.5) == pytest.approx(-100)  # remembered
    assert privacy_leakage(0.0, 0.5) == pytest.approx(100)  # forgotten beyond the retain model
    assert privacy_leakage(0.0, 0.99) == pytest.approx(9900)  # why a retain AUC near 1 explodes
