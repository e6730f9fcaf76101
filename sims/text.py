"""Bigram models fitted to text: the families nearest to language that stay exact."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from t3theory.exceptions import InputError
from t3theory.json_lines import json_lines
from t3theory.mixture import Mixture
from t3theory.records import config_hash

__all__ = ["bigrams", "content", "generated", "read", "text_files"]

Sentences = Iterable[Sequence[Hashable]]
_RETAIN = {"forget01": "retain99", "forget05": "retain95", "forget10": "retain90"}


def bigrams(retain: Sentences, forget: Sentences, gamma: float) -> Mixture:
    """P_r and P_f of a pair of neighbouring symbols, by maximum likelihood, with exact zeros.

    Atoms are the pairs that either text has, in order of their first appearance; μ is the
    uniform distribution on them.

    Args:
        retain, forget: sentences, each a sequence of symbols (words, tokens).
        gamma: γ.
    Raises:
        InputError: a text without a pair of symbols.

    >>> m = bigrams([["a", "b", "a", "b"]], [["a", "c"]], gamma=0.1)
    >>> m.retain.round(3).tolist(), m.forget.tolist()
    ([0.667, 0.333, 0.0], [0.0, 0.0, 1.0])
    """
    counted = [
        Counter(pair for sentence in text for pair in pairwise(sentence))
        for text in (retain, forget)
    ]
    for name, counts in zip(("retain", "forget"), counted, strict=True):
        if not counts:
            raise InputError(f"{name}: expected at least two symbols in a sentence, got none")
    atoms = list(counted[0] | counted[1])
    kept, dropped = (
        np.array([counts[atom] for atom in atoms]) / counts.total() for counts in counted
    )
    return Mixture(kept, dropped, gamma, np.full(len(atoms), 1 / len(atoms)))


def text_files(text: str, split: str) -> tuple[Path, Path]:
    """The retain and the forget file of a folder in TOFU's layout.

    Raises:
        InputError: one of them is not there.
    """
    files = Path(text) / f"{_RETAIN[split]}.jsonl", Path(text) / f"{split}.jsonl"
    for file in files:
        if not file.is_file():
            raise InputError(f"text: expected a file {file} (a folder in TOFU's layout)")
    return files


def content(text: str, split: str) -> str:
    """Hash of what the two files of a folder hold, retain first."""
    return config_hash(*(file.read_text(encoding="utf-8") for file in text_files(text, split)))


def read(file: Path) -> list[list[str]]:
    """The words of each row, question and answer together, in lower case.

    Raises:
        InputError: a line is not a row; says which.
    """
    sentences = []
    for place, row in json_lines(file):
        match row:
            case {"question": str(question), "answer": str(answer)}:
                words = f"{question} {answer}".lower()
            case _:
                raise InputError(f"{place}: expected a row with question and answer, in words")
        sentences.append(re.findall(r"\w+|[^\w\s]", words))
    return sentences


def generated(generator: np.random.Generator) -> tuple[list[list[int]], list[list[int]]]:
    """Retain: 400 sentences of a random bigram chain on 100 words; forget: 5, ten times each.

    Sentences have 12 words; a row of the chain ~ Dirichlet(0.05, …).
    """
    words, length = 100, 12
    chain = generator.dirichlet(np.full(words, 0.05), size=words).cumsum(axis=1)
    sentences = np.empty((400, length), dtype=int)
    sentences[:, 0] = generator.integers(words, size=400)
    for t in range(1, length):
        rows = chain[sentences[:, t - 1]]
        sentences[:, t] = (generator.random((400, 1)) > rows).sum(axis=1).clip(max=words - 1)
    # Forget sentences are made of words at random: no part of what the chain says.
    by_heart = generator.integers(words, size=(5, length))
    return sentences.tolist(), np.repeat(by_heart, 10, axis=0).tolist()
