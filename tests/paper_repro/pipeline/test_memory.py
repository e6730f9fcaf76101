"""The peak of memory is that of the work itself, not of what a worker did before."""

from __future__ import annotations

import mmap
from types import SimpleNamespace

import pytest

from paper_repro.pipeline import memory
from paper_repro.pipeline.memory import PeakMemory

HELD = 200 * 2**20


def resident() -> float:
    known = PeakMemory().bytes()
    if "peak_bytes" not in known:
        pytest.skip("this system does not tell")
    return known["peak_bytes"]


def hold() -> None:
    """Take memory from the system and give it back; malloc may have some left of earlier tests."""
    with mmap.mmap(-1, HELD) as held:
        for _ in range(HELD // mmap.PAGESIZE):
            held.write(b"1" * mmap.PAGESIZE)


def test_the_peak_is_since_it_was_made():
    before = resident()
    peak = PeakMemory()
    hold()
    later = PeakMemory()
    # A tenth for what else the process takes and gives back meanwhile.
    assert peak.bytes()["peak_bytes"] < before + 0.1 * HELD, "the later one starts a new count"
    del peak
    hold()
    assert later.bytes()["peak_bytes"] > before + 0.9 * HELD


def test_where_the_count_cannot_be_reset_there_is_no_number(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_SELF", tmp_path / "nothing")
    assert "peak_bytes" not in PeakMemory().bytes()


def test_a_gpu_tells_its_own(monkeypatch):
    reset = []
    cuda = SimpleNamespace(
        is_available=lambda: True,
        reset_peak_memory_stats=lambda: reset.append(True),
        max_memory_allocated=lambda: 5,
    )
    monkeypatch.setitem(memory.sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert PeakMemory().bytes()["peak_gpu_bytes"] == 5
    assert reset == [True]
