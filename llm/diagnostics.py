"""What is known of a head from data: its risk with a confidence bound, calibration, forget shares.

The two classes are not alike. Retain pairs stand for a distribution: pairs that the head was
not trained on give an upper confidence bound on its risk there. A memorised forget set is
the distribution: its mean loss is the risk itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from llm.features import Features
from llm.fit_head import class_losses
from llm.head import LowRankHead
from t3theory.exceptions import AssumptionError
from t3theory.samples import heldout_risk_upper_bound

__all__ = ["Calibration", "HeadRisk", "calibration", "head_risk", "pair_means"]

LEAST_F = 1e-4
"""Losses are bounded by clipping f at this and at one minus this: at most 9.2 nats."""


@dataclass(frozen=True)
class HeadRisk:
    """Balanced log-loss of a head, in nats a token.

    It bounds the excess risk δ at prior 1/2 from above, by the Bayes risk that it includes.

    Attributes:
        retain: mean over held-out retain pairs of their mean loss a token.
        retain_upper: upper confidence bound on its expectation.
        forget: mean over all forget pairs.
        confidence: of the bound.
    """

    retain: float
    retain_upper: float
    forget: float
    confidence: float

    @property
    def risk(self) -> float:
        """Estimate of the balanced risk."""
        return (self.retain + self.forget) / 2

    @property
    def upper(self) -> float:
        """Upper confidence bound on the balanced risk, hence on the excess risk."""
        return (self.retain_upper + self.forget) / 2


def pair_means(
    losses: Float[Tensor, " tokens"], offsets: Float[Tensor, " pairs_plus_one"]
) -> Float[Tensor, " pairs"]:
    """Mean of each pair's tokens: pairs are independent, their tokens are not.

    >>> pair_means(torch.tensor([1.0, 3.0, 5.0]), torch.tensor([0, 2, 3])).tolist()
    [2.0, 5.0]
    """
    lengths = offsets[1:] - offsets[:-1]
    owner = torch.repeat_interleave(torch.arange(len(lengths), device=losses.device), lengths)
    total = torch.zeros(len(lengths), dtype=torch.float64, device=losses.device)
    return total.index_add(0, owner, losses.to(torch.float64)) / lengths


def head_risk(
    head: LowRankHead, heldout_retain: Features, forget: Features, confidence: float = 0.95
) -> HeadRisk:
    """The head's balanced risk; `heldout_retain` must not have been trained on."""
    # log(1+e^{−ℓ}) of f clipped to [ε, 1−ε] is the loss clipped to [−log(1−ε), −log ε].
    low, high = -math.log1p(-LEAST_F), -math.log(LEAST_F)
    retain, forgotten = (
        pair_means(losses.clamp(low, high), features.offsets).cpu().numpy()
        for losses, features in zip(
            class_losses(head, heldout_retain, forget), (heldout_retain, forget), strict=True
        )
    )
    upper = heldout_risk_upper_bound(retain, confidence, upper=high)
    return HeadRisk(float(retain.mean()), upper, float(forgotten.mean()), confidence)


@dataclass(frozen=True)
class Calibration:
    """Predicted against observed retain frequency at equal class weights, by bins of f.

    Attributes:
        predicted, observed, weight: one entry a bin that is not empty; weights sum to 1.
    """

    predicted: list[float]
    observed: list[float]
    weight: list[float]

    @property
    def error(self) -> float:
        """Expected calibration error: Σ weight · |predicted − observed|, in [0, 1]."""
        parts = zip(self.predicted, self.observed, self.weight, strict=True)
        return sum(w * abs(p - o) for p, o, w in parts)


def calibration(
    head: LowRankHead, heldout_retain: Features, forget: Features, bins: int = 10
) -> Calibration:
    """How well f(z) is P(retain | z) when both classes weigh the same."""
    if bins < 1:
        raise AssumptionError("bins", "must be at least 1", bins)
    retain_loss, forget_loss = (x.double() for x in class_losses(head, heldout_retain, forget))
    f = torch.cat([torch.exp(-retain_loss), -torch.expm1(-forget_loss)])
    label = torch.cat([torch.ones_like(retain_loss), torch.zeros_like(forget_loss)])
    weight = torch.cat([torch.full_like(x, 0.5 / len(x)) for x in (retain_loss, forget_loss)])
    place = (f * bins).long().clamp(max=bins - 1)
    sums = [
        torch.zeros(bins, dtype=torch.float64, device=f.device).index_add(0, place, weight * x)
        for x in (torch.ones_like(f), f, label)
    ]
    some = sums[0] > 0
    mass = sums[0][some]
    return Calibration(
        (sums[1][some] / mass).tolist(), (sums[2][some] / mass).tolist(), mass.tolist()
    )
