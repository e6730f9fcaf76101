"""What an unlearned model is still good for."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.stats import hmean

from llm.tofu.metrics._arrays import vector
from t3theory.exceptions import AssumptionError

__all__ = ["UTILITY_PARTS", "model_utility"]

UTILITY_PARTS = tuple(
    f"{data}_{metric}"
    for data, probability in (
        ("retain", "Q_A_Prob"),
        ("ra", "Q_A_Prob_normalised"),
        ("wf", "Q_A_Prob_normalised"),
    )
    for metric in (probability, "Q_A_ROUGE", "Truth_Ratio")
)
"""open-unlearning's names of the nine parts."""


def model_utility(parts: Mapping[str, float]) -> float:
    """Harmonic mean of the parts: probability, ROUGE and truth ratio on three sets; 0 if one is 0.

    Args:
        parts: name to value in [0, 1]; TOFU's nine are `UTILITY_PARTS`.

    Raises:
        AssumptionError: there is no part, or one is negative or nan.

    >>> model_utility({"probability": 0.5, "rouge": 1.0})
    0.6666666666666666
    """
    values = vector("parts", list(parts.values()))
    bad = np.flatnonzero(values < 0)
    if bad.size:
        raise AssumptionError(f"parts[{list(parts)[bad[0]]!r}]", "must be ≥ 0", values[bad[0]])
    return float(hmean(values))
