"""How short a prefix of the answer makes the model say the rest."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from llm.tofu.metrics._arrays import to_numpy

__all__ = ["extraction_strength"]


def extraction_strength(matches: ArrayLike, floor: bool = True) -> float:
    """1 - k/L for the shortest prefix of k of the L labels after which every label is the argmax.

    Args:
        matches: for each label of one answer, whether it is the model's argmax; the last
            label (end of sequence) is dropped, as in open-unlearning.
        floor: open-unlearning never tries k = L, so an answer with no correct suffix scores
            1/L. `False` gives 0 there.

    Returns:
        A number in [0, 1]; 0 where there is no label but the last.

    >>> extraction_strength([False, True, True, True])  # k = 1 of L = 3
    0.6666666666666667
    >>> extraction_strength([True, False, True]), extraction_strength([True, False, True], False)
    (0.5, 0.0)
    """
    hits = to_numpy(matches, np.bool_).ravel()[:-1]
    if hits.size == 0:
        return 0.0
    misses = np.flatnonzero(~hits)
    k = int(misses[-1]) + 1 if misses.size else 0
    if floor:
        k = min(k, hits.size - 1)
    return 1 - k / hits.size
