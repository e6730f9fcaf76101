"""Is what the model says instead still language?"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["repetition"]


def repetition(texts: Sequence[str], n: int = 2) -> float:
    """Share of word n-grams that stand earlier in the same text, over all texts; in [0, 1).

    >>> repetition(["the the the the", "a quiet river"])  # 2 of 3, and 0 of 2
    0.4
    """
    total = repeated = 0
    for text in texts:
        words = text.split()
        grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
        total += len(grams)
        repeated += len(grams) - len(set(grams))
    return repeated / total if total else 0.0
