"""The memory table of the documentation is what the shapes say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_documented_table_is_the_computed_one():
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "memory.py")],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout.count("\n") == 11
    assert done.stdout in (ROOT / "docs" / "own-model.md").read_text(encoding="utf-8")
