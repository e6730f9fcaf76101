"""The committed records are what the studies measure now: a cell of each, measured again."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from paper_repro.cli.simulate import parse_settings
from sims import studies
from sims.run import run_cell
from t3theory.records import read_records

COMMITTED = Path(__file__).parents[2] / "paper_repro/results/simulations"
DIGITS = 1e-5
"""Moments and draws are kept to six digits."""


def outer(study, record):
    """The settings that make the record's cell."""
    skipped = {*study.within, "seeds"}
    fields = record["config"].items()
    return {k: v for k, v in fields if k not in skipped and not k.endswith("_hash")}


def effort(config):
    """Rough, to choose a cheap cell: data that need no files, then few of everything."""
    sizes = ("n", "heldout", "atoms", "atoms_per_axis", "dimension", "length", "steps")
    return (config.get("text", "generated") != "generated", config.get("learner") == "network",
            math.prod(config.get(name, 1) for name in sizes))  # fmt: skip


def cell_again(study, records):
    """The committed records of the cheapest cell, and its first seed's measured now."""
    config = min((outer(study, r) for r in records), key=effort)
    kept = [r for r in records if outer(study, r) == config]
    inner = {name: sorted({r["config"][name] for r in kept}) for name in study.within}
    return kept, run_cell(study.cells("full", config | inner | {"seeds": 1})[0])


def compare(name, now, kept):
    if isinstance(kept, list):
        assert now == pytest.approx(kept, rel=DIGITS), name
        return
    if not isinstance(kept, Mapping):
        assert now == pytest.approx(kept, rel=DIGITS), name
        return
    logarithm = "log" in kept
    mean, squares = kept["log"] if logarithm else (kept["mean"], kept["squares"])
    value = math.log(now) if logarithm else now
    # Samuelson's inequality: none of n numbers is further from their mean.
    reach = math.sqrt(squares * (1 - 1 / kept["count"]))
    assert abs(value - mean) <= reach + DIGITS * max(abs(mean), logarithm), name


@pytest.mark.parametrize("name", studies.names())
def test_a_committed_cell_is_measured_again(name):
    study = studies.get(name)
    kept, now = cell_again(study, read_records(COMMITTED / f"{name}.jsonl", study.kind))
    assert len(kept) == len(now)
    for record in now:
        [same] = [
            r
            for r in kept
            if {k: v for k, v in r["config"].items() if k != "seeds"} == record["config"]
        ]
        assert same["values"].keys() <= record["values"].keys()
        for value_name, value in same["values"].items():
            compare(value_name, record["values"][value_name], value)


@pytest.mark.parametrize("name", studies.names())
def test_the_commands_of_the_page_make_the_committed_settings(name):
    page = " ".join((COMMITTED / "README.md").read_text(encoding="utf-8").split("\n## ")[0].split())
    stated = dict(re.findall(r"`(\w+)` with `--set (\S+)`", page))
    wanted = studies.get(name).settings("full", parse_settings(stated.get(name, "").split()))
    records = read_records(COMMITTED / f"{name}.jsonl")
    for field, values in wanted.items():
        # A single seed is not pooled, and its record does not count it.
        assert {r["config"].get(field, 1) for r in records} == set(values), field


def test_another_number_is_noticed():
    pooled = {"count": 4, "mean": 1.0, "squares": 0.04}
    compare("v", 1.17, pooled)  # 1 + √0.03 = 1.173
    with pytest.raises(AssertionError, match="v"):
        compare("v", 1.18, pooled)
    with pytest.raises(AssertionError, match="v"):
        compare("v", 1.001, 1.0)
