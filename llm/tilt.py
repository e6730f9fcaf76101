"""The scores of T3 for a batch of contexts: settings, gate, and the one estimator."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid

from t3theory.estimator import tilted_score
from t3theory.exceptions import AssumptionError

__all__ = ["Gate", "T3Config", "forget_share", "gated_temperature", "tilt"]

Gate = Literal["none", "hard", "soft"]


@dataclass(frozen=True)
class T3Config:
    """What turns a base model and a head into an unlearned model.

    Attributes:
        temperature: T > 0; 1 is plain classifier guidance.
        guidance_scale: s ≥ 0.
        log_prior_odds: added to the head's log-odds (statement M): log (1−γ)/γ for a head
            trained on balanced classes and a forget share γ.
        gate: "none" tempers everywhere; "hard" where the context's forget share γ̂ exceeds
            `gate_threshold`; "soft" with 1 + (T−1)γ̂ (statement N).
        gate_threshold: in [0, 1].

    >>> T3Config(temperature=0.0)
    Traceback (most recent call last):
    t3theory.exceptions.AssumptionError: temperature must be positive and finite, got 0.0
    """

    temperature: float = 2.5
    guidance_scale: float = 1.0
    log_prior_odds: float = 0.0
    gate: Gate = "none"
    gate_threshold: float = 0.5

    def __post_init__(self) -> None:
        infinite = float("inf")
        for name in ("temperature", "guidance_scale", "log_prior_odds", "gate_threshold"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Real):
                raise AssumptionError(name, "must be a number", value)
            object.__setattr__(self, name, float(value))  # NumPy's too: JSON holds plain ones
        if not 0 < self.temperature < infinite:
            raise AssumptionError("temperature", "must be positive and finite", self.temperature)
        if not 0 <= self.guidance_scale < infinite:
            raise AssumptionError("guidance_scale", "must be ≥ 0 and finite", self.guidance_scale)
        if not abs(self.log_prior_odds) < infinite:
            raise AssumptionError("log_prior_odds", "must be finite", self.log_prior_odds)
        if self.gate not in ("none", "hard", "soft"):
            raise AssumptionError("gate", "must be 'none', 'hard' or 'soft'", self.gate)
        if not 0 <= self.gate_threshold <= 1:
            raise AssumptionError("gate_threshold", "must lie in [0, 1]", self.gate_threshold)


def forget_share(
    log_p: Float[Tensor, "*batch vocab"], log_odds: Float[Tensor, "*batch vocab"]
) -> Float[Tensor, "*batch 1"]:
    """γ̂_c = E_{P(·|c)}[1 − f] of every context, in [0, 1].

    >>> float(forget_share(torch.tensor([0.25, 0.75]).log(), torch.zeros(2)))
    0.5
    """
    return (log_p.exp() * torch.sigmoid(-log_odds)).sum(-1, keepdim=True)


def gated_temperature(
    log_p: Float[Tensor, "*batch vocab"], log_odds: Float[Tensor, "*batch vocab"], config: T3Config
) -> float | Float[Tensor, "*batch 1"]:
    """T(c) of every context: the temperature itself, or by the share γ̂_c = E_{P(·|c)}[1 − f]."""
    if config.gate == "none":
        return config.temperature
    share = forget_share(log_p, log_odds)
    if config.gate == "soft":
        return 1 + (config.temperature - 1) * share
    one = torch.ones_like(share)
    return torch.where(share > config.gate_threshold, config.temperature * one, one)


def tilt(
    logits: Float[Tensor, "*batch vocab"], log_odds: Float[Tensor, "*batch vocab"], config: T3Config
) -> Float[Tensor, "*batch vocab"]:
    """Unnormalised T3 scores, float32, from the base's logits and the head's raw log-odds."""
    wanted = torch.is_grad_enabled() and (logits.requires_grad or log_odds.requires_grad)
    if wanted or logits.device.type != "cpu" or torch.compiler.is_compiling():
        return _tilt(logits, log_odds, config)
    # A few contexts after another: they fit the processor's cache, a batch of them does not.
    vocab = logits.shape[-1]
    scores = torch.empty(logits.shape, dtype=torch.float32)
    step = max(1, _BLOCK // vocab)
    blocks = (x.reshape(-1, vocab).split(step) for x in (scores, logits, log_odds))
    for out, some_logits, some_odds in zip(*blocks, strict=True):
        out.copy_(_tilt(some_logits, some_odds, config))
    return scores


_BLOCK = 1 << 18
"""Numbers of a block, 1 MiB of float32: 65,536 cost a seventh more of calls, 524,288 twice the time."""


def _tilt(logits: Tensor, log_odds: Tensor, config: T3Config) -> Tensor:
    log_p = torch.log_softmax(logits.to(torch.float32), dim=-1)
    odds = log_odds + config.log_prior_odds if config.log_prior_odds else log_odds
    temperature = gated_temperature(log_p, odds, config)
    return tilted_score(log_p, logsigmoid(odds), temperature, config.guidance_scale)
