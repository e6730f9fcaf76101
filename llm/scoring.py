"""What a causal language model makes of given answers, and what it answers itself.

Works with any model of transformers whose forward returns `.logits`.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float
from rich.console import Console
from rich.progress import track
from torch import Tensor
from transformers import GenerationConfig

from llm import processes
from llm.encoding import (
    IGNORED,
    Batch,
    Encoded,
    collate,
    encode_prompt,
    length_sorted_batches,
    turn_end,
)
from t3theory.exceptions import AssumptionError, InputError

__all__ = ["RowScores", "check_fit", "end_ids", "greedy_answers", "pad_id", "plainly", "score_rows"]

T = TypeVar("T")

_LIFTED = 2**26
"""Logits lifted to float32 at a time: 256 MiB."""


class RowScores(NamedTuple):
    """One answer under a model; labels are the answer's tokens, end-of-sequence included.

    Symbols: `log_probs` in nats, natural; `matches`: whether the label is the model's argmax.
    """

    log_probs: Float[np.ndarray, " labels"]
    matches: Bool[np.ndarray, " labels"]

    @property
    def loss(self) -> float:
        """Mean cross-entropy over the labels, nats per token."""
        return float(-self.log_probs.mean())


def pad_id(tokenizer: Any) -> int:
    """The padding token's id, or the end-of-sequence token's where there is none.

    Raises:
        InputError: the tokenizer has neither.
    """
    for token in (tokenizer.pad_token_id, tokenizer.eos_token_id):
        if token is not None:
            return int(token)
    raise InputError("tokenizer: expected one with an end-of-sequence token (eos_token)")


def end_ids(model: Any, tokenizer: Any) -> list[int]:
    """The tokens that end an answer: the chat template's, the tokenizer's and the model's own.

    Raises:
        InputError: there is none, or the chat template cannot be applied.
    """
    own = model.generation_config.eos_token_id
    own = own if isinstance(own, list | tuple) else [own]
    ends = {turn_end(tokenizer), tokenizer.eos_token_id, *own}
    return sorted(ends - {None})


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """No gradients and no dropout; the model's mode is restored."""
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(training)


@contextmanager
def plainly(model: Any) -> Iterator[None]:
    """`generate` without the model's own preferences (repetition_penalty, suppress_tokens, …).

    transformers takes them for whatever a call leaves open, even beside a configuration of the
    call's own. Only how it computes is kept.
    """
    own = model.generation_config
    model.generation_config = GenerationConfig(use_cache=own.use_cache)
    try:
        yield
    finally:
        model.generation_config = own


def check_fit(model: Any, sequences: Sequence[Sequence[int]], new_tokens: int = 0) -> None:
    """Raise unless the model has all the tokens, and positions for the longest sequence.

    Raises:
        InputError: says which token, or how many positions.
    """
    config = getattr(model, "config", None)
    vocabulary = getattr(config, "vocab_size", None)
    highest = max((max(ids, default=0) for ids in sequences), default=0)
    if vocabulary is not None and highest >= vocabulary:
        raise InputError(
            f"tokenizer: gives token {highest}, expected fewer than the model's {vocabulary}; "
            "is it this model's tokenizer?"
        )
    positions = getattr(config, "max_position_embeddings", None)
    longest = max(map(len, sequences), default=0)
    if positions is not None and longest + new_tokens > positions:
        more = f" and {new_tokens} new ones" if new_tokens else ""
        raise InputError(
            f"row of {longest} tokens{more}: expected at most the model's {positions} positions"
        )


def _tracked(batches: Sequence[T], message: str | None) -> Iterable[T]:
    """The batches, with a progress bar on a terminal's standard error where there is a message."""
    if message is None or not sys.stderr.isatty():
        return batches
    return track(batches, description=message, console=Console(stderr=True), transient=True)


def _check_batch_size(batch_size: int) -> None:
    if batch_size < 1:
        raise AssumptionError("batch_size", "must be ≥ 1", batch_size)


def _in_order(batches: Sequence[Sequence[int]], results: Sequence[Sequence[T]]) -> list[T]:
    """Results of batches of indices, each where its index says."""
    flat = {
        i: result
        for batch, part in zip(batches, results, strict=True)
        for i, result in zip(batch, part, strict=True)
    }
    return [flat[i] for i in range(len(flat))]


def answer_logits(model: Any, batch: Batch) -> Float[Tensor, "batch kept vocab"]:
    """Logits from the position before the first label of any row up to the last but one."""
    keeps = "logits_to_keep" in inspect.signature(model.forward).parameters
    length = batch.labels.shape[1]
    first = int((batch.labels != IGNORED).any(dim=0).float().argmax())
    kept = length - first + 1  # the logits that predict label t stand at t − 1
    limit = {"logits_to_keep": kept} if keeps else {}
    output = model(
        input_ids=batch.input_ids, attention_mask=batch.attention_mask, use_cache=False, **limit
    )
    return output.logits[:, -kept:-1]


def _score_batch(model: Any, batch: Batch) -> list[RowScores]:
    logits = answer_logits(model, batch)
    labels = batch.labels[:, -logits.shape[1] :]
    row, column = (labels != IGNORED).nonzero(as_tuple=True)
    parts = []
    # Only label positions are lifted to float32, and not all at once: vocabularies are large.
    step = max(1, _LIFTED // logits.shape[2])
    for i, j in zip(row.split(step), column.split(step), strict=True):
        chosen, targets = logits[i, j].float(), labels[i, j]
        nats = torch.nn.functional.cross_entropy(chosen, targets, reduction="none")
        parts.append(torch.stack([-nats, (chosen.argmax(dim=-1) == targets).to(nats)]))
    scores = torch.cat(parts, dim=1).cpu().numpy()
    ends = np.cumsum(row.bincount(minlength=len(labels)).tolist())[:-1]
    return [
        RowScores(log_probs.astype(np.float64), matches > 0)
        for log_probs, matches in np.split(scores, ends, axis=1)
    ]


def score_rows(
    model: Any,
    rows: Sequence[Encoded],
    pad: int,
    batch_size: int = 32,
    message: str | None = None,
) -> list[RowScores]:
    """Each row's answer under teacher forcing, in the order of `rows`.

    Rows are batched by length (and batches shared by the processes of `accelerate launch`); logits of prompts are not computed where the model can leave
    them out. Half-precision logits are normalised in float32.

    Args:
        model: on any device; the batches go there.
        rows: from `encode_pair`.
        pad: the padding token's id.
        message: says what the progress bar is about; no bar without it.

    Raises:
        AssumptionError: `batch_size` is below 1.
        InputError: a row has tokens or positions that the model has not.
    """
    _check_batch_size(batch_size)
    check_fit(model, [row.input_ids for row in rows])
    batches = list(length_sorted_batches(rows, batch_size))
    with _evaluating(model):
        parts = [
            _score_batch(model, collate([rows[i] for i in batch], pad).to(model.device))
            for batch in _tracked(processes.share(batches), message)
        ]
    return _in_order(batches, processes.merge(parts))


def _pad_left(prompts: Sequence[list[int]], pad: int) -> tuple[Tensor, Tensor]:
    length = max(map(len, prompts))
    ids = torch.tensor([[pad] * (length - len(p)) + p for p in prompts])
    mask = torch.tensor([[0] * (length - len(p)) + [1] * len(p) for p in prompts])
    return ids, mask


def greedy_answers(
    model: Any,
    tokenizer: Any,
    questions: Sequence[str],
    batch_size: int = 32,
    max_new_tokens: int = 200,
    message: str | None = None,
    min_new_tokens: int = 0,
) -> list[str]:
    """The model's greedy answer to each question, in order, without special tokens, stripped.

    The likeliest token at every step, whatever else the model's `generation_config` asks for.
    A row ends at the first of `end_ids`, which is not said before `min_new_tokens`, or after
    `max_new_tokens`.

    Raises:
        AssumptionError: `batch_size` or `max_new_tokens` is below 1.
        InputError: a prompt has tokens that the model has not, or no room for the new ones.
    """
    if max_new_tokens < 1:
        raise AssumptionError("max_new_tokens", "must be ≥ 1", max_new_tokens)
    _check_batch_size(batch_size)
    pad, ends = pad_id(tokenizer), end_ids(model, tokenizer)
    prompts = [Encoded(encode_prompt(tokenizer, q), 0) for q in questions]
    check_fit(model, [prompt.input_ids for prompt in prompts], max_new_tokens)
    batches = list(length_sorted_batches(prompts, batch_size))
    with _evaluating(model), plainly(model):
        parts = [
            _generate(
                model,
                tokenizer,
                [prompts[i].input_ids for i in batch],
                pad,
                ends,
                (min_new_tokens, max_new_tokens),
            )
            for batch in _tracked(processes.share(batches), message)
        ]
    return _in_order(batches, processes.merge(parts))


def _generate(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[list[int]],
    pad: int,
    ends: list[int],
    new_tokens: tuple[int, int],
) -> list[str]:
    ids, mask = _pad_left(prompts, pad)
    output = model.generate(
        input_ids=ids.to(model.device),
        attention_mask=mask.to(model.device),
        do_sample=False,
        num_beams=1,
        min_new_tokens=new_tokens[0] or None,
        max_new_tokens=new_tokens[1],
        eos_token_id=ends,
        pad_token_id=pad,
    )
    said = [_until(row, ends) for row in output[:, ids.shape[1] :].tolist()]
    return [text.strip() for text in tokenizer.batch_decode(said, skip_special_tokens=True)]


def _until(row: list[int], ends: list[int]) -> list[int]:
    """The tokens before the first end: not every marker of a turn is one that decoding skips."""
    first = next((i for i, token in enumerate(row) if token in ends), len(row))
    return row[:first]
