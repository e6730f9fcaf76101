"""Train the head on cached features: gathered rows only, balanced classes, stopped by its risk.

The label of a token is retain = 1 or forget = 0 with its pair; the loss is logistic. Two
facts shape the stopping rule. A memorised forget set *is* the finite distribution p_f, so
the risk that counts is the in-sample one: loss on held-out forget pairs is least long
before forgetting works. And a risk of zero is not the aim either: where forget prompts
have no mass under the retain distribution the exact classifier is 0 for every token, which
forgets more than a retrained model would. So training stops where the in-sample balanced
risk first falls to `stop_at_risk`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import softplus

from llm.features import Features
from llm.head import Initialisation, LowRankHead
from llm.head_loss import Weighting, set_gradients
from t3theory.exceptions import AssumptionError, InputError

__all__ = [
    "Evaluation",
    "Fit",
    "HeadConfig",
    "class_losses",
    "fit_head",
]


@dataclass(frozen=True)
class HeadConfig:
    """How a head is trained.

    Attributes:
        rank: width of the head.
        learning_rate, weight_decay: of AdamW.
        steps: at most so many.
        batch_pairs: pairs of each class a step.
        stop_at_risk: stop where the in-sample balanced loss is at most this, in nats;
            None trains for all steps.
        evaluate_every: steps between two evaluations.
        evaluation_pairs: pairs of each class that the in-sample risk is measured on.
        warmup_steps: of linear warm-up of the learning rate.
        weighting: "balanced" gives both classes half of the loss (prior 1/2); "token" every
            token the same, as published (the prior is then the share of forget tokens).
        initialisation: of :class:`~llm.head.LowRankHead`.
        seed: of the initialisation and of the order of pairs.
    """

    rank: int = 20
    learning_rate: float = 1e-2
    weight_decay: float = 1e-2
    steps: int = 2000
    batch_pairs: int = 32
    stop_at_risk: float | None = 0.05
    evaluate_every: int = 10
    evaluation_pairs: int = 400
    warmup_steps: int = 0
    weighting: Weighting = "balanced"
    initialisation: Initialisation = "zero"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("rank", "steps", "batch_pairs", "evaluate_every", "evaluation_pairs"):
            if getattr(self, name) < 1:
                raise AssumptionError(name, "must be at least 1", getattr(self, name))
        if not 0 < self.learning_rate < math.inf:
            raise AssumptionError("learning_rate", "must be positive", self.learning_rate)
        for name in ("weight_decay", "warmup_steps"):
            if not 0 <= getattr(self, name) < math.inf:
                raise AssumptionError(name, "must be ≥ 0", getattr(self, name))
        if self.stop_at_risk is not None and not 0 <= self.stop_at_risk < math.inf:
            raise AssumptionError("stop_at_risk", "must be ≥ 0 and finite", self.stop_at_risk)
        if not -(2**63) <= self.seed < 2**63:
            raise AssumptionError("seed", "must fit in 64 bits", self.seed)
        if self.weighting not in ("balanced", "token"):
            raise AssumptionError("weighting", "must be 'balanced' or 'token'", self.weighting)


class Evaluation(NamedTuple):
    """Mean log-loss a token of each class after `step` steps, in nats; nan where unmeasured."""

    step: int
    retain_loss: float
    forget_loss: float
    heldout_retain_loss: float = math.nan
    heldout_forget_loss: float = math.nan

    @property
    def risk(self) -> float:
        """In-sample balanced log-loss; log 2 for a head that knows nothing."""
        return (self.retain_loss + self.forget_loss) / 2

    @property
    def heldout_risk(self) -> float:
        """Held-out balanced log-loss."""
        return (self.heldout_retain_loss + self.heldout_forget_loss) / 2


class Fit(NamedTuple):
    """A trained head and how its risk went."""

    head: LowRankHead
    history: list[Evaluation]


@torch.inference_mode()
def class_losses(
    head: LowRankHead, retain: Features, forget: Features, chunk: int = 65_536
) -> tuple[Float[Tensor, " n"], Float[Tensor, " m"]]:
    """Log-loss of every retain token and of every forget token, in nats, without prior shift."""
    out = []
    for features, sign in ((retain, -1.0), (forget, 1.0)):
        parts = []
        for first in range(0, len(features.targets), chunk):
            tokens = torch.arange(
                first, min(first + chunk, len(features.targets)), device=features.targets.device
            )
            log_odds = head.at(features.pooled(tokens), features.targets[tokens])
            parts.append(softplus(sign * log_odds))
        out.append(torch.cat(parts))
    return out[0], out[1]


class _Order:
    """Pairs in batches: every pair once an epoch, freshly shuffled, seeded."""

    def __init__(self, pairs: int, size: int, generator: torch.Generator) -> None:
        self._pairs, self._size, self._generator = pairs, size, generator
        self._left = torch.empty(0, dtype=torch.long)

    def next(self) -> Int[Tensor, " size"]:
        while len(self._left) < self._size:
            fresh = torch.randperm(self._pairs, generator=self._generator)
            self._left = torch.cat([self._left, fresh])
        batch, self._left = self._left[: self._size], self._left[self._size :]
        return batch


def _sample(features: Features, pairs: int, generator: torch.Generator) -> Features:
    if len(features) <= pairs:
        return features
    return features.select(torch.randperm(len(features), generator=generator)[:pairs])


def fit_head(
    retain: Features,
    forget: Features,
    vocab_size: int,
    config: HeadConfig | None = None,
    heldout: tuple[Features, Features] | None = None,
    on_evaluation: Callable[[Evaluation, LowRankHead], None] | None = None,
) -> Fit:
    """A head that tells the tokens of `retain` from those of `forget`.

    Args:
        retain, forget: cached features, on the device to train on.
        vocab_size: of the base.
        heldout: features of retain and of forget pairs that are not trained on; measured only.
        on_evaluation: called with each evaluation and the head as it is then (copy what you
            keep), for snapshots or progress.
    Returns:
        the head and the history of its risk; the last entry is the head's own.
    Raises:
        InputError: the two have different widths, or a target is outside the vocabulary.
        AssumptionError: training diverged at this learning rate.

    On a CPU the result depends on the arguments and on the number of threads alone: same seed,
    same head, bit for bit.
    """
    config = config or HeadConfig()
    _check(retain, forget, vocab_size)
    generator = torch.Generator().manual_seed(config.seed)
    both = (retain, forget)
    head = LowRankHead(
        retain.hidden_size, config.rank, vocab_size, config.initialisation, generator
    ).to(retain.targets.device)
    sampled = [_sample(features, config.evaluation_pairs, generator) for features in both]
    train = _training(head, both, config, generator)
    history: list[Evaluation] = []
    for step in range(config.steps + 1):
        if step % config.evaluate_every == 0 or step == config.steps:
            history.append(_evaluate(head, step, (sampled[0], sampled[1]), heldout))
            if on_evaluation is not None:
                on_evaluation(history[-1], head)
            if not math.isfinite(history[-1].risk):
                why = f"must be smaller: the risk is {history[-1].risk} after {step} steps"
                raise AssumptionError("learning_rate", why, config.learning_rate)
            if config.stop_at_risk is not None and history[-1].risk <= config.stop_at_risk:
                break
        if step < config.steps:
            next(train)
    return Fit(head.requires_grad_(False), history)


_SHARED = 1 << 16
"""Weights from which on the processor's cores share every operation of a step: AdamW's fused form
always has them share, and with few weights they wait for each other for longer than they work."""


def _training(
    head: LowRankHead,
    both: tuple[Features, Features],
    config: HeadConfig,
    generator: torch.Generator,
) -> Iterator[None]:
    """One step of AdamW each time it is asked, on the next pairs of both classes."""
    orders = [_Order(len(features), config.batch_pairs, generator) for features in both]
    optimiser = torch.optim.AdamW(
        head.parameters(),
        lr=config.learning_rate,
        weight_decay=config.weight_decay,
        fused=head.down.weight.is_cuda or head.up.weight.numel() >= _SHARED,
    )
    for step in itertools.count(1):
        for group in optimiser.param_groups:
            group["lr"] = config.learning_rate * min(1, step / (config.warmup_steps + 1))
        tokens = [f.tokens_of(order.next()) for f, order in zip(both, orders, strict=True)]
        targets = torch.cat([f.targets[t] for f, t in zip(both, tokens, strict=True)])
        set_gradients(head, _pooled(both, tokens), targets, len(tokens[0]), config.weighting)
        optimiser.step()
        yield


@torch.no_grad()
def _pooled(
    both: tuple[Features, Features], tokens: Sequence[Int[Tensor, " n"]]
) -> Float[Tensor, "m hidden"]:
    """The states of one class after those of the other, in one piece of memory."""
    sizes, states = [len(some) for some in tokens], both[0].shards[0]
    out = torch.empty((sum(sizes), states.shape[1]), dtype=states.dtype, device=states.device)
    for features, some, part in zip(both, tokens, out.split(sizes), strict=True):
        features.pooled(some, out=part)
    return out.to(torch.float32)


def _check(retain: Features, forget: Features, vocab_size: int) -> None:
    if retain.hidden_size != forget.hidden_size:
        raise InputError(
            f"features: expected one hidden size, got {retain.hidden_size} for retain and "
            f"{forget.hidden_size} for forget"
        )
    for name, features in (("retain", retain), ("forget", forget)):
        top = int(features.targets.max())
        if top >= vocab_size:
            raise InputError(f"{name} features: token {top} is outside the {vocab_size} tokens")


def _evaluate(
    head: LowRankHead,
    step: int,
    seen: tuple[Features, Features],
    heldout: tuple[Features, Features] | None,
) -> Evaluation:
    means = [float(losses.mean()) for losses in class_losses(head, *seen)]
    if heldout is not None:
        means += [float(losses.mean()) for losses in class_losses(head, *heldout)]
    return Evaluation(step, *means)
