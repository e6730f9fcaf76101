"""Risk, its bound and calibration against plain sums."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_bases import VOCAB
from tiny_features import separable

from llm.diagnostics import LEAST_F, calibration, head_risk, retain_error, share_quantiles
from llm.features import Features
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
        means.append(float(-torch.log(f.clamp(min=LEAST_F)).mean()))
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


def test_forget_pairs_count_unclipped():
    """A head sure that forget tokens are to retain: log-odds 40, a loss of 40 nats (and e^-40)."""
    one = Features((torch.ones(2, 1),), torch.tensor([0, 1]), torch.tensor([0, 2]))
    head = LowRankHead(1, 1, 2)
    with torch.no_grad():
        head.down.weight.fill_(1.0)
        head.up.weight.fill_(40.0)
    assert head_risk(head, one, one).forget == 40.0


def test_the_retain_error_lies_between_what_is_known_of_it():
    """Contexts of disjoint supports, P = (1−γ_c) P_r + γ_c P_f: KL(P_r‖P) = −log(1−γ_c) exactly."""
    shares = torch.tensor([0.5, 0.0], dtype=torch.float64)
    p_r = torch.tensor([[1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    p = (1 - shares[:, None]) * p_r + shares[:, None] * p_r.flip(1)
    p_hat = torch.tensor([[0.8, 0.2], [0.9, 0.1]], dtype=torch.float64)
    true = float(-p_hat[:, 0].log().mean())
    cost = float((p[:, 0] / p_hat[:, 0]).log().mean())
    found = retain_error(cost, shares)
    assert found["at_most"] == pytest.approx(true, rel=1e-12)
    assert found["at_least"] <= true
    assert share_quantiles(shares)["1"] == 0.5
