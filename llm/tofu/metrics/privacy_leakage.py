"""How much more, or less, an attacker sees than in the retain model."""

from __future__ import annotations

import math

from llm.tofu.metrics._arrays import EPSILON
from t3theory.exceptions import AssumptionError

__all__ = ["privacy_leakage"]


def privacy_leakage(auc: float, retain_auc: float) -> float:
    """privleak = 100 ((1 - AUC) - (1 - AUC_retain)) / (1 - AUC_retain + 1e-10), in percent.

    0: the attack sees what it sees in the retain model; negative: the forget set is still
    remembered; positive: over-forgotten. It explodes as `retain_auc` nears 1.

    Args:
        auc: of the attack on the unlearned model, forget against holdout (`membership_auc`).
        retain_auc: of the same attack on the retain model.

    >>> round(privacy_leakage(0.9, 0.5), 6)
    -80.0
    """
    for symbol, value in (("auc", auc), ("retain_auc", retain_auc)):
        if math.isnan(value) or not 0 <= value <= 1:
            raise AssumptionError(symbol, "must lie in [0, 1]", value)
    return 100 * (retain_auc - auc) / (1 - retain_auc + EPSILON)
