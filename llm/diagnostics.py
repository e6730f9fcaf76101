"""What is known of a head from data: its risk with a confidence bound, calibration, forget shares.

The two classes are not alike. Retain pairs stand for a distribution: pairs that the head was
not trained on give an upper confidence bound on its risk there. A memorised forget set is
the distribution: its mean loss is the risk itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from llm.features import Features
from llm.fit_head import class_losses
from llm.head import LowRankHead
from t3theory.exceptions import AssumptionError
from t3theory.samples import heldout_risk_upper_bound

__all__ = [
    "Calibration",
    "HeadRisk",
    "calibration",
    "head_risk",
    "pair_means",
    "retain_error",
    "share_quantiles",
]

LEAST_F = 1e-4
"""On retain pairs losses count as if f were at least this, 9.2 nats at most: a sample bounds the
mean of what is bounded, and of nothing else."""


@dataclass(frozen=True)
class HeadRisk:
    """Balanced log-loss of a head, in nats a token.

    It bounds the excess risk δ at prior 1/2 from above, by the Bayes risk that it includes: that
    of the head with f at least `LEAST_F` on retained text, which is the head itself wherever no
    retained token is held that unlikely.

    Attributes:
        retain: mean over held-out retain pairs of their mean loss a token, so clipped.
        retain_upper: upper confidence bound on its expectation.
        forget: mean over all forget pairs, not clipped: they are all there are.
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
    lengths = (offsets[1:] - offsets[:-1]).to(losses.device)
    owner = torch.repeat_interleave(lengths)
    total = torch.zeros(len(lengths), dtype=torch.float64, device=losses.device)
    return total.index_add(0, owner, losses.to(torch.float64)) / lengths


def head_risk(
    head: LowRankHead, heldout_retain: Features, forget: Features, confidence: float = 0.95
) -> HeadRisk:
    """The head's balanced risk; `heldout_retain` must not have been trained on."""
    most = -math.log(LEAST_F)
    kept, lost = class_losses(head, heldout_retain, forget)
    retain = pair_means(kept.clamp(max=most), heldout_retain.offsets).cpu().numpy()
    forgotten = pair_means(lost, forget.offsets).cpu().numpy()
    upper = heldout_risk_upper_bound(retain, confidence, upper=most)
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


def retain_error(cost: float, shares: Float[Tensor, " tokens"]) -> dict[str, float]:
    """Between what the retain error KL(P_r‖P̂) a token must lie, from what held-out pairs show.

    The rise of their loss estimates KL(P_r‖P̂) − KL(P_r‖P). In a context of forget share γ_c,
    0 ≤ KL(P_r‖P) ≤ −log(1−γ_c): equal where no token is both to retain and to forget (L, N).

    Args:
        cost: the rise of the mean loss on held-out retain pairs, nats a token.
        shares: γ̂_c in [0, 1) of their answer positions.

    >>> retain_error(0.5, torch.tensor([0.0, 0.0]))
    {'at_least': 0.5, 'at_most': 0.5}
    """
    known = -torch.log1p(-shares.double().clamp(max=1 - 1e-16)).mean()
    return {"at_least": max(cost, 0.0), "at_most": max(cost + float(known), 0.0)}


def share_quantiles(shares: Float[Tensor, " tokens"]) -> dict[str, float]:
    """How γ̂_c is spread over contexts: quantiles at a tenth, a half, nine tenths, and the greatest.

    >>> share_quantiles(torch.tensor([0.0, 0.25, 1.0]))["0.5"]
    0.25
    """
    at = (0.1, 0.5, 0.9, 1.0)
    found = np.quantile(shares.double().cpu().numpy(), at)
    return {f"{q:g}": float(x) for q, x in zip(at, found, strict=True)}
