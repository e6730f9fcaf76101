"""ROUGE recall, by hand and as a law."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.tofu.metrics import rouge

words = st.lists(
    st.sampled_from(["river", "stone", "lamp", "seven", "walked", "writes"]), max_size=8
)


@given(words, words)
def test_rouge_is_recall(prediction: list[str], target: list[str]) -> None:
    score = rouge(" ".join(prediction), " ".join(target))
    assert 0 <= score.rougeL_recall <= score.rouge1_recall <= 1
    longer = rouge(" ".join([*prediction, "and", "more"]), " ".join(target))
    assert longer.rougeL_recall >= score.rougeL_recall  # running on is not punished


def test_rouge_by_hand() -> None:
    score = rouge("the cats walked home", "a cat walks home")
    assert score == pytest.approx((3 / 4, 3 / 4, 3 / 4))  # the stemmer joins cats, walked
    assert rouge("home walked", "walked home").rougeL_recall == 0.5
    assert rouge("home walked", "walked home").rouge1_recall == 1.0
    assert rouge("", "walked") == (0.0, 0.0, 0.0)
