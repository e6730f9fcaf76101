"""What judges share: records chosen, numbers read, and when an interval settles anything."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from figures.statistics import Estimate
from t3theory.exceptions import RecordError

__all__ = [
    "Claim",
    "Finding",
    "Records",
    "at_least",
    "at_most",
    "by_seed",
    "checked",
    "every",
    "for_every_seed",
    "more_than",
    "number",
    "of",
    "seconds_of",
    "values_of",
]

Records = Sequence[Mapping[str, Any]]
Claim = Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """What the records say: whether the claim holds, and the numbers, with intervals, in words.

    `holds` is None where the numbers settle nothing: an interval has the limit within it, or
    there is a single seed and no interval.
    """

    holds: bool | None
    evidence: str


def of(records: Records, kind: str, **config: Any) -> list[Mapping[str, Any]]:
    """The records of one kind whose configuration has these values."""
    return [
        r
        for r in records
        if r["kind"] == kind and all(r["config"][k] == v for k, v in config.items())
    ]


def number(
    where: Mapping[str, Any],
    name: str,
    record: Mapping[str, Any],
    low: float = -math.inf,
    high: float = math.inf,
) -> float:
    """A number of a record, from `low` to `high`; no comparison with anything else means something.

    Raises:
        RecordError: it is something else.
    """
    value = where[name]
    if not isinstance(value, int | float) or not low <= value <= high or math.isinf(value):
        between = "" if low == -high == -math.inf else f" from {low:g} to {high:g}"
        raise RecordError(
            f"a record of kind {record['kind']!r}, seed {record['seed']}: {name} is {value!r}, "
            f"expected a number{between}"
        )
    return float(value)


def checked(records: Records, *names: str) -> Records:
    """The records themselves, once each of these values is a number or pooled over seeds."""
    for record in records:
        for name in names:
            if not isinstance(record["values"][name], Mapping):
                number(record["values"], name, record)
    return records


def values_of(records: Records, name: str) -> list[float]:
    """One value of every record."""
    return [number(r["values"], name, r) for r in records]


def at_most(estimate: Estimate, limit: float) -> bool | None:
    """Whether the whole interval is at most `limit`; None where it is on both sides, or is none.

    >>> [at_most(Estimate(1.0, low, 2.0), 1.5) for low in (0.0, 1.7)]
    [None, False]
    """
    return True if estimate.high <= limit else False if estimate.low > limit else None


def at_least(estimate: Estimate, limit: float) -> bool | None:
    """Whether the whole interval is at least `limit`; None where it is on both sides, or is none."""
    return True if estimate.low >= limit else False if estimate.high < limit else None


def more_than(estimate: Estimate, limit: float) -> bool | None:
    """Whether the whole interval is above `limit`: a tie is not.

    >>> [more_than(Estimate(0.0, low, high), 0.0) for low, high in ((0.0, 0.0), (-1.0, 1.0))]
    [False, None]
    """
    return True if estimate.low > limit else False if estimate.high <= limit else None


def by_seed(records: Records) -> dict[int, Mapping[str, Any]]:
    """Seed -> its record; of two that say the same the quicker.

    Raises:
        RecordError: two records of one seed have other settings or other values.
    """
    found: dict[int, Mapping[str, Any]] = {}
    for record in records:
        before = found.setdefault(record["seed"], record)
        for what, name in (("config", "settings"), ("values", "values")):
            if before[what] != record[what]:
                raise RecordError(
                    f"kind {record['kind']!r}, seed {record['seed']}: two records with other {name}"
                )
        if (record["provenance"]["seconds"] or 0) < (before["provenance"]["seconds"] or 0):
            found[record["seed"]] = record
    return found


def every(parts: Iterable[bool | None]) -> bool | None:
    """Whether all hold: False where one does not, else None where one is not settled.

    >>> every([True, None]), every([None, False]), every([True, True])
    (None, False, True)
    """
    found = set(parts)
    return False if False in found else None if None in found else True


def for_every_seed(holds: bool, seeds: int) -> bool | None:
    """A statement about every seed: refuted by one, not shown by one."""
    return holds if seeds > 1 or not holds else None


def seconds_of(record: Mapping[str, Any]) -> float:
    """How long the work behind a record took."""
    return number(record["provenance"], "seconds", record, low=1e-9)
