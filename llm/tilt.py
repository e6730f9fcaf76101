"""The scores of T3 for a batch of contexts: settings, gate, and the one estimator."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from t3theory.estimator import tilted_score
from t3theory.exceptions import AssumptionError

__all__ = ["Gate", "T3Config", "forget_share", "gated_temperature", "log_sigmoid", "tilt"]

Gate = Literal["none", "hard", "soft"]

_MOST = 1e30
"""Of T, 1 / T and s: scores of single precision end at 1e38."""


@dataclass(frozen=True)
class T3Config:
    """What turns a base model and a head into an unlearned model.

    Attributes:
        temperature: T > 0, from 1e-30 to 1e30; 1 is plain classifier guidance.
        guidance_scale: s ≥ 0, at most 1e30.
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
        for name, least in (("temperature", 1 / _MOST), ("guidance_scale", 0.0)):
            value = getattr(self, name)
            if not least <= value <= _MOST:  # beyond, scores of single precision are lost
                raise AssumptionError(name, f"must lie in [{least:g}, {_MOST:g}]", value)
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
    if not _numbers_alone(log_p, log_odds):
        return (log_p - softplus(log_odds)).exp().sum(-1, keepdim=True)
    return log_p.exp().mul_(log_odds.neg().sigmoid_()).sum(-1, keepdim=True)


def gated_temperature(
    log_p: Float[Tensor, "*batch vocab"], log_odds: Float[Tensor, "*batch vocab"], config: T3Config
) -> float | Float[Tensor, "*batch 1"]:
    """T(c) of every context: the temperature itself, or by the share γ̂_c = E_{P(·|c)}[1 − f]."""
    if config.gate == "none":
        return config.temperature
    share = forget_share(log_p, log_odds)
    if config.gate == "soft":
        return 1 + (config.temperature - 1) * share
    tempered = share > config.gate_threshold
    return torch.ones_like(share).masked_fill_(tempered, config.temperature)


def tilt(
    logits: Float[Tensor, "*batch vocab"],
    log_odds: Float[Tensor, "*batch vocab"],
    config: T3Config,
    overwrite: bool = False,
) -> Float[Tensor, "*batch vocab"]:
    """Unnormalised T3 scores, float32, from the base's logits and the head's raw log-odds.

    Args:
        overwrite: whether the scores may be written over `log_odds` (float32, contiguous), if
            nobody reads those again.
    """
    if not _numbers_alone(logits, log_odds):
        log_p, odds, temperature = _parts(logits, log_odds, config)
        log_f, scale = logsigmoid(odds), config.guidance_scale
        alone = not torch.is_grad_enabled()  # then nobody else reads these
        return tilted_score(log_p, log_f, temperature, scale, overwrite=alone)
    scores = log_odds if overwrite else log_odds.to(torch.float32, copy=True).contiguous()
    for some_logits, some_odds in _blocks(logits, scores):
        log_p, odds, temperature = _parts(some_logits, some_odds, config)
        log_f = _log_sigmoid(odds, overwrite=True)
        score = tilted_score(log_p, log_f, temperature, config.guidance_scale, overwrite=True)
        if score is not some_odds:
            some_odds.copy_(score)
    return scores


def _blocks(*arrays: Float[Tensor, "*batch vocab"]) -> Iterable[tuple[Tensor, ...]]:
    """A few contexts of each after another: they fit the processor's cache, a batch does not."""
    most, vocab = _BLOCK * torch.get_num_threads(), arrays[0].shape[-1]
    if arrays[0].numel() <= most:
        return [arrays]
    parts = (x.reshape(-1, vocab).split(max(1, most // vocab)) for x in arrays)
    return zip(*parts, strict=True)


_BLOCK = 1 << 17
"""Numbers of a block for each core, half a MiB of float32, three of which stay near it."""


def _parts(
    logits: Tensor, log_odds: Tensor, config: T3Config
) -> tuple[Tensor, Tensor, float | Tensor]:
    """What the estimator joins: log p, the log-odds with their prior, T(c)."""
    log_p = torch.log_softmax(logits, dim=-1, dtype=torch.float32)
    odds = log_odds + config.log_prior_odds if config.log_prior_odds else log_odds
    return log_p, odds, gated_temperature(log_p, odds, config)


def log_sigmoid(log_odds: Float[Tensor, "*batch vocab"]) -> Float[Tensor, "*batch vocab"]:
    """log σ; where numbers alone are wanted to float32's rounding of 1, in half of torch's time.

    >>> log_sigmoid(torch.tensor([-100.0, 0.0]))
    tensor([-100.0000,   -0.6931])
    """
    if not _numbers_alone(log_odds):
        return logsigmoid(log_odds)
    return _log_sigmoid(log_odds, overwrite=False)


def _log_sigmoid(log_odds: Tensor, overwrite: bool) -> Tensor:
    """:func:`log_sigmoid` of numbers alone."""
    if log_odds.itemsize < 4 or not log_odds.numel() or not log_odds.amin() > _SMALLEST:
        return logsigmoid(log_odds)
    return (log_odds.sigmoid_() if overwrite else log_odds.sigmoid()).log_()


_SMALLEST = -80.0
"""Log-odds from which on σ is a normal number of float32: below −87 its logarithm is lost."""


def _numbers_alone(*arrays: Tensor) -> bool:
    """Whether arrays may be written over and looked into: no gradients, no device, no compiler."""
    if not all(x.is_cpu for x in arrays) or torch.compiler.is_compiling():
        return False
    return not (torch.is_grad_enabled() and any(x.requires_grad for x in arrays))
