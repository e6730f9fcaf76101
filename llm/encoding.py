"""From question/answer pairs to token ids and batches, the same way everywhere.

    prompt                          answer
    [bos] Question: …\\nAnswer:      … [eos]

A tokenizer with a chat template uses it for the prompt. The answer's label tokens end
with what ends a turn there, else with the end-of-sequence token, as in TOFU. A raw pair is
a text as it stands, [bos] prompt completion, with no words or tokens of ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Int
from jinja2 import TemplateError
from torch import Tensor

from t3theory.exceptions import InputError

__all__ = [
    "Batch",
    "Encoded",
    "collate",
    "encode_pair",
    "encode_prompt",
    "length_sorted_batches",
    "turn_end",
]

IGNORED = -100
"""The label that losses in PyTorch and transformers skip."""


class Encoded(NamedTuple):
    """One pair as token ids: `input_ids[prompt_length:]` are the answer's labels."""

    input_ids: list[int]
    prompt_length: int


class Batch(NamedTuple):
    """Right-padded rows; labels are −100 on prompt and padding."""

    input_ids: Int[Tensor, "batch length"]
    attention_mask: Int[Tensor, "batch length"]
    labels: Int[Tensor, "batch length"]

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""
        return Batch(*(t.to(device) for t in self))


def encode_prompt(tokenizer: Any, question: str, raw: bool = False) -> list[int]:
    """Token ids of the prompt that asks `question`, ready for generation.

    Args:
        raw: the prompt is the text itself.
    Raises:
        InputError: the tokenizer's chat template cannot be applied, or there is not one token.
    """
    if raw:
        return _plain(tokenizer, question)
    if _has_template(tokenizer):
        asked = _templated(tokenizer, [question], add_generation_prompt=True, return_dict=False)
        return list(asked)
    return _plain(tokenizer, f"Question: {question}\nAnswer:")


def _plain(tokenizer: Any, text: str) -> list[int]:
    """The text's tokens after the beginning-of-sequence token, if there is one."""
    start = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    ids = start + list(tokenizer(text, add_special_tokens=False)["input_ids"])
    if not ids:
        raise InputError(
            "prompt: expected a text, as the tokenizer begins with no token of its own"
        )
    return ids


_SAID = "An answer."


def turn_end(tokenizer: Any) -> int:
    """The token that ends an answer: what the chat template sets there, else end-of-sequence.

    Raises:
        InputError: there is neither, or the chat template cannot be applied.
    """
    if _has_template(tokenizer):
        talk = _templated(tokenizer, ["A question?", _SAID], tokenize=False)
        _, found, after = talk.rpartition(_SAID)
        markers = tokenizer.added_tokens_decoder  # tokens that plain text is never cut into
        for token in tokenizer(after if found else "", add_special_tokens=False)["input_ids"]:
            if token in markers:
                return int(token)
    if tokenizer.eos_token_id is None:
        raise InputError("tokenizer: expected one with an end-of-sequence token (eos_token)")
    return int(tokenizer.eos_token_id)


def _has_template(tokenizer: Any) -> bool:
    return bool(getattr(tokenizer, "chat_template", None))


def _templated(tokenizer: Any, turns: Sequence[str], **how: Any) -> Any:
    """A message of the user's, or that and an answer, as the chat template sets them."""
    roles, taken = ("user", "assistant"), ("one message of the user's", "a message and an answer")
    talk = [{"role": role, "content": text} for role, text in zip(roles, turns, strict=False)]
    try:
        return tokenizer.apply_chat_template(talk, **how)
    except (TemplateError, TypeError, ValueError) as error:
        raise InputError(
            f"tokenizer: expected a chat template that takes {taken[len(turns) - 1]}; "
            f"{str(error).splitlines()[0]}"
        ) from error


def encode_pair(tokenizer: Any, question: str, answer: str, raw: bool = False) -> Encoded:
    """The pair as one sequence: prompt, answer, and the token that ends an answer.

    Args:
        raw: the sequence is the text of both and nothing else. A token that stands in both
            belongs to the answer.
    Raises:
        InputError: nothing ends an answer, or the chat template cannot be applied.
    """
    prompt = encode_prompt(tokenizer, question, raw)
    if raw:
        ids = _plain(tokenizer, question + answer)
        prompt = prompt[: _common(prompt, ids)]
    else:
        gap = "" if _has_template(tokenizer) else " "
        body = tokenizer(gap + answer, add_special_tokens=False)["input_ids"]
        ids = prompt + list(body) + [turn_end(tokenizer)]
    return Encoded(ids, len(prompt))


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    """The length of the common beginning."""
    return next(
        (i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )


def collate(rows: Sequence[Encoded], pad_id: int) -> Batch:
    """Rows padded on the right to the longest, with mask and labels."""
    length = max(len(row.input_ids) for row in rows)
    input_ids = torch.full((len(rows), length), pad_id)
    attention_mask = torch.zeros((len(rows), length), dtype=torch.long)
    labels = torch.full((len(rows), length), IGNORED)
    for i, (ids, start) in enumerate(rows):
        input_ids[i, : len(ids)] = torch.tensor(ids)
        attention_mask[i, : len(ids)] = 1
        labels[i, start : len(ids)] = torch.tensor(ids[start:])
    return Batch(input_ids, attention_mask, labels)


def length_sorted_batches(
    rows: Sequence[Encoded], batch_size: int, positions: int | None = None
) -> Iterator[list[int]]:
    """Indices of `rows` in batches of similar length, longest first (so that memory fails early).

    Args:
        positions: of a padded batch, at most so many (at least one row); default any number.
    """
    order = sorted(range(len(rows)), key=lambda i: -len(rows[i].input_ids))
    start = 0
    while start < len(order):
        longest = max(1, len(rows[order[start]].input_ids))
        fit = batch_size if positions is None else max(1, positions // longest)
        stop = start + min(batch_size, fit)
        yield order[start:stop]
        start = stop
