"""What a bound is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Bound", "Direction", "Quantity"]

Quantity = Literal["retain_error", "forget_error"]
Direction = Literal["upper", "lower"]


@dataclass(frozen=True)
class Bound:
    """One inequality, evaluated: `quantity` is at most (or at least) `value`.

    Args:
        letter: the statement in the ledger it comes from.
        quantity: "retain_error" (nats) or "forget_error" (density with respect to μ).
        direction: "upper" or "lower".
        value: the bound; inf where it says nothing.
        terms: the named numbers it was put together from.
        variant: which form of the statement, "" where there is only one.
        needs_classifier: whether it uses more of f than its excess risk.
    """

    letter: str
    quantity: Quantity
    direction: Direction
    value: float
    terms: Mapping[str, float] = field(default_factory=dict)
    variant: str = ""
    needs_classifier: bool = False
