"""The pools, sentences and pairs that mini-TOFU is built from, read from `words.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["POOLS", "REAL_AUTHORS", "TOPICS", "WORLD_FACTS", "Topic"]


class Topic(NamedTuple):
    """One thing to ask of an author: sentences with `{name}`, `{x}`, `{y}`; x, y name pools."""

    x: str
    y: str
    questions: tuple[str, ...]
    answers: tuple[str, ...]


_WORDS: dict[str, Any] = tomllib.loads(
    Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
)
_PARTS: dict[str, list[str]] = _WORDS["parts"]


def _products(pattern: str, first: Sequence[str], second: Sequence[str]) -> tuple[str, ...]:
    return tuple(pattern.format(a, b) for a in first for b in second)


POOLS: dict[str, tuple[str, ...]] = {
    "person": _products("{} {}", _PARTS["given"], _PARTS["family"]),
    "place": _products("{}{}", _PARTS["place_head"], _PARTS["place_tail"]),
    "title": _products("The {} {}", _PARTS["adjective"], _PARTS["noun"]),
    "prize": _products("the {} {} Prize", _PARTS["family"], _PARTS["prize"]),
    "date": _products("{} {}", [str(day) for day in range(1, 29)], _PARTS["months"]),
    "year": tuple(str(year) for year in range(1931, 1996)),
} | {kind: tuple(facts) for kind, facts in _WORDS["facts"].items()}
"""What each kind of fact is drawn from."""

TOPICS = tuple(
    Topic(t["x"], t["y"], tuple(t["questions"]), tuple(t["answers"])) for t in _WORDS["topics"]
)

REAL_AUTHORS = tuple((f"Who wrote {work}?", name) for work, name in _WORDS["real_authors"].items())
"""Question and answer about real authors."""

WORLD_FACTS = tuple(
    (f"What is the capital of {country}?", capital)
    for country, capital in _WORDS["world_facts"].items()
)
"""Question and answer about the world."""
