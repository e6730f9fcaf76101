"""What judges share: records chosen, numbers read, and when an interval settles anything."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from figures.statistics import Estimate
from t3theory.exceptions import RecordError

__all__ = [
    "Claim",
    "Finding",
    "Records",
    "checked",
    "for_every_seed",
    "number",
    "of",
    "seconds_of",
    "settle",
    "values_of",
]

Records = Sequence[Mapping[str, Any]]
Claim = Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """What the records say: whether the claim holds, and the numbers, with intervals, in words.

    `holds` is None where the numbers settle nothing, as those of a single seed.
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


def number(where: Mapping[str, Any], name: str, record: Mapping[str, Any]) -> float:
    """A number of a record; no comparison with anything else means something."""
    value = where[name]
    if not isinstance(value, int | float) or math.isnan(value):
        raise RecordError(
            f"a record of kind {record['kind']!r}, seed {record['seed']}: {name} is {value!r}, "
            "expected a number"
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


def settle(holds: bool, *estimates: Estimate) -> bool | None:
    """`holds`, or None where an estimate has no interval to judge by."""
    return holds if all(e.has_interval for e in estimates) else None


def for_every_seed(holds: bool, seeds: int) -> bool | None:
    """A statement about every seed: refuted by one, not shown by one."""
    return holds if seeds > 1 or not holds else None


def seconds_of(record: Mapping[str, Any]) -> float:
    """How long the work behind a record took."""
    return number(record["provenance"], "seconds", record)
