"""The same fact asked in another way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from llm.encoding import Encoded, encode_pair

__all__ = ["ASK", "reformatted"]

Row = Mapping[str, Any]


def reformatted(tokenizer: Any, question: str, answer: str) -> Encoded:
    """The pair under `Q: …`/`A:`, a prompt that no training pair had.

    A chat template stays, and the form is within the user's message.
    """
    prompt = f"Q: {question}\nA:"
    if getattr(tokenizer, "chat_template", None):
        return encode_pair(tokenizer, prompt, answer)
    before = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
    start = before + list(tokenizer(prompt, add_special_tokens=False)["input_ids"])
    body = tokenizer(f" {answer}", add_special_tokens=False)["input_ids"]
    return Encoded([*start, *body, tokenizer.eos_token_id], len(start))


def _plain(tokenizer: Any, row: Row, answer: str) -> Encoded:
    return encode_pair(tokenizer, row["question"], answer)


def _paraphrase(tokenizer: Any, row: Row, answer: str) -> Encoded:
    return encode_pair(tokenizer, row.get("paraphrased_question", row["question"]), answer)


def _format(tokenizer: Any, row: Row, answer: str) -> Encoded:
    return reformatted(tokenizer, row["question"], answer)


ASK: dict[str, Callable[[Any, Row, str], Encoded]] = {
    "none": _plain,
    "paraphrase": _paraphrase,
    "format": _format,
}
"""Attack -> (tokenizer, row, answer) as token ids. Rows without a paraphrase keep their question."""
