"""From question/answer pairs to token ids and batches, the same way everywhere.

    prompt                          answer
    [bos] Question: …\\nAnswer:      … [eos]

A tokenizer with a chat template uses it for the prompt. The answer's label tokens end
with the end-of-sequence token, as in TOFU.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Int
from jinja2 import TemplateError
from torch import Tensor

from t3theory.exceptions import InputError

__all__ = ["Batch", "Encoded", "collate", "encode_pair", "encode_prompt", "length_sorted_batches"]

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


def encode_prompt(tokenizer: Any, question: str) -> list[int]:
    """Token ids of the prompt that asks `question`, ready for generation.

    Raises:
        InputError: the tokenizer's chat template does not take a lone question.
    """
    if getattr(tokenizer, "chat_template", None):
        message = [{"role": "user", "content": question}]
        try:
            return list(
                tokenizer.apply_chat_template(
                    message, add_generation_prompt=True, tokenize=True, return_dict=False
                )
            )
        except (TemplateError, TypeError, ValueError) as error:
            raise InputError(
                "tokenizer: expected a chat template that takes one message of the user's; "
                f"{str(error).splitlines()[0]}"
            ) from error
    ids = tokenizer(f"Question: {question}\nAnswer:", add_special_tokens=False)["input_ids"]
    start = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    return start + list(ids)


def encode_pair(
    tokenizer: Any, question: str, answer: str, max_length: int | None = None
) -> Encoded:
    """The pair as one sequence, prompt, answer, end-of-sequence token.

    Raises:
        InputError: the tokenizer has no end-of-sequence token, or the sequence is longer
            than `max_length` tokens.
    """
    if tokenizer.eos_token_id is None:
        raise InputError("tokenizer: expected one with an end-of-sequence token (eos_token)")
    prompt = encode_prompt(tokenizer, question)
    gap = "" if getattr(tokenizer, "chat_template", None) else " "
    body = tokenizer(gap + answer, add_special_tokens=False)["input_ids"]
    ids = prompt + list(body) + [tokenizer.eos_token_id]
    if max_length is not None and len(ids) > max_length:
        raise InputError(
            f"pair of {len(ids)} tokens: expected at most {max_length} (question {question[:60]!r})"
        )
    return Encoded(ids, len(prompt))


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


def length_sorted_batches(rows: Sequence[Encoded], batch_size: int) -> Iterator[list[int]]:
    """Indices of `rows` in batches of similar length, longest first (so that memory fails early)."""
    order = sorted(range(len(rows)), key=lambda i: -len(rows[i].input_ids))
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]
