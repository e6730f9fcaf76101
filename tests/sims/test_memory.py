"""What is left of memory: of the machine, of the cgroups around, by the number of processes."""

from __future__ import annotations

import pytest

from sims import memory
from sims.families import fits
from sims.run import run_study
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


def test_atoms_are_refused_from_400_bytes_each_and_by_process(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 400 * 1000)
    fits(1000)
    with pytest.raises(AssumptionError, match="atoms must be at most 1,000 in the memory left"):
        fits(1001)
    with memory.shared_by(4):
        fits(250)
        with pytest.raises(AssumptionError, match="atoms must be at most 250"):
            fits(251)
    fits(1000)


def test_jobs_share_the_memory_before_any_work(monkeypatch):
    monkeypatch.setattr("sims.run.run_cell", lambda cell: pytest.fail("work started"))
    monkeypatch.setattr(memory, "available", lambda: 400 * 1000)
    with pytest.raises(AssumptionError, match="atoms must be at most 500"):
        run_study("alphabets", jobs=2, overrides={"atoms": [10, 600]})
