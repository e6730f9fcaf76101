"""Risk, its bound and calibration against plain sums."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_bases import VOCAB
from tiny_features import separable

from llm.diagnostics import LEAST_F, calibration, head_risk
from llm.fit_head import HeadConfig, fit_head
from llm.head import LowRankHead
from t3theory.exceptions import AssumptionError
from t3theory.samples import heldout_risk_upper_bound


@pytest.fixture(scope="module")
def trained():
    retain, forget = separable()
    head = fit_head(retain, forget, VOCAB, HeadConfig(stop_at_risk=0.3)).head
    return head, separable(pairs=300, seed=9)[0], forget


def test_risk_is_the_mean_over_pairs_and_bounded_by_the_theory(trained):
    head, kept, forget = trained
    risk = head_risk(head, kept, forget, confidence=0.9)
    means = []
    for i in range(len(kept)):
        tokens = kept.tokens_of(torch.tensor([i]))
        f = torch.sigmoid(
            head(kept.pooled(tokens))[torch.arange(len(tokens)), kept.targets[tokens]]
        )
        means.append(float(-torch.log(f.clamp(LEAST_F, 1 - LEAST_F)).mean()))
    assert risk.retain == pytest.approx(np.mean(means), abs=1e-5)
    expected = heldout_risk_upper_bound(np.asarray(means), 0.9, upper=-np.log(LEAST_F))
    assert risk.retain_upper == pytest.approx(expected, abs=1e-4)
    assert risk.risk < risk.upper == pytest.approx((risk.retain_upper + risk.forget) / 2)


def test_calibration_by_hand(trained):
    head, kept, forget = trained
    got = calibration(head, kept, forget, bins=4)
    assert sum(got.weight) == pytest.approx(1)
    f, label, weight = [], [], []
    for features, y in ((kept, 1.0), (forget, 0.0)):
        odds = head(features.pooled(torch.arange(len(features.targets))))
        f += torch.sigmoid(odds[torch.arange(len(odds)), features.targets]).tolist()
        label += [y] * len(odds)
        weight += [0.5 / len(odds)] * len(odds)
    f, label, weight = map(np.asarray, (f, label, weight))
    error = 0.0
    for b in range(4):
        here = (f * 4).astype(int).clip(max=3) == b
        error += abs((weight * (f - label))[here].sum())
    assert got.error == pytest.approx(error, abs=1e-6)
    with pytest.raises(AssumptionError, match="bins"):
        calibration(head, kept, forget, bins=0)


def test_a_head_that_knows_nothing_is_calibrated_and_has_risk_log_two():
    retain, forget = separable()
    head = LowRankHead(retain.hidden_size, 2, VOCAB)
    assert head_risk(head, retain, forget).risk == pytest.approx(np.log(2))
    # Five bins: f = 1/2 stands in the middle of one. Its logarithm is float32's.
    assert calibration(head, retain, forget, bins=5).error == pytest.approx(0, abs=1e-7)
