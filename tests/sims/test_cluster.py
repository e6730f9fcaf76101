"""Dask: the same records as on one machine, also when a worker is killed on the way."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from sims.run import run_study
from t3theory.exceptions import InputError

NAME = "prior_correction"
MANY = {"gamma": [0.1, 0.3], "n": 200, "retain_atoms": 8, "seeds": 40}


def facts(records):
    return [{k: v for k, v in r.items() if k != "provenance"} for r in records]


def test_a_killed_worker_loses_nothing(cluster, tmp_path):
    out = tmp_path / "records.jsonl"
    journal = tmp_path / ".records.jsonl.cells"
    killed = []

    def kill_one_worker():
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if journal.exists() and journal.read_bytes().count(b"\n") >= 10:
                victim = next(iter(cluster.workers.values())).pid
                os.kill(victim, signal.SIGKILL)
                killed.append(victim)
                return
            time.sleep(0.005)

    killer = threading.Thread(target=kill_one_worker)
    killer.start()
    records = run_study(NAME, out=out, overrides=MANY, dask=cluster.scheduler_address)
    killer.join()
    assert len(killed) == 1
    assert len(records) == 2 * 40 * 6
    assert facts(records) == facts(run_study(NAME, overrides=MANY))


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense://"])
def test_no_scheduler_is_said(address, monkeypatch):
    monkeypatch.setattr("sims.cluster._CONNECT_SECONDS", 0.5)
    with pytest.raises(InputError, match="dask: expected a scheduler at"):
        run_study(NAME, overrides=MANY | {"seeds": 1}, dask=address)
