"""A table's columns: where a method's number stands in the records, and how it is written."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import harmonic_mean
from typing import Any

from figures.statistics import Estimate, geometric_mean, mean

__all__ = ["Measure", "Record", "Table"]

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Measure:
    """A column: where a method's number stands in which records, and how it is written.

    Args:
        at: path in a record; several have their harmonic mean taken, as TOFU's utility has.
        where: what the record's `config` says, any of several.
        unit: of the number shown, in units of the record's.
        positive: numbers above zero that differ by factors, as seconds do: their geometric mean
            stands with the interval of their logarithms, whose ends are above zero too.
    """

    heading: str
    at: str | tuple[str, ...]
    kind: str = "llm.evaluation"
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    form: str = ".2f"
    unit: float = 1.0
    positive: bool = False

    def holds(self, record: Record) -> bool:
        """Whether the record is one of those that the column is about."""
        config = record["config"]
        return record["kind"] == self.kind and all(
            config.get(key) in allowed for key, allowed in self.where.items()
        )

    def read(self, record: Record) -> float | None:
        """The record's number; None where it has none, or something else stands there."""
        paths = (self.at,) if isinstance(self.at, str) else self.at
        found = [_number(record, path) for path in paths]
        numbers = [x for x in found if x is not None and (x > 0 or not self.positive)]
        if len(numbers) < len(found):
            return None
        if len(numbers) == 1:
            return numbers[0] / self.unit
        return harmonic_mean(numbers) / self.unit if min(numbers) >= 0 else None

    def estimate(self, numbers: Sequence[float]) -> Estimate:
        """The column's mean of these numbers, with its interval."""
        return geometric_mean(numbers) if self.positive else mean(numbers)

    def written(self, number: float) -> str:
        """The number as the column has it, without a sign before zero."""
        text = format(number, self.form)
        return text.removeprefix("-") if float(text.replace(",", "")) == 0 else text


@dataclass(frozen=True)
class Table:
    """Columns that belong together; without records of its `kind` there is no such table."""

    name: str
    title: str
    text: str
    columns: Sequence[Measure]
    kind: str = "llm.evaluation"


def _number(record: Record, path: str) -> float | None:
    found: Any = record
    for step in path.split("/"):
        found = found.get(step) if isinstance(found, Mapping) else None
    real = isinstance(found, int | float) and not isinstance(found, bool)
    return float(found) if real and math.isfinite(found) else None
