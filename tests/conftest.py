"""What all tests share: seeds, Hypothesis profiles, the way to the benchmark's data, a cluster."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# Before torch is imported: processes that test beside each other share the cores, not each take all.
if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // int(workers))))

REQUIRED = os.environ.get("CI") == "true" or os.environ.get("T3_REQUIRE_ALL") == "1"
SHARED = Path(os.environ.get("T3_SHARED", Path(__file__).parents[1] / ".." / "shared"))

settings.register_profile(
    "default",
    deadline=None,
    max_examples=60,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("thorough", parent=settings.get_profile("default"), max_examples=2000)
# Each mutant meets every test that reaches it.
settings.register_profile("quick", parent=settings.get_profile("default"), max_examples=8)
settings.load_profile(os.environ.get("T3_HYPOTHESIS", "default"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with `tofu/` and `tofu_goldens/`; absent on most machines, required in CI."""
    if (SHARED / "tofu" / "full.jsonl").is_file():
        return SHARED
    message = "T3_SHARED: no folder with tofu/ and tofu_goldens/ there"
    if REQUIRED:
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A Dask scheduler with two workers, processes of this machine."""
    from distributed import LocalCluster

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the cluster's own start, nothing of ours
        with LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            silence_logs=50,
            memory_limit=0,
        ) as made:
            yield made
