"""Losses and matches of the same contexts under many settings of T, s, prior and gate.

Settings have most of their work in common: powers of p, powers of f, the forget share. Here each
is computed once, a few contexts at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from llm.tilt import T3Config, forget_share, log_sigmoid
from t3theory.estimator import tilted_score

__all__ = ["setting_losses", "setting_matches"]

_ON_CPU, _ELSEWHERE = 1 << 16, 1 << 25
"""Numbers at a time: what each core's cache holds, and elsewhere what memory is sure to hold."""


@torch.inference_mode()
def setting_losses(
    logits: Float[Tensor, "tokens vocab"],
    log_odds: Float[Tensor, "tokens vocab"],
    targets: Int[Tensor, " tokens"],
    configs: Sequence[T3Config],
) -> Float[Tensor, "settings tokens"]:
    """Loss of each target under each setting, nats: log Σ_v p(v)^{1/T} f(v)^s − the target's score.

    Powers of p and of f are taken once each; each distinct (T, s, prior) then needs the sum of a
    product, and a hard gate none: it chooses, in each context, between two of them.

    >>> grid = [T3Config(temperature=2.0, gate=gate) for gate in ("none", "hard")]
    >>> logits, zero = torch.tensor([[0.0, 2.0]]), torch.zeros(1, 2)
    >>> losses = setting_losses(logits, zero, torch.tensor([1]), grid)
    >>> bool(losses[0] > losses[1])
    True
    """
    found = _in_blocks(logits, log_odds, targets, configs, _Block.normaliser)
    odds = log_odds.gather(1, targets[:, None]).to(torch.float32)
    log_f = {prior: log_sigmoid(odds + prior) for prior in {cell.prior for cell in found.cells}}
    for cell, total in found.cells.items():
        heat = _heat(cell, found.shares)
        total -= tilted_score(found.log_p, log_f[cell.prior], heat, cell.scale)[:, 0]
    return _chosen(configs, found)


@torch.inference_mode()
def setting_matches(
    logits: Float[Tensor, "tokens vocab"],
    log_odds: Float[Tensor, "tokens vocab"],
    targets: Int[Tensor, " tokens"],
    configs: Sequence[T3Config],
) -> Bool[Tensor, "settings tokens"]:
    """Whether each target is the likeliest token under each setting.

    Which token that is depends on s·T and the prior alone where nothing is gated.
    """
    return _chosen(configs, _in_blocks(logits, log_odds, targets, configs, _Block.match))


class _Cell(NamedTuple):
    """What a context's scores depend on; `soft` where T follows its forget share."""

    temperature: float
    scale: float
    prior: float
    soft: bool = False


def _cells(config: T3Config) -> tuple[_Cell, _Cell]:
    """Where the gate is open, and where it is shut; the same if it is not a hard one."""
    rest = config.guidance_scale, config.log_prior_odds
    tempered = _Cell(config.temperature, *rest, config.gate == "soft")
    return tempered, _Cell(1.0, *rest) if config.gate == "hard" else tempered


def _heat(cell: _Cell, shares: Mapping[float, Tensor]) -> float | Tensor:
    heat = cell.temperature
    return 1 + (heat - 1) * shares[cell.prior] if cell.soft else heat


class _Found(NamedTuple):
    """Of each context: what was measured of each cell, γ̂ under each prior, the target's log p."""

    cells: dict[_Cell, Tensor]
    shares: dict[float, Tensor]
    log_p: Tensor


def _in_blocks(
    logits: Tensor,
    log_odds: Tensor,
    targets: Tensor,
    configs: Sequence[T3Config],
    measure: Callable[[_Block, _Cell], Tensor],
) -> _Found:
    """A few contexts at a time, every distinct cell once."""
    cells = dict.fromkeys(cell for config in configs for cell in _cells(config))
    priors = dict.fromkeys(x.log_prior_odds for x in configs if x.gate != "none")
    vocab = logits.shape[1]
    step = max(1, (_ON_CPU * torch.get_num_threads() if logits.is_cpu else _ELSEWHERE) // vocab)
    scratch = logits.new_empty((min(step, len(logits)), vocab), dtype=torch.float32)
    parts: list[_Found] = []
    for some in zip(logits.split(step), log_odds.split(step), targets.split(step), strict=True):
        block = _Block(*some, priors, scratch)
        of_cell = {cell: measure(block, cell) for cell in cells}
        parts.append(_Found(of_cell, block.shares, block.of_target))
    return _Found(
        {cell: torch.cat([part.cells[cell] for part in parts]) for cell in cells},
        {prior: torch.cat([part.shares[prior] for part in parts]) for prior in priors},
        torch.cat([part.log_p for part in parts]),
    )


def _chosen(configs: Sequence[T3Config], found: _Found) -> Tensor:
    """Of each setting: what its gate takes in each context."""
    rows = []
    for config in configs:
        tempered, plain = (found.cells[cell] for cell in _cells(config))
        if config.gate == "hard":
            forgotten = found.shares[config.log_prior_odds][:, 0] > config.gate_threshold
            tempered = torch.where(forgotten, tempered, plain)
        rows.append(tempered)
    return torch.stack(rows)


_LEAST = -57.0
"""Logarithm of a sum that has all its digits, whatever of it underflows in single precision."""


class _Block:
    """A few contexts, and what settings have in common there."""

    def __init__(
        self,
        logits: Tensor,
        log_odds: Tensor,
        targets: Tensor,
        priors: Iterable[float],
        scratch: Float[Tensor, "contexts vocab"],
    ) -> None:
        self._log_p = torch.log_softmax(logits, dim=-1, dtype=torch.float32)
        log_odds = log_odds.to(torch.float32)
        self._log_odds, self._targets = log_odds, targets
        self._scratch = scratch[: len(logits)]
        self._lowest = float(log_odds.amin()) if log_odds.numel() else 0.0
        self._known: dict[tuple[Any, ...], Tensor] = {}
        self.of_target = self._log_p.gather(1, targets[:, None])
        self.shares = {prior: forget_share(self._log_p, log_odds + prior) for prior in priors}

    def normaliser(self, cell: _Cell) -> Tensor:
        """log Σ_v p(v)^{1/T} f(v)^s, by logarithms where products might underflow."""
        temperature, scale, prior, soft = cell
        if not self._least(cell) > _LEAST:
            return self._scores(cell).logsumexp(-1)
        weight = self._once(("weight", scale, prior), lambda: self._weight(scale, prior))
        if soft:  # a power of its own in each context, which no other cell shares
            heat = _heat(cell, self.shares)
            products = torch.div(self._log_p, heat, out=self._scratch).exp_().mul_(weight)
        else:
            key = ("power", temperature)
            power = self._once(key, lambda: (self._log_p / temperature).exp_())
            products = torch.mul(power, weight, out=self._scratch)
        return products.sum(-1).log_()

    def match(self, cell: _Cell) -> Tensor:
        """Whether the target is the argmax."""
        rule = cell if cell.soft else (cell.temperature * cell.scale, cell.prior)
        return self._once(("match", *rule), lambda: self._scores(cell).argmax(-1) == self._targets)

    def _least(self, cell: _Cell) -> float:
        """A lower bound on the normaliser: the likeliest token has p ≥ 1 / vocab."""
        odds = self._lowest + cell.prior
        log_f = min(odds, 0.0) - math.log1p(math.exp(-abs(odds)))
        heat = min(cell.temperature, 1.0) if cell.soft else cell.temperature
        return cell.scale * log_f - math.log(self._log_p.shape[1]) / heat

    def _weight(self, scale: float, prior: float) -> Tensor:
        odds = self._log_odds + prior
        return odds.sigmoid_() if scale == 1 else (scale * log_sigmoid(odds)).exp_()

    def _scores(self, cell: _Cell) -> Tensor:
        prior = cell.prior
        log_f = self._once(("log f", prior), lambda: log_sigmoid(self._log_odds + prior))
        return tilted_score(self._log_p, log_f, _heat(cell, self.shares), cell.scale)

    def _once(self, key: tuple[Any, ...], compute: Callable[[], Tensor]) -> Tensor:
        if key not in self._known:
            self._known[key] = compute()
        return self._known[key]
