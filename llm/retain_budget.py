"""Temperature and gate without a retain model: what the user's own pairs can tell.

The rule and its reasons are in docs/design/selection.md. In short: the forget error falls
with T as h^{1/T}; what T costs is seen on retain pairs that the head was not trained on, as
the rise of their loss, which estimates KL(P_r‖P̂) − KL(P_r‖P) a token. So take what forgets
most among the candidates whose cost is within the budget.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy.stats import t as student
from torch import Tensor

from llm import processes
from llm.encoding import Encoded
from llm.head import LowRankHead
from llm.setting_scores import setting_losses
from llm.sweep import AnswerStates, answer_states
from llm.tilt import T3Config, forget_share
from t3theory.exceptions import AssumptionError

__all__ = ["CANDIDATES", "Candidate", "PairLosses", "choose", "margin", "pair_losses"]

CANDIDATES = (
    T3Config(temperature=1.0, gate="none"),
    *(T3Config(temperature=t, gate=g) for t in (1.5, 2.0, 2.5) for g in ("hard", "soft", "none")),
)
"""What `t3 unlearn` chooses from."""


@dataclass(frozen=True)
class PairLosses:
    """Mean loss a token of every pair, in nats, and forget shares of every context.

    Attributes:
        base: under the base, (pairs,).
        tilted: under each configuration, (configurations, pairs).
        shares: γ̂_c at every answer position, all pairs together, (tokens,).
    """

    base: Float[Tensor, " pairs"]
    tilted: Float[Tensor, "configurations pairs"]
    shares: Float[Tensor, " tokens"]


@torch.inference_mode()
def pair_losses(
    base: Any,
    head: LowRankHead,
    rows: Sequence[Encoded],
    configs: Sequence[T3Config],
    batch_size: int = 16,
) -> PairLosses:
    """Losses of pairs under any number of configurations, from one pass of the base.

    The processes of `accelerate launch` share the batches, and get the same.
    """
    # The base alone is one more setting: T = 1, s = 0.
    settings = (T3Config(temperature=1.0, guidance_scale=0.0), *configs)
    total = torch.zeros(len(settings), len(rows), dtype=torch.float64)
    count = torch.zeros(len(rows), dtype=torch.float64)
    batches = answer_states(base, rows, batch_size, shared=True)
    parts = processes.merge([_of_batch(states, head, settings) for states in batches])
    for owner, losses, _ in parts:
        count.index_add_(0, owner, torch.ones(len(owner), dtype=torch.float64))
        total.index_add_(1, owner, losses)
    means = total / count
    return PairLosses(means[0], means[1:], torch.cat([shares for _, _, shares in parts]))


def _of_batch(
    states: AnswerStates, head: LowRankHead, settings: Sequence[T3Config]
) -> tuple[Tensor, Tensor, Tensor]:
    """Of each token: its row, its loss under each setting (settings, tokens), and γ̂_c."""
    losses, shares = [], []
    for block in states.blocks():
        log_p = torch.log_softmax(block.logits.to(torch.float32), dim=-1)
        log_odds = head(block.pooled)
        shares.append(forget_share(log_p, log_odds)[:, 0].cpu())
        losses.append(setting_losses(log_p, log_odds, block.targets, settings).cpu().double())
    return states.rows.cpu(), torch.cat(losses, dim=1), torch.cat(shares)


@dataclass(frozen=True)
class Candidate:
    """A configuration and what it does to the pairs at hand.

    Attributes:
        retain_cost: rise of the mean loss a token on held-out retain pairs, nats.
        forget_loss: mean loss a token on forget pairs, nats.
        retain_margin: half of the cost's 95 % t interval over pairs; None where there is one pair.
    """

    config: T3Config
    retain_cost: float
    forget_loss: float
    retain_margin: float | None = None


def margin(rises: Float[np.ndarray, " pairs"]) -> float | None:
    """Half of the 95 % t interval of a mean over pairs; None for a single one.

    >>> round(margin(np.array([0.0, 2.0])), 3), margin(np.array([1.0]))
    (12.706, None)
    """
    if len(rises) < 2:
        return None
    spread = float(np.std(rises, ddof=1)) / math.sqrt(len(rises))
    return spread * float(student.ppf(0.975, len(rises) - 1))


def choose(candidates: Sequence[Candidate], retain_budget: float = 0.1) -> Candidate:
    """The greatest loss on forget pairs within the budget; of equal ones the cheapest.

    Where nothing is within the budget, the candidate that costs least.

    Args:
        retain_budget: nats a token that held-out retain pairs may cost.

    >>> plain, gated = (T3Config(temperature=2.0, gate=gate) for gate in ("none", "hard"))
    >>> choose([Candidate(plain, 0.3, 5.1), Candidate(gated, 0.02, 5.0)]).config.gate
    'hard'
    """
    if not candidates:
        raise AssumptionError("candidates", "must be at least one", 0)
    if not retain_budget >= 0:
        raise AssumptionError("retain_budget", "must be ≥ 0", retain_budget)
    within = [c for c in candidates if c.retain_cost <= retain_budget]
    if not within:
        return min(candidates, key=lambda c: c.retain_cost)
    return max(within, key=lambda c: (c.forget_loss, -c.retain_cost))
