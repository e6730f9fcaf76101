"""What is left of memory: of the machine, of the cgroups around, by the number of processes."""

from __future__ import annotations

import tracemalloc

import pytest

from sims import families, memory, studies
from sims.families import fits
from sims.run import run_cell, run_study
from sims.studies.gating import _BYTES as GATING
from t3theory.exceptions import AssumptionError


@pytest.fixture
def system(tmp_path, monkeypatch):
    """A machine with 1000 kB left, a process two cgroups deep."""
    proc, groups = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "self").mkdir(parents=True)
    (groups / "outer" / "inner").mkdir(parents=True)
    (proc / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:    1000 kB\n")
    (proc / "self" / "cgroup").write_text("1:name=x:/y\n0::/outer/inner\n")
    monkeypatch.setattr(memory, "_PROC", proc)
    monkeypatch.setattr(memory, "_CGROUPS", groups)
    return groups


def limit(group, most, used, cache=0):
    (group / "memory.max").write_text(f"{most}\n")
    (group / "memory.current").write_text(f"{used}\n")
    (group / "memory.stat").write_text(f"anon 5\ninactive_file {cache}\n")


def test_the_tightest_limit_counts(system):
    assert memory.available() == 1000 * 1024
    limit(system / "outer" / "inner", "max", 10**5)
    assert memory.available() == 1000 * 1024
    limit(system / "outer", 500_000, 300_000, cache=50_000)
    assert memory.available() == 250_000
    limit(system / "outer" / "inner", 10_000, 20_000)
    assert memory.available() == 0


def test_without_a_word_from_the_system_it_is_all_there_is(system, monkeypatch):
    (system.parent / "proc" / "meminfo").unlink()
    (system.parent / "proc" / "self" / "cgroup").unlink()
    monkeypatch.setattr("os.sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 10}.__getitem__)
    assert memory.available() == 40_960


def test_atoms_are_refused_by_what_is_made_of_them_and_by_process(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 420 * 1100)
    fits(1100)
    with pytest.raises(AssumptionError, match="atoms must be at most 1,100 in the memory left"):
        fits(1101)
    fits(420, "logistic")
    for learner in ("logistic", "network"):
        with pytest.raises(AssumptionError, match="atoms must be at most 420"):
            fits(421, learner)
    with memory.shared_by(4):
        fits(275)
        with pytest.raises(AssumptionError, match="atoms must be at most 275"):
            fits(276)
    fits(1100)


@pytest.mark.parametrize(
    ("study", "overrides", "words"),
    [
        ("alphabets", {"atoms": [10, 600]}, "atoms must be at most 500"),
        ("alphabets", {"atoms": 200, "learner": "logistic"}, "atoms must be at most 190"),
        ("pareto", {"retain_atoms": 200, "learner": "logistic"}, "atoms must be at most 190"),
        ("bound_ladder", {"retain_atoms": 400}, "atoms must be at most 221"),
        ("dimension_and_overlap", {"atoms": 400}, "atoms must be at most 221"),
        ("gating", {"vocabulary": 12, "length": 3}, r"vocabulary\^length must be at most 1,500"),
    ],
)
def test_jobs_share_the_memory_before_any_work(monkeypatch, study, overrides, words):
    monkeypatch.setattr("sims.run.run_cell", lambda cell: pytest.fail("work started"))
    monkeypatch.setattr(memory, "available", lambda: 420 * 1000)
    with pytest.raises(AssumptionError, match=words):
        run_study(study, jobs=2, overrides=overrides)


def _most(study, overrides, size):
    """Bytes that a cell takes, for each of `size`."""
    cell = studies.get(study).cells("mini", overrides | {"seeds": 1})[0]
    tracemalloc.start()
    try:
        run_cell(cell)
        return tracemalloc.get_traced_memory()[1] / size
    finally:
        tracemalloc.stop()


def test_what_is_said_of_memory_is_measured():
    few = {"temperature": 2.0}
    _most(
        "alphabets", few | {"atoms": 100, "n": 100}, 100
    )  # compiles, which takes memory of its own
    tabular, logistic = (
        _most("alphabets", few | {"atoms": 50_000, "n": 10**6, "learner": name}, 50_000)
        for name in ("tabular", "logistic")
    )
    # Among fewer the sketch of 3,136 groups is the larger part: some 20 MB.
    worst = _most("dimension_and_overlap", few | {"atoms": 100_000, "delta": 0.01}, 100_000)
    gating = _most("gating", few | {"vocabulary": 2, "length": 16, "n": 500}, 2**16)
    said = families._BYTES
    assert said["tabular"] / 2 < tabular < said["tabular"]
    assert said["logistic"] / 2 < logistic < said["logistic"]
    assert said["worst case"] / 2 < worst < said["worst case"]
    assert GATING / 2 < gating < GATING
