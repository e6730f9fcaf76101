"""How many of the answer's tokens the model would have said itself."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from llm.tofu.metrics._arrays import to_numpy

__all__ = ["exact_memorization"]


def exact_memorization(matches: ArrayLike) -> float:
    """The share of labels that are the model's argmax.

    Args:
        matches: for each label of one answer, whether it is the argmax; the last label (end
            of sequence) is dropped, as in open-unlearning.

    Returns:
        A number in [0, 1]; nan where there is no label but the last.

    >>> exact_memorization([True, False, True, True, False])
    0.75
    """
    hits = to_numpy(matches, np.bool_).ravel()[:-1]
    return float(hits.mean()) if hits.size else math.nan
