"""What can go wrong, one class for each kind of wrong.

Every message is one line that says what was wrong, where, and what was expected;
the command line prints it and exits with status 2.
"""

from __future__ import annotations

__all__ = ["AssumptionError", "InputError", "RecordError", "T3Error"]


class T3Error(Exception):
    """Base of every error this project raises on purpose."""


class AssumptionError(T3Error, ValueError):
    """An argument violates an assumption of the statement it is used in.

    Args:
        symbol: the argument's name in the signature (`gamma`, `temperature`, …).
        requirement: what must hold of it, as a phrase ("must lie in (0, 1)").
        value: the first offending value.
        index: where that value stands, when the argument is an array.

    >>> raise AssumptionError("gamma", "must lie in (0, 1)", 1.5)
    Traceback (most recent call last):
    t3theory.exceptions.AssumptionError: gamma must lie in (0, 1), got 1.5
    """

    def __init__(
        self, symbol: str, requirement: str, value: object, index: tuple[int, ...] | None = None
    ) -> None:
        self.symbol = symbol
        self.requirement = requirement
        self.value = value
        self.index = index
        place = symbol if index is None else f"{symbol}[{', '.join(map(str, index))}]"
        super().__init__(f"{place} {requirement}, got {value}")

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        # By its own arguments, so that it can come back from another process.
        return type(self), (self.symbol, self.requirement, self.value, self.index)


class InputError(T3Error, ValueError):
    """A file, name or option from outside is not what was expected."""


class RecordError(InputError):
    """A record file is missing, cut short, or not a record file."""
