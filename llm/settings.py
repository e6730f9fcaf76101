"""Settings dataclasses from tables of TOML, with every mistake named."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

from t3theory.exceptions import InputError

__all__ = ["build"]


def build(kind: type, content: Mapping[str, Any], where: str) -> Any:
    """A settings dataclass from a TOML table; lists become tuples.

    Raises:
        InputError: a setting that is unknown, missing, of another type, twice in a list, not
            positive, or a share above 1; `where` begins the message.
    """
    known = {f.name: f for f in fields(kind)}
    if unknown := sorted(content.keys() - known.keys()):
        raise InputError(f"{where}: unknown {', '.join(unknown)}; expected {', '.join(known)}")
    missing = [n for n, f in known.items() if f.default is MISSING and n not in content]
    if missing:
        raise InputError(f"{where}: no {', '.join(missing)}")
    hints = get_type_hints(kind)
    values = {}
    for name, value in content.items():
        if is_dataclass(hints[name]):
            if not isinstance(value, Mapping):
                raise InputError(f"{where}: {name} is {value!r}, expected a table [{name}]")
            values[name] = build(hints[name], value, f"{where}: [{name}]")
        else:
            values[name] = _setting(name, value, hints[name], where)
    return kind(**values)


_MAY_BE_ZERO = {
    "weight_decay",
    "warmup",
    "guidance_scale",
    "guidance_scales",
    "gate_threshold",
    "seeds",
    "tuning_seed",
}
_SHARES = {"warmup", "gate_threshold", "utility_share"}
_MAY_BE_EMPTY = {"attacks", "blind", "memorisation"}
_KINDS: dict[type, tuple[type, ...]] = {int: (int,), float: (int, float), str: (str,)}


def _setting(name: str, value: Any, hint: Any, where: str) -> Any:
    """A setting of the type its field has, positive where it is a number."""
    listed = get_origin(hint) is tuple
    kind: type = next(k for k in get_args(hint) or (hint,) if k in _KINDS)
    if listed != isinstance(value, list):
        wanted = f"a list of {kind.__name__}" if listed else f"one {kind.__name__}"
        raise InputError(f"{where}: {name} is {value!r}, expected {wanted}")
    items: list[Any] = value if listed else [value]
    if listed and not items and name not in _MAY_BE_EMPTY:
        raise InputError(f"{where}: {name} is empty, expected at least one {kind.__name__}")
    if len(set(map(repr, items))) != len(items):
        raise InputError(f"{where}: {name} is {value!r}, expected no value twice")
    allowed: Any = _KINDS[kind]
    for item in items:
        if isinstance(item, bool) or not isinstance(item, allowed):
            raise InputError(f"{where}: {name} has {item!r}, expected {kind.__name__}")
        zero, most = name in _MAY_BE_ZERO, 1 if name in _SHARES else math.inf
        positive = kind is str or (0 < item <= most and item < math.inf)
        if not (positive or (zero and item == 0)):
            wanted = "0 or more" if zero else "more than 0"
            wanted += ", at most 1" if name in _SHARES else ""
            raise InputError(f"{where}: {name} has {item!r}, expected a finite number, {wanted}")
    return tuple(items) if listed else value
