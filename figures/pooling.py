"""Records over seeds as one: small enough to commit, and figures and slopes stay the same."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from figures.statistics import Sample, sample_of
from t3theory.exceptions import RecordError

__all__ = ["pool"]

_DIGITS = 6
"""A moment is kept to so many, and half the bytes; a mean to more where it varies less."""


def pool(records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One record for each configuration, with the moments of every value over its seeds.

    A number becomes {"count", "mean"} with the sum of squared deviations as "squares", or, where
    all are positive, mean and squared deviations of their logarithms as "log": what
    :func:`figures.statistics.sample_of` reads. Lists of draws are joined. Values of a single
    seed stay as they are, but for the digits of such lists. Records that are pooled already, of
    other seeds, may be among them. All records of one commit share the first one's provenance.

    Raises:
        RecordError: two records of one seed and configuration.

    >>> about = {"kind": "sims.x", "config": {"h": 1}, "provenance": {"seconds": 1}}
    >>> [pooled] = pool([about | {"seed": s, "values": {"v": s - 1.0}} for s in (0, 1)])
    >>> pooled["values"]["v"], pooled["config"]
    ({'count': 2, 'mean': -0.5, 'squares': 0.5}, {'h': 1, 'seeds': 2})
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for record in records:
        key = json.dumps([record["kind"], _settings(record)], sort_keys=True)
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
    seeds = [r["seed"] for r in found if r["seed"] is not None]
    if len(set(seeds)) < len(seeds):
        raise RecordError(f"{first['kind']}: two records of one seed, {_settings(first)}")
    values = {
        name: _joined([r["values"][name] for r in found])
        for name in first["values"]
        if all(name in r["values"] for r in found)
    }
    return dict(first) | {
        "config": _settings(first)
        | {"seeds": sum(1 if r["seed"] is not None else r["config"]["seeds"] for r in found)},
        "seed": None,
        "values": values,
    }


def _settings(record: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration without the number of seeds that pooling adds to it."""
    added = "seeds" if record["seed"] is None else None
    return {name: value for name, value in record["config"].items() if name != added}


def _joined(values: Sequence[Any]) -> Any:
    """Lists one after another; numbers and moments as the moments of all."""
    if isinstance(values[0], list):
        return [_rounded(x) for value in values for x in value]
    records = [{"values": {"v": value}} for value in values]
    plain = sample_of(records, "v")
    found = {"count": plain.count, "mean": _mean(plain)}
    if all(map(_has_logarithm, values)):
        logs = sample_of(records, "v", logarithm=True)
        return found | {"log": [_mean(logs), _rounded(logs.squares)]}
    # Squares are not known of what was pooled as logarithms.
    return found | ({"squares": _rounded(plain.squares)} if math.isfinite(plain.squares) else {})


def _mean(sample: Sample) -> float:
    """Rounded by at most a thousandth of its standard error; of copies, to the last digit."""
    error = math.sqrt(sample.squares) / sample.count
    if not error < abs(sample.mean):
        return _rounded(sample.mean)
    finer = 17.0 if error == 0 else math.log10(abs(sample.mean) / error) + 4
    return _rounded(sample.mean, min(17, max(_DIGITS, math.ceil(finer))))


def _has_logarithm(value: Any) -> bool:
    if isinstance(value, Mapping):
        return "log" in value
    return not isinstance(value, bool) and value > 0


def _shortened(value: Any) -> Any:
    return [_rounded(v) for v in value] if isinstance(value, list) else value


def _rounded(value: float, digits: int = _DIGITS) -> float:
    return float(f"{value:.{digits}g}")
