"""Pairs of the user's own: read and checked before anything heavy is loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from t3theory.exceptions import InputError
from t3theory.json_lines import json_lines

__all__ = ["Pair", "check_disjoint", "named_content", "read_pairs", "words_of"]

FIELDS = (("question", "answer"), ("prompt", "completion"))
_READ = {name for names in FIELDS for name in names}


class Pair(NamedTuple):
    """What is asked and what is answered; or, `raw`, a text and how it goes on."""

    prompt: str
    answer: str
    raw: bool = False


def read_pairs(path: str | Path, unread: set[str] | None = None) -> list[Pair]:
    """The pairs of a JSON Lines file: "question" and "answer", or "prompt" and "completion" (raw).

    Args:
        unread: gets the names of all other fields.
    Raises:
        InputError: the file is missing or empty, or a line is not such a pair; names the line.
    """
    pairs = []
    for place, row in json_lines(path):
        pairs.append(_pair(row, place))
        if unread is not None and isinstance(row, dict):
            unread |= row.keys() - _READ
    if not pairs:
        raise InputError(f"{path}: expected at least one pair, got an empty file")
    return pairs


def named_content(path: str | Path) -> dict[str, str]:
    """A file by its name and what is in it: {"name", "sha256"}, as `sha256sum` prints it."""
    path = Path(path)
    return {"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def _pair(row: object, place: str) -> Pair:
    for names in FIELDS:
        if isinstance(row, dict) and all(isinstance(row.get(name), str) for name in names):
            pair = Pair(row[names[0]], row[names[1]], names == FIELDS[1])
            if not pair.answer.strip():
                raise InputError(f"{place}: {names[1]!r} is empty, expected an answer")
            return pair
    raise InputError(
        f"{place}: expected the texts 'question' and 'answer', or 'prompt' and 'completion'"
    )


def words_of(prompt: str, answer: str) -> tuple[str, str]:
    """What makes two pairs the same: their words, however they are spaced."""
    return " ".join(prompt.split()), " ".join(answer.split())


def check_disjoint(forget: Sequence[Pair], retain: Sequence[Pair]) -> None:
    """Raise if a pair is to be both forgotten and retained, however it is spaced; names the first."""
    kept = {words_of(*pair[:2]): i for i, pair in reversed(list(enumerate(retain, 1)))}
    for i, pair in enumerate(forget, 1):
        if (same := kept.get(words_of(*pair[:2]))) is not None:
            raise InputError(
                f"forget pair {i} is also retain pair {same} ({pair.prompt[:60]!r}); "
                "expected two sets with nothing in common"
            )
