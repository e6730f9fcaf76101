"""Records over seeds as one: small enough to commit, and figures and slopes stay the same."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from figures.statistics import Sample

__all__ = ["pool"]

_DIGITS = 7
"""A moment is kept to so many: far below every interval, and half the bytes."""


def pool(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One record for each configuration, with the moments of every value over its seeds.

    A value becomes {"count", "plain": [mean, squared deviations]}, and "log" likewise where all
    are positive: what :func:`figures.statistics.sample_of` reads. Values of a single seed stay
    as they are. The time is that of all seeds, the rest of the provenance the first one's.

    >>> about = {"kind": "sims.x", "config": {"h": 1}, "provenance": {"seconds": 1}}
    >>> [pooled] = pool([about | {"seed": s, "values": {"v": s + 1.0}} for s in (0, 1)])
    >>> pooled["values"]["v"]["plain"], pooled["config"]
    ([1.5, 0.5], {'h': 1, 'seeds': 2})
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        groups.setdefault(json.dumps([record["kind"], record["config"]]), []).append(record)
    return [_pooled(found) for found in groups.values()]


def _pooled(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    first = found[0]
    if len(found) == 1:
        values = {k: _rounded(v) for k, v in first["values"].items()}
        return dict(first) | {"values": values}
    values = {
        name: _moments([r["values"][name] for r in found])
        for name in first["values"]
        if all(name in r["values"] for r in found)
    }
    seconds = sum(r["provenance"]["seconds"] or 0 for r in found)
    return dict(first) | {
        "config": dict(first["config"]) | {"seeds": len(found)},
        "seed": None,
        "values": values,
        "provenance": dict(first["provenance"]) | {"seconds": round(seconds, 3)},
    }


def _moments(values: Sequence[float]) -> dict[str, Any]:
    found: dict[str, Any] = {"count": len(values), "plain": _pair(values)}
    if all(v > 0 for v in values) and not isinstance(values[0], bool):
        found["log"] = _pair([math.log(v) for v in values])
    return found


def _pair(values: Sequence[float]) -> list[float]:
    sample = Sample.of(values)
    return [_rounded(sample.mean), _rounded(sample.squares)]


def _rounded(value: Any) -> Any:
    if isinstance(value, list):
        return [_rounded(v) for v in value]
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value
