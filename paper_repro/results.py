"""The records of a run, from all its files."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from t3theory.exceptions import InputError
from t3theory.records import read_records

__all__ = ["command", "command_of", "made", "read_results", "run_of", "unsaid"]

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


UNSAID = {
    "SCALE": "mini, small or full, which these records do not say",
    "FOLDER": "where the data lie, in TOFU's layout: records know their name and content alone",
}
"""What stands in a command where records do not say it -> what a reader puts there."""


def command(scale: str, data: str) -> str:
    """The command of a run, as a shell takes it, without what is its default.

    >>> command("small", "my data"), command("mini", "mini")
    ("t3 reproduce --scale small --data 'my data'", 't3 reproduce')
    """
    options = {"scale": scale, "data": data}
    said = [f"--{name} {shlex.quote(value)}" for name, value in options.items() if value != "mini"]
    return " ".join(["t3 reproduce", *said])


def command_of(records: Sequence[Mapping[str, Any]]) -> str:
    """The command of the run that makes such records anew, with words of `UNSAID`.

    Raises:
        InputError: as `run_of`.

    >>> command_of([{"config": {"scale": "small", "data": "tofu:forget10"}}])
    't3 reproduce --scale small --data FOLDER'
    >>> command_of([{"config": {"gamma": 0.1}}])
    't3 reproduce --scale SCALE'
    """
    scale, data = run_of(records)
    return command(scale or "SCALE", "FOLDER" if data not in ("", "mini") else "mini")


def unsaid(run: str) -> dict[str, str]:
    """The words of a command that its reader has to fill in, and with what."""
    return {word: meaning for word, meaning in UNSAID.items() if word in run.split()}


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
        "versions": {
            name: " or ".join(
                sorted({s["versions"][name] for s in stamps if name in s["versions"]})
            )
            for name in sorted({name for s in stamps for name in s["versions"]})
        },
        "since": min((s["time"] for s in stamps), default=""),
        "until": max((s["time"] for s in stamps), default=""),
    }
