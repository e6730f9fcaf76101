"""The loop: what it computes depends on configuration and seed, on nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sims import studies
from sims.run import run_study
from t3theory.exceptions import AssumptionError, InputError, RecordError
from t3theory.records import read_records

NAME = "forget_error_vs_concentration"
FEW = {"h": [10, 1000], "n": 200, "retain_atoms": 8, "seeds": 3, "temperature": [1, 2]}


def facts(records):
    """Records without what may differ from run to run."""
    return [{k: v for k, v in r.items() if k != "provenance"} for r in records]


@pytest.mark.parametrize("name", studies.names())
@pytest.mark.parametrize("scale", ["small", "full"])
def test_larger_scales_are_well_formed(name, scale):
    assert len(studies.get(name).cells(scale)) >= len(studies.get(name).cells("mini"))


def test_workers_and_order_do_not_matter():
    alone = facts(run_study(NAME, overrides=FEW))
    assert facts(run_study(NAME, overrides=FEW, jobs=2)) == alone
    turned = facts(run_study(NAME, overrides=FEW | {"h": [1000, 10], "temperature": [2, 1]}))
    by_text = lambda rs: sorted(json.dumps(r, sort_keys=True) for r in rs)
    assert by_text(turned) == by_text(alone)
    assert facts(run_study(NAME, overrides=FEW | {"h": 10})) == alone[:6]


def test_seeds_differ():
    values = [r["values"]["excess_risk"] for r in run_study(NAME, overrides=FEW | {"h": 10})]
    assert len(set(values)) == 3


def test_kept_cells_are_not_computed_again(tmp_path, monkeypatch):
    out = tmp_path / "records.jsonl"
    first = run_study(NAME, out=out, overrides=FEW)

    def refuse(cell):
        raise RuntimeError("computed again")

    monkeypatch.setattr("sims.run.run_cell", refuse)
    assert run_study(NAME, out=out, overrides=FEW) == first
    assert read_records(out) == first
    with pytest.raises(RuntimeError, match="computed again"):
        run_study(NAME, out=out, overrides=FEW | {"h": 20})
    assert read_records(out) == first


def test_cut_files_are_mended(tmp_path):
    out = tmp_path / "records.jsonl"
    first = run_study(NAME, out=out, overrides=FEW)
    journal = tmp_path / ".records.jsonl.cells"
    for path in (out, journal):
        data = path.read_bytes()
        path.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(RecordError, match="cut short"):
        read_records(out)
    assert facts(run_study(NAME, out=out, overrides=FEW)) == facts(first)
    assert facts(read_records(out)) == facts(first)


def test_journal_of_other_source_is_dropped(tmp_path):
    out = tmp_path / "records.jsonl"
    first = run_study(NAME, out=out, overrides=FEW)
    journal = tmp_path / ".records.jsonl.cells"
    lines = journal.read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    entries[0]["source"] = "other"
    entries[0]["records"] = []
    journal.write_text("".join(json.dumps(e) + "\n" for e in entries))
    assert facts(run_study(NAME, out=out, overrides=FEW)) == facts(first)


@pytest.mark.parametrize("jobs", [1, 2])
def test_killed_run_goes_on(tmp_path, jobs):
    out = tmp_path / "records.jsonl"
    many = FEW | {"seeds": 60}
    code = (
        "from sims.run import run_study\n"
        f"run_study({NAME!r}, out={str(out)!r}, jobs={jobs}, overrides={many!r})\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, start_new_session=True
    )
    journal = tmp_path / ".records.jsonl.cells"
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if journal.exists() and journal.read_bytes().count(b"\n") >= 10:
            break
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not out.exists()
    kept = journal.read_bytes().count(b"\n")
    assert 10 <= kept < 120
    assert facts(run_study(NAME, out=out, overrides=many)) == facts(run_study(NAME, overrides=many))


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"name": "nothing"}, InputError, "study 'nothing'.*necessity"),
        ({"scale": "huge"}, InputError, "scale 'huge'.*mini"),
        ({"jobs": 0}, InputError, "jobs"),
        ({"overrides": {"colour": 1}}, InputError, "no field 'colour'.*gamma"),
        ({"overrides": {"gamma": 1.5}}, AssumptionError, r"gamma must lie in \(0, 1\), got 1.5"),
        ({"overrides": {"gamma": float("nan")}}, AssumptionError, "gamma"),
        ({"overrides": {"n": 0}}, AssumptionError, "n must be a whole number"),
        ({"overrides": {"n": 10.5}}, AssumptionError, "n must be a whole number"),
        ({"overrides": {"n": "many"}}, InputError, "n: expected a number, got 'many'"),
        ({"overrides": {"temperature": [1, 0]}}, AssumptionError, "temperature must be positive"),
        ({"overrides": {"temperature": []}}, InputError, "temperature: expected at least one"),
        ({"overrides": {"h": [2, 2.0]}}, InputError, "h: expected distinct"),
        ({"overrides": {"learner": "oracle"}}, AssumptionError, "learner must be tabular or"),
        ({"overrides": {"learner": 3}}, InputError, "learner: expected a word"),
        ({"overrides": {"overlap": 0.9, "h": 1}}, AssumptionError, "h must be at least overlap"),
        ({"overrides": {"seeds": [1, 2]}}, InputError, "seeds: expected one number"),
    ],
)
def test_mistakes_are_named_before_any_work(tmp_path, monkeypatch, arguments, error, words):
    monkeypatch.setattr("sims.run.run_cell", lambda cell: pytest.fail("work started"))
    out = tmp_path / "records.jsonl"
    out.write_text("earlier")
    with pytest.raises(error, match=words):
        run_study(**{"name": NAME, "out": out} | arguments)
    assert out.read_text() == "earlier"


def test_errors_in_workers_keep_their_words():
    # δ of a random classifier has a largest value; only the cell itself knows it.
    with pytest.raises(AssumptionError, match=r"delta must lie in \(0, .*\] here, got 1000"):
        run_study("temperature_tradeoff", jobs=2, overrides={"delta": 1000, "seeds": 1, "h": 10})
