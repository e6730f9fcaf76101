"""Records over seeds as one: small enough to commit, and figures and slopes stay the same."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from figures.statistics import Sample

__all__ = ["pool"]

_DIGITS = 6
"""A moment is kept to so many: far below every interval, and half the bytes."""


def pool(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One record for each configuration, with the moments of every value over its seeds.

    A value becomes {"count", "mean"} with the sum of squared deviations as "squares", or, where
    all are positive, mean and squared deviations of their logarithms as "log": what
    :func:`figures.statistics.sample_of` reads. Values of a single seed stay as they are, but
    for the digits of lists of draws. All records of one commit share the first one's provenance.

    >>> about = {"kind": "sims.x", "config": {"h": 1}, "provenance": {"seconds": 1}}
    >>> [pooled] = pool([about | {"seed": s, "values": {"v": s - 1.0}} for s in (0, 1)])
    >>> pooled["values"]["v"], pooled["config"]
    ({'count': 2, 'mean': -0.5, 'squares': 0.5}, {'h': 1, 'seeds': 2})
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        key = json.dumps([record["kind"], record["config"]], sort_keys=True)
        groups.setdefault(key, []).append(record)
    pooled = [_pooled(found) for found in groups.values()]
    shared: dict[str, dict[str, Any]] = {}
    for record in pooled:
        about = record["provenance"]
        # The time of a single cell is not kept.
        shared.setdefault(about.get("commit", ""), dict(about) | {"seconds": None})
    return [r | {"provenance": shared[r["provenance"].get("commit", "")]} for r in pooled]


def _pooled(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    first = found[0]
    if len(found) == 1:
        return dict(first) | {"values": {k: _shortened(v) for k, v in first["values"].items()}}
    values = {
        name: _moments([r["values"][name] for r in found])
        for name in first["values"]
        if all(name in r["values"] for r in found)
    }
    return dict(first) | {
        "config": dict(first["config"]) | {"seeds": len(found)},
        "seed": None,
        "values": values,
    }


def _moments(values: Sequence[float]) -> dict[str, Any]:
    plain = Sample.of(values)
    found = {"count": plain.count, "mean": _rounded(plain.mean)}
    if isinstance(values[0], bool) or not all(v > 0 for v in values):
        return found | {"squares": _rounded(plain.squares)}
    logs = Sample.of([math.log(v) for v in values])
    return found | {"log": [_rounded(logs.mean), _rounded(logs.squares)]}


def _shortened(value: Any) -> Any:
    return [_rounded(v) for v in value] if isinstance(value, list) else value


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
