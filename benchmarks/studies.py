"""A study of a thousand cells on a thousand atoms, on two processes.

    python benchmarks/studies.py [cells] [atoms] [jobs]

Each cell draws ten thousand labels, learns an add-one classifier and measures both errors exactly
at four temperatures, with every bound of the ledger beside them.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from sims.run import run_study


def main() -> None:
    """Run it once, cold, and print what it took, and once more from its journal."""
    defaults = (1_000, 1_000, 2)
    given = [int(word) for word in sys.argv[1:]]
    cells, atoms, jobs = (*given, *defaults[len(given) :])
    overrides = {
        "h": [10 ** (k / 2) for k in range(10)],
        "retain_atoms": atoms - 4,
        "seeds": cells // 10,
    }
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "records.jsonl"
        for name in ("computed", "read from the journal"):
            start = time.perf_counter()
            records = run_study(
                "forget_error_vs_concentration", out=out, jobs=jobs, overrides=overrides
            )
            taken = time.perf_counter() - start
            print(f"{cells:,} cells of {atoms:,} atoms, {jobs} jobs: {taken:.1f} s {name}")
    print(f"{len(records):,} records, each with {len(records[0]['values'])} values")


if __name__ == "__main__":
    main()
