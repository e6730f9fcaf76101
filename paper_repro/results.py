"""The records of a run, from all its files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from t3theory.exceptions import InputError
from t3theory.records import read_records

__all__ = ["read_results"]

_PLACES = (
    "*.jsonl",
    "records/*.jsonl",
    "lm/*/eval/*/records.jsonl",
    "lm/tune/*.jsonl",
    "lm/*/theory.jsonl",
    "lm/*/memorisation.jsonl",
    "lm/*/*.robustness.jsonl",
    "lm/*/*.blind.jsonl",
    "lm/*/head_cost.jsonl",
    "lm/*/*.cost.jsonl",
)


def read_results(out: str | Path, products: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Every record of the run in `out`, or of the record file `out`.

    Args:
        products: record files, or folders with a records.jsonl, relative to `out`: only these
            are read, where they are. Without them, whatever lies where a run puts its records.

    Raises:
        InputError: there is no such folder or file, or a record file is cut short.

    A folder of record files alone, as `t3 simulate --out` and `t3 figures` fill it, will do.
    """
    out = Path(out)
    if out.is_file():
        return read_records(out)
    if not out.is_dir():
        raise InputError(f"{out}: expected the folder of a run (see t3 reproduce)")
    if products is None:
        # A file may match two places.
        files = dict.fromkeys(file for place in _PLACES for file in sorted(out.glob(place)))
    else:
        places = [out / p if p.endswith(".jsonl") else out / p / "records.jsonl" for p in products]
        files = dict.fromkeys(place for place in places if place.is_file())
    return [record for file in files for record in read_records(file)]
