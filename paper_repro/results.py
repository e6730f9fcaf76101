"""The records of a run, from all its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from t3theory.exceptions import InputError
from t3theory.records import read_records

__all__ = ["command", "made", "read_results", "run_of"]

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


def command(scale: str, data: str) -> str:
    """The command of a run, without what is its default.

    >>> command("small", "tofu"), command("mini", "mini")
    ('t3 reproduce --scale small --data tofu', 't3 reproduce')
    """
    options = {"scale": scale, "data": data}
    said = (f" --{name} {value}" for name, value in options.items() if value not in ("", "mini"))
    return "t3 reproduce" + "".join(said)


def run_of(records: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """(scale, data) of the language models' records, `tofu` of tofu:forget10; "" where none says.

    Raises:
        InputError: records of two scales or of two sources of data.

    >>> run_of([{"config": {"scale": "small", "data": "tofu:forget10"}}, {"config": {}}])
    ('small', 'tofu')
    """
    said = []
    for key in ("scale", "data"):
        found = {r["config"][key].partition(":")[0] for r in records if key in r["config"]}
        if len(found) > 1:
            raise InputError(f"records of one {key} expected, got {', '.join(sorted(found))}")
        said.append(found.pop() if found else "")
    return said[0], said[1]


def made(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Which code and machines made the records, and when: every commit and source, as JSON takes it."""
    stamps: list[Mapping[str, Any]] = [r["provenance"] for r in records]
    return {
        "records": len(records),
        "commits": sorted({s["commit"] for s in stamps if s["commit"]}),
        "sources": sorted({s["source"] for s in stamps if s.get("source")}),
        "machines": sorted(
            {
                f"{s['hardware']['gpu'] or s['hardware']['cpu']}, {s['hardware']['cores']} cores"
                for s in stamps
            }
        ),
        "versions": stamps[-1]["versions"] if stamps else {},
        "since": min((s["time"] for s in stamps), default=""),
        "until": max((s["time"] for s in stamps), default=""),
    }
