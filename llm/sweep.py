"""Many settings of T, s, gate and head scored from one pass of the base."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import PreTrainedModel

from llm import processes
from llm.encoding import IGNORED, Encoded, collate, length_sorted_batches
from llm.head import LowRankHead, running_mean
from llm.hidden import final_hidden
from llm.scoring import RowScores, answer_logits
from llm.tilt import T3Config, forget_share, log_sigmoid
from t3theory.estimator import tilted_score

__all__ = [
    "AnswerStates",
    "answer_states",
    "setting_losses",
    "setting_matches",
    "sweep_losses",
    "sweep_scores",
]


class AnswerStates(NamedTuple):
    """The base at the positions that predict the answer tokens of some rows.

    Symbols: `logits` (tokens, vocab); `pooled`: running means of the final hidden states
    (tokens, hidden); `targets`: the answer's tokens; `rows`: the row each belongs to.
    """

    logits: Float[Tensor, "tokens vocab"]
    pooled: Float[Tensor, "tokens hidden"]
    targets: Int[Tensor, " tokens"]
    rows: Int[Tensor, " tokens"]

    def blocks(self) -> Iterator[AnswerStates]:
        """The same a few tokens at a time: 64 MiB of float32 for what each needs of the vocabulary."""
        step = max(1, (1 << 24) // self.logits.shape[1])
        for parts in zip(*(x.split(step) for x in self), strict=True):
            yield AnswerStates(*parts)


def answer_states(
    base: PreTrainedModel, rows: Sequence[Encoded], batch_size: int, shared: bool = False
) -> Iterator[AnswerStates]:
    """The states of all rows, batch by batch, longest rows first.

    Args:
        shared: only the batches of this process of `accelerate launch`.
    """
    batches = list(length_sorted_batches(rows, batch_size))
    for chosen in processes.share(batches) if shared else batches:
        batch = collate([rows[i] for i in chosen], pad_id=0).to(base.device)
        with torch.inference_mode(), final_hidden(base) as found:
            logits = answer_logits(base, batch)
        kept = logits.shape[1]
        pooled = running_mean(found[-1], batch.attention_mask)[:, -kept - 1 : -1]
        labels = batch.labels[:, -kept:]
        row, place = (labels != IGNORED).nonzero(as_tuple=True)
        owner = torch.tensor(chosen, device=base.device)[row]
        yield AnswerStates(logits[row, place], pooled[row, place], labels[row, place], owner)


def sweep_losses(
    base: PreTrainedModel,
    rows: Sequence[Encoded],
    settings: Sequence[tuple[str, T3Config]],
    heads: Mapping[str, LowRankHead],
    batch_size: int = 32,
) -> Float[np.ndarray, "settings rows"]:
    """Mean loss of each row's answer, nats a token, under each setting.

    Args:
        settings: (name of a head, how to decode with it).
    """
    total = np.zeros((len(settings), len(rows)))
    count = np.zeros(len(rows))
    places = {name: [i for i, (n, _) in enumerate(settings) if n == name] for name in heads}
    for states in answer_states(base, rows, batch_size):
        owner = states.rows.cpu().numpy()
        np.add.at(count, owner, 1)
        for name, head in heads.items():
            configs = [settings[i][1] for i in places[name]]
            if configs:
                losses = setting_losses(states.logits, head(states.pooled), states.targets, configs)
                for i, row in zip(places[name], losses.cpu().numpy(), strict=True):
                    np.add.at(total[i], owner, row)
    return total / count


def sweep_scores(
    base: PreTrainedModel,
    rows: Sequence[Encoded],
    head: LowRankHead,
    configs: Sequence[T3Config],
    batch_size: int = 32,
) -> list[list[RowScores]]:
    """What each setting makes of each row's answer, from one pass of the base: settings, then rows.

    The processes of `accelerate launch` share the batches, and get the same.
    """
    batches = answer_states(base, rows, batch_size, shared=True)
    parts = processes.merge([_scores_of(states, head, configs) for states in batches])
    found: list[list[Any]] = [[None] * len(rows) for _ in configs]
    for owner, log_probs, matches in parts:
        ends = np.flatnonzero(np.diff(owner, append=-1)) + 1  # a row's tokens stand together
        for start, end in zip(np.append(0, ends[:-1]), ends, strict=True):
            for i, scores in enumerate(found):
                scores[owner[start]] = RowScores(log_probs[i, start:end], matches[i, start:end])
    return found


def _scores_of(
    states: AnswerStates, head: LowRankHead, configs: Sequence[T3Config]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each token of a batch: its row, and under each setting its log-probability and match."""
    losses, matches = [], []
    for block in states.blocks():
        args = (block.logits, head(block.pooled), block.targets, configs)
        losses.append(setting_losses(*args).cpu())
        matches.append(setting_matches(*args).cpu())
    log_probs, hits = (torch.cat(x, dim=1).numpy() for x in (losses, matches))
    return states.rows.cpu().numpy(), -log_probs, hits


_ON_CPU, _ELSEWHERE = 1 << 16, 1 << 25
"""Numbers at a time: on a CPU what its cache holds, elsewhere what memory is sure to hold."""


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
    odds = log_odds.gather(1, targets[:, None])
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
    step = max(1, (_ON_CPU if logits.device.type == "cpu" else _ELSEWHERE) // logits.shape[1])
    parts: list[_Found] = []
    for some in zip(logits.split(step), log_odds.split(step), targets.split(step), strict=True):
        block = _Block(*some, priors)
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
        self, logits: Tensor, log_odds: Tensor, targets: Tensor, priors: Iterable[float]
    ) -> None:
        self._log_p = torch.log_softmax(logits, dim=-1, dtype=torch.float32)
        self._log_odds, self._targets = log_odds, targets
        self._lowest = float(log_odds.amin()) if log_odds.numel() else 0.0
        self._known: dict[tuple[Any, ...], Tensor] = {}
        self.of_target = self._log_p.gather(1, targets[:, None])
        self.shares = {prior: forget_share(self._log_p, log_odds + prior) for prior in priors}

    def normaliser(self, cell: _Cell) -> Tensor:
        """log Σ_v p(v)^{1/T} f(v)^s, by logarithms where products might underflow."""
        _, scale, prior, soft = cell
        if not self._least(cell) > _LEAST:
            return self._scores(cell).logsumexp(-1)
        weight = self._once(("weight", scale, prior), lambda: self._weight(scale, prior))
        if soft:
            return self._power(cell).mul_(weight).sum(-1).log_()
        power = self._once(("power", cell.temperature), lambda: self._power(cell))
        return (power * weight).sum(-1).log_()

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

    def _power(self, cell: _Cell) -> Tensor:
        return (self._log_p / _heat(cell, self.shares)).exp_()

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
