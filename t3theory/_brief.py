"""Record files that state what does not change from line to line once.

A line may be ``{"as_above_but": {"config": {…}, "values": […]}}``: the record above it with these
settings, and with these values, in the order of their sorted names, in place of its own, if any.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from t3theory.exceptions import RecordError

__all__ = ["BRIEF", "restored", "shortened"]

BRIEF = "as_above_but"
_SHARED = ("kind", "provenance", "seed")


def shortened(records: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The lines that :func:`restored` makes these records of again.

    >>> one = {"kind": "k", "seed": 0, "provenance": {}, "config": {"h": 1}, "values": {"v": 2}}
    >>> list(shortened([one, one | {"config": {"h": 3}, "values": {"v": 4}}]))[1]
    {'as_above_but': {'config': {'h': 3}, 'values': [4]}}
    """
    before: Mapping[str, Any] | None = None
    for record in records:
        yield dict(record) if before is None else _line(record, before)
        before = record


def _line(record: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    config, above = record["config"], before["config"]
    if config.keys() != above.keys() or any(record[k] != before[k] for k in _SHARED):
        return dict(record)
    changed = {k: v for k, v in config.items() if json.dumps(v) != json.dumps(above[k])}
    values, same = record["values"], before["values"]
    if json.dumps(values) == json.dumps(same):
        return {BRIEF: {"config": changed}}
    alike = _shape(values) == _shape(same)
    return {BRIEF: {"config": changed, "values": list(_leaves(values)) if alike else values}}


def restored(line: Mapping[str, Any], above: Mapping[str, Any] | None) -> dict[str, Any]:
    """The record a line stands for, itself if it is one.

    Raises:
        RecordError: there is no record above, or the line does not fit it.
    """
    if BRIEF not in line:
        return dict(line)
    if above is None:
        raise RecordError(f"{BRIEF}: no record stands above")
    try:
        config, values = line[BRIEF]["config"], line[BRIEF].get("values", above["values"])
        if isinstance(values, list):
            left = iter(values)
            values = _filled(above["values"], left)
            if next(left, None) is not None:
                raise RecordError(f"{BRIEF}: more values than the record above has")
        return dict(above) | {"config": above["config"] | config, "values": values}
    except (KeyError, TypeError, AttributeError, StopIteration) as error:
        raise RecordError(f"{BRIEF}: the line does not fit the record above") from error


def _shape(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _shape(v) for k, v in value.items()}
    return [_shape(v) for v in value] if isinstance(value, list) else None


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for name in sorted(value):
            yield from _leaves(value[name])
    elif isinstance(value, list):
        for v in value:
            yield from _leaves(v)
    else:
        yield value


def _filled(like: Any, left: Iterator[Any]) -> Any:
    if isinstance(like, Mapping):
        return {name: _filled(like[name], left) for name in sorted(like)}
    return [_filled(v, left) for v in like] if isinstance(like, list) else next(left)
