"""Many settings of T, s, gate and head scored from one pass of the base."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import cross_entropy
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


_ON_CPU, _ELSEWHERE = 1 << 17, 1 << 26
"""Numbers at a time: on a CPU what its cache holds, elsewhere what memory is sure to hold."""


def setting_losses(
    logits: Float[Tensor, "tokens vocab"],
    log_odds: Float[Tensor, "tokens vocab"],
    targets: Int[Tensor, " tokens"],
    configs: Sequence[T3Config],
) -> Float[Tensor, "settings tokens"]:
    """Loss of each target under each setting, nats.

    The base's log-softmax and log f are taken once; each distinct (T, s, prior) then needs a
    softmax of its own, and a hard gate none: it chooses, in each context, between two of them.

    >>> grid = [T3Config(temperature=2.0, gate=gate) for gate in ("none", "hard")]
    >>> logits, zero = torch.tensor([[0.0, 2.0]]), torch.zeros(1, 2)
    >>> losses = setting_losses(logits, zero, torch.tensor([1]), grid)
    >>> bool(losses[0] > losses[1])
    True
    """
    return _in_blocks(logits, log_odds, targets, lambda block: list(map(block.loss, configs)))


def setting_matches(
    logits: Float[Tensor, "tokens vocab"],
    log_odds: Float[Tensor, "tokens vocab"],
    targets: Int[Tensor, " tokens"],
    configs: Sequence[T3Config],
) -> Bool[Tensor, "settings tokens"]:
    """Whether each target is the likeliest token under each setting.

    Which token that is depends on s·T and the prior alone where nothing is gated.
    """
    return _in_blocks(logits, log_odds, targets, lambda block: list(map(block.match, configs)))


@torch.inference_mode()
def _in_blocks(
    logits: Tensor, log_odds: Tensor, targets: Tensor, measure: Callable[[_Block], list[Tensor]]
) -> Tensor:
    step = max(1, (_ON_CPU if logits.device.type == "cpu" else _ELSEWHERE) // logits.shape[1])
    some = zip(logits.split(step), log_odds.split(step), targets.split(step), strict=True)
    return torch.cat([torch.stack(measure(_Block(*parts))) for parts in some], dim=1)


class _Block:
    """A few contexts, and what settings have in common there."""

    def __init__(self, logits: Tensor, log_odds: Tensor, targets: Tensor) -> None:
        self._log_p = torch.log_softmax(logits.to(torch.float32), dim=-1)
        self._log_odds, self._targets = log_odds, targets
        self._log_f: dict[float, Tensor] = {}
        self._shares: dict[float, Tensor] = {}
        self._losses: dict[tuple[float, float, float], Tensor] = {}
        self._matches: dict[tuple[float, float], Tensor] = {}

    def loss(self, config: T3Config) -> Tensor:
        """Cross-entropy of the targets, nats."""
        return self._gated(config, self._uniform, self._loss)

    def match(self, config: T3Config) -> Tensor:
        """Whether the target is the argmax."""
        return self._gated(config, self._uniform_match, self._match)

    def _gated(self, config: T3Config, uniform: _Measure, softly: _Measure) -> Tensor:
        prior, scale = config.log_prior_odds, config.guidance_scale
        if config.gate == "none":
            return uniform(config.temperature, scale, prior)
        share = self._share(prior)
        if config.gate == "hard":
            tempered, plain = (uniform(t, scale, prior) for t in (config.temperature, 1.0))
            return torch.where(share[:, 0] > config.gate_threshold, tempered, plain)
        return softly(1 + (config.temperature - 1) * share, scale, prior)

    def _share(self, prior: float) -> Tensor:
        if prior not in self._shares:
            self._shares[prior] = forget_share(self._log_p, self._log_odds + prior)
        return self._shares[prior]

    def _uniform(self, temperature: float, scale: float, prior: float) -> Tensor:
        key = (temperature, scale, prior)
        if key not in self._losses:
            self._losses[key] = self._loss(temperature, scale, prior)
        return self._losses[key]

    def _uniform_match(self, temperature: float, scale: float, prior: float) -> Tensor:
        key = (temperature * scale, prior)
        if key not in self._matches:
            self._matches[key] = self._match(temperature, scale, prior)
        return self._matches[key]

    def _loss(self, temperature: float | Tensor, scale: float, prior: float) -> Tensor:
        scores = self._scores(temperature, scale, prior)
        return cross_entropy(scores, self._targets, reduction="none")

    def _match(self, temperature: float | Tensor, scale: float, prior: float) -> Tensor:
        return self._scores(temperature, scale, prior).argmax(-1) == self._targets

    def _scores(self, temperature: float | Tensor, scale: float, prior: float) -> Tensor:
        if prior not in self._log_f:
            self._log_f[prior] = log_sigmoid(self._log_odds + prior)
        return tilted_score(self._log_p, self._log_f[prior], temperature, scale)


_Measure = Callable[[Any, float, float], Tensor]
"""Of a temperature, a scale and a prior."""
