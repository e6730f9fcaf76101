"""The head's loss is the published one; training finds it, stops by its rule, repeats by its seed."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from tiny_bases import HIDDEN, VOCAB, sharp_head, tiny_base
from tiny_features import separable

from llm.encoding import Encoded
from llm.features import cache_features
from llm.fit_head import HeadConfig, class_losses, fit_head
from llm.head import LowRankHead
from llm.head_loss import head_loss, set_gradients
from t3theory.exceptions import AssumptionError, InputError


def published_loss(base, head, rows, labels):
    """Binary cross-entropy over the whole vocabulary's logits, gathered at targets, token by token."""
    total, count = torch.zeros(()), 0
    for (ids, start), label in zip(rows, labels, strict=True):
        with torch.no_grad():
            hidden = base.base_model(input_ids=torch.tensor([ids])).last_hidden_state[0]
        for t in range(start, len(ids)):
            odds = (head.up.weight @ (head.down.weight @ hidden[:t].mean(0)))[ids[t]]
            f = torch.sigmoid(odds)
            total = total - (torch.log(f) if label else torch.log(1 - f))
            count += 1
    return total / count


def test_loss_and_gradients_are_the_published_ones():
    base, head = tiny_base("llama"), sharp_head()
    generator = torch.Generator().manual_seed(0)
    rows = [
        Encoded(torch.randint(3, VOCAB, (n,), generator=generator).tolist(), 3)
        for n in (6, 9, 7, 12)
    ]
    expected = published_loss(base, head, rows, [1, 1, 0, 0])
    gradients = torch.autograd.grad(expected, list(head.parameters()))
    both = [cache_features(base, part) for part in (rows[:2], rows[2:])]
    odds = [head.at(f.pooled(torch.arange(len(f.targets))), f.targets) for f in both]
    loss = head_loss(odds[0], odds[1], "token")
    torch.testing.assert_close(loss, expected, rtol=0, atol=1e-5)
    for got, wanted in zip(
        torch.autograd.grad(loss, list(head.parameters())), gradients, strict=True
    ):
        torch.testing.assert_close(got, wanted, rtol=0, atol=1e-5)


def test_balanced_loss_gives_each_class_half():
    retain, forget = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([0.3])
    parts = [head_loss(retain, torch.tensor([-100.0])), head_loss(torch.tensor([100.0]), forget)]
    torch.testing.assert_close(head_loss(retain, forget), sum(parts))


@pytest.mark.parametrize("weighting", ["balanced", "token"])
def test_the_gradients_of_a_step_are_those_of_the_loss(weighting):
    """Where the head is sure as well: log-odds of 50 leave a slope of e^-50."""
    head = sharp_head()
    generator = torch.Generator().manual_seed(1)
    pooled = torch.randn(9, HIDDEN, generator=generator)
    pooled[2] *= 50 / head.at(pooled[2:3], torch.tensor([7])).item()
    targets = torch.tensor([3, 3, 7, 8, 9, 3, 9, 11, 11])
    odds = head.at(pooled, targets)
    wanted = torch.autograd.grad(head_loss(odds[:5], odds[5:], weighting), list(head.parameters()))
    for _ in range(2):  # the second does not add to the first
        set_gradients(head, pooled, targets, 5, weighting)
        for parameter, gradient in zip(head.parameters(), wanted, strict=True):
            torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-7)
    set_gradients(head, pooled[2:4], targets[2:4], 1, weighting)
    alone = head.at(pooled[2:3], targets[2:3])
    slope = torch.autograd.grad(
        head_loss(alone, head.at(pooled[3:4], targets[3:4]), weighting), list(head.parameters())
    )
    torch.testing.assert_close(head.up.weight.grad[7], slope[1][7], rtol=1e-4, atol=0)
    assert head.up.weight.grad[7].abs().max() > 0


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_features_of_any_precision_are_trained_on(dtype):
    retain, forget = (
        replace(f, shards=tuple(s.to(dtype).requires_grad_() for s in f.shards))
        for f in separable()
    )
    head = fit_head(retain, forget, VOCAB, HeadConfig(steps=30)).head
    assert head.up.weight.dtype == torch.float32
    expected = fit_head(*separable(), VOCAB, HeadConfig(steps=30)).head
    # bfloat16 keeps eight bits of a feature.
    torch.testing.assert_close(head.up.weight, expected.up.weight, rtol=0, atol=0.05)


def test_training_stops_at_the_first_evaluation_below_the_risk():
    retain, forget = separable()
    head, history = fit_head(retain, forget, VOCAB, HeadConfig(stop_at_risk=0.1, seed=3))
    assert history[0].risk == pytest.approx(math.log(2), abs=1e-6)
    assert history[-1].risk <= 0.1 < min(e.risk for e in history[:-1])
    losses = class_losses(head, retain, forget)
    assert float((losses[0].mean() + losses[1].mean()) / 2) == pytest.approx(history[-1].risk)
    assert not any(p.requires_grad for p in head.parameters())


def test_without_a_stopping_risk_all_steps_are_taken():
    retain, forget = separable()
    history = fit_head(retain, forget, VOCAB, HeadConfig(steps=25, stop_at_risk=None)).history
    assert [e.step for e in history] == [0, 10, 20, 25]
    assert all(math.isnan(e.heldout_risk) for e in history)


def test_seeds_decide_everything_and_global_state_nothing():
    retain, forget = separable()
    heads = []
    for noise, seed in ((1, 0), (2, 0), (1, 1)):
        torch.manual_seed(noise)
        heads.append(fit_head(retain, forget, VOCAB, HeadConfig(steps=30, seed=seed)).head)
    same, other = (
        all(torch.equal(a, b) for a, b in zip(heads[0].parameters(), h.parameters(), strict=True))
        for h in heads[1:]
    )
    assert same
    assert not other


def test_a_large_head_is_trained_as_a_small_one(monkeypatch):
    retain, forget = separable()
    config = HeadConfig(steps=30, stop_at_risk=None, weight_decay=0.1, warmup_steps=5)
    heads, fused, adamw = [], [], torch.optim.AdamW

    def noted(*args, **options):
        fused.append(options["fused"])
        return adamw(*args, **options)

    monkeypatch.setattr("torch.optim.AdamW", noted)
    weights = VOCAB * config.rank
    for at_least in (weights + 1, weights):  # AdamW as several operations, and as one
        monkeypatch.setattr("llm.fit_head._SHARED", at_least)
        heads.append(fit_head(retain, forget, VOCAB, config).head)
    assert fused == [False, True]
    for one, other in zip(*(head.parameters() for head in heads), strict=True):
        # Thirty steps of 0.01 add up to 0.3; each rounds in another order, some 1e-7 a step.
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


def test_heldout_risk_is_measured_and_not_trained_on():
    retain, forget = separable()
    heldout = separable(seed=1)
    config = HeadConfig(steps=40, stop_at_risk=None)
    plain = fit_head(retain, forget, VOCAB, config)
    seen = []
    fit = fit_head(
        retain, forget, VOCAB, config, heldout, lambda e, head: seen.append((e, head.rank))
    )
    assert torch.equal(plain.head.up.weight, fit.head.up.weight)
    assert [e for e, _ in seen] == fit.history
    expected = [float(x.mean()) for x in class_losses(fit.head, *heldout)]
    assert fit.history[-1][3:] == pytest.approx(expected)


def test_tokens_never_seen_as_targets_do_not_guide():
    retain, forget = separable()
    head = fit_head(retain, forget, VOCAB, HeadConfig(steps=30)).head
    seen = torch.cat([retain.targets, forget.targets]).unique()
    unseen = torch.ones(VOCAB, dtype=torch.bool)
    unseen[seen] = False
    assert bool(unseen.any())
    assert float(head.up.weight[unseen].abs().max()) == 0
    published = fit_head(retain, forget, VOCAB, HeadConfig(steps=30, initialisation="published"))
    assert float(published.head.up.weight[unseen].abs().max()) > 0


def test_published_initialisation_is_uniform_by_fan_in():
    head = LowRankHead(400, 100, 300, "published", torch.Generator().manual_seed(0))
    for weight, fan_in in ((head.down.weight.detach(), 400), (head.up.weight.detach(), 100)):
        bound = fan_in**-0.5
        assert 0.99 * bound < float(weight.abs().max()) <= bound
        # Variance of U(±b) is b²/3; 30,000 draws and more give it to 2 %.
        assert float(weight.var()) == pytest.approx(bound**2 / 3, rel=0.02)


def test_the_first_step_is_adamws_at_the_warm_rate():
    """AdamW's first step moves each weight w with a gradient by ±η after shrinking it by 1 − ηλ.

    With ten steps of warm-up η is an eleventh of the learning rate.
    """
    retain, forget = separable()
    config = HeadConfig(
        rank=3, steps=2, batch_pairs=1000, learning_rate=0.11, warmup_steps=10, weight_decay=0.5,
        initialisation="published", evaluate_every=1, stop_at_risk=None,
    )  # fmt: skip
    weights = []

    def keep(_evaluation, head):
        weights.append(head.down.weight.detach().clone())

    fit_head(retain, forget, VOCAB, config, on_evaluation=keep)
    moved = weights[1] - weights[0] * (1 - 0.01 * 0.5)
    # Adam's ε of 1e-8 beside gradients of 1e-3 and more.
    assert torch.allclose(moved.abs(), torch.full_like(moved, 0.01), rtol=1e-4)
    most = float((weights[2] - weights[1]).abs().max())
    assert 0.015 < most < 0.025, "the second step's rate is twice the first's"


def test_wrong_settings_and_features():
    for bad in (
        {"rank": 0},
        {"steps": 0},
        {"learning_rate": 0.0},
        {"weight_decay": -1.0},
        {"weighting": "pair"},
    ):
        with pytest.raises(AssumptionError, match=next(iter(bad))):
            HeadConfig(**bad)
    with pytest.raises(AssumptionError, match="rank"):
        LowRankHead(HIDDEN, 0, VOCAB)
    with pytest.raises(AssumptionError, match="initialisation"):
        LowRankHead(HIDDEN, 1, VOCAB, "ones")
    retain, forget = separable()
    with pytest.raises(InputError, match="outside the 10 tokens"):
        fit_head(retain, forget, 10)
    with pytest.raises(InputError, match="one hidden size"):
        fit_head(retain, separable(hidden=3)[1], VOCAB)
