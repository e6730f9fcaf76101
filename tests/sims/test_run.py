"""The loop: what it computes depends on configuration and seed, on nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from sims import run, studies
from sims.run import run_study
from t3theory.exceptions import AssumptionError, InputError, RecordError
from t3theory.records import config_hash, read_records

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
    # A cell that no check has seen.
    cell = studies.get("temperature_tradeoff").cells("mini", {"seeds": 1, "h": 10})[0]
    cell.config["delta"] = 1000.0
    with pytest.raises(AssumptionError, match=r"delta must lie in \[1e-300, .*\] here, got 1000"):
        list(run._in_processes([[("key", cell)]], 2))


@pytest.mark.parametrize(
    ("study", "overrides", "words"),
    [
        ("sample_complexity", {"temperature": [1, 0.5]}, "temperature must be at least 1"),
        ("bound_ladder", {"temperature": 0.5}, "temperature must be at least 1: bounds are"),
        ("sample_complexity", {"heldout": 1e12}, "heldout must be a whole number from 1 to 10"),
        ("sample_complexity", {"heldout": 1e10}, "heldout must be at most .* in the memory left"),
        ("gaussian_width", {"components": 1e12}, "components must be a whole number"),
        ("necessity", {"seeds": 10**9}, "seeds must be a whole number from 1 to 10.6"),
        ("necessity", {"seeds": 10**6}, "seeds must be at most 47,619 with 21 configurations"),
        ("bound_ladder", {"draws": 1e12}, "draws must be a whole number"),
        ("early_stopping", {"steps": 1e12}, "steps must be a whole number"),
        ("early_stopping", {"learner": "logistic"}, "learner must be tabular or network"),
        ("optimal_temperature", {"delta": [0.1, 1e-20]}, "delta must lie in .* got 1e-20"),
        ("optimal_temperature", {"draws": 10**4, "retain_atoms": 1000}, "draws must be at most"),
        ("necessity", {"delta": [0.01, 50]}, "delta must lie in .* got 50"),
        ("temperature_tradeoff", {"delta": [0.01, 30]}, "delta must lie in .* got 30"),
        ("bound_ladder", {"delta": [0.01, 50]}, "delta must lie in .* got 50"),
        ("dimension_and_overlap", {"delta": [0.01, 1e5]}, "delta must lie in .* got 100000"),
        ("dimension_and_overlap", {"atoms": 2, "dimension": 3}, "atoms must be at least 2"),
        ("gaussian_width", {"delta": [0.01, 1e5]}, "delta must lie in .* got 100000"),
        ("necessity", {"delta": 1e-310}, "delta must lie in .1e-300"),
        ("necessity", {"h": 10**400}, "h must be finite and at least 1, got a larger number"),
        ("gating", {"memorised": 10**5 + 1}, "memorised must be at most"),
    ],
)
def test_what_would_fail_later_is_refused_before(tmp_path, monkeypatch, study, overrides, words):
    monkeypatch.setattr("sims.run.run_cell", lambda cell: pytest.fail("work started"))
    monkeypatch.setattr("sims.memory.available", lambda: 2**33)
    with pytest.raises(AssumptionError, match=f"^{words}"):
        run_study(study, out=tmp_path / "x.jsonl", overrides=overrides)
    assert not list(tmp_path.iterdir())


def test_numbers_of_numpy_are_numbers():
    wanted = facts(run_study(NAME, overrides=FEW | {"h": [10.0, 100.0]}))
    given = {"h": np.logspace(1, 2, 2), "n": np.int64(200), "seeds": np.int32(3)}
    assert facts(run_study(NAME, overrides=FEW | given)) == wanted


def test_zero_has_no_sign():
    few = FEW | {"seeds": 1, "h": 10}
    wanted = facts(run_study(NAME, overrides=few | {"overlap": 0.0}))
    assert facts(run_study(NAME, overrides=few | {"overlap": -0.0})) == wanted


def damaged(entry, kind):
    """A journal line that is JSON still, and wrong."""
    if kind == "emptied":
        entry["records"] = []
    elif kind == "nothing":
        entry["records"] = None
    elif kind == "value":
        entry["records"][0]["values"]["forget_error"] *= 2
    elif kind == "other cell":
        entry["records"][0]["config"]["n"] += 1
        entry["sum"] = config_hash(entry["cell"], entry["records"])
    else:
        return [entry]
    return entry


def test_a_journal_line_nested_too_deeply_is_dropped(tmp_path):
    out, journal = tmp_path / "records.jsonl", tmp_path / ".records.jsonl.cells"
    first = run_study(NAME, out=out, overrides=FEW)
    journal.write_bytes(b"[" * 100_000 + b"\n" + journal.read_bytes())
    assert run_study(NAME, out=out, overrides=FEW) == first


@pytest.mark.parametrize("kind", ["emptied", "nothing", "value", "other cell", "list"])
def test_damaged_journal_lines_are_not_believed(tmp_path, kind):
    out = tmp_path / "records.jsonl"
    first = run_study(NAME, out=out, overrides=FEW)
    journal = tmp_path / ".records.jsonl.cells"
    entries = [json.loads(line) for line in journal.read_text().splitlines()]
    entries[1] = damaged(entries[1], kind)
    journal.write_text("".join(json.dumps(e) + "\n" for e in entries))
    assert facts(run_study(NAME, out=out, overrides=FEW)) == facts(first)
    assert all("sum" in json.loads(line) for line in journal.read_text().splitlines())
