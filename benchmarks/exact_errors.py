"""Exact errors of a mixture of many atoms over a grid of temperatures, against the floor.

    python benchmarks/exact_errors.py [--atoms 1e7] [--out runs/benchmarks/exact_errors.jsonl]

The floor: one read of the inputs and one vectorised exponential for each atom and
temperature, with the same chunks and threads, into memory already at hand. The straightforward
version calls the estimator and both errors for each temperature. Forget data on a thousandth of
the atoms need one pass, forget data on all of them a second one, which the floor does not have.
"""

from __future__ import annotations

import argparse
import itertools
import os
import resource
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from sims.families import gaussian, zipf
from sims.large import exact_errors
from t3theory.errors import forget_error, retain_error
from t3theory.estimator import temper_then_tilt
from t3theory.mixture import Mixture
from t3theory.records import make_record, write_records

TEMPERATURES = [1 + k / 3 for k in range(10)]
CHUNK = 1 << 14  # the fastest for the exponential


def floor(mixture: Mixture, log_f: np.ndarray) -> None:
    """Read the four inputs once; one exponential for each atom and temperature."""

    inputs = (mixture.retain, mixture.forget, mixture.reference, log_f)
    turn = itertools.count()

    def work(out: np.ndarray) -> None:
        while (start := next(turn) * CHUNK) < mixture.size:
            for x in inputs:
                x[start : start + CHUNK].sum()
            x = log_f[start : start + CHUNK]
            for _ in TEMPERATURES:
                np.exp(x, out=out[: len(x)])

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(work, [np.empty(CHUNK) for _ in range(os.cpu_count() or 1)]))


def straightforward(mixture: Mixture, log_f: np.ndarray) -> None:
    """The public functions, one temperature after the other."""
    for t in TEMPERATURES:
        log_q = temper_then_tilt(mixture.log_density, log_f, t, 1.0, mixture.log_reference)
        retain_error(mixture, log_q)
        forget_error(mixture, log_q)


def naive(mixture: Mixture, log_f: np.ndarray) -> None:
    """What one would write in NumPy: whole arrays, no chunks, no logarithms kept."""
    p = (1 - mixture.gamma) * mixture.retain + mixture.gamma * mixture.forget
    density, retain_density = p / mixture.reference, mixture.retain / mixture.reference
    f, has = np.exp(log_f), mixture.retain > 0
    for t in TEMPERATURES:
        q = density ** (1 / t) * f
        q /= (q * mixture.reference).sum()
        (mixture.retain[has] * np.log(retain_density[has] / q[has])).sum()
        (mixture.forget * np.abs(retain_density - q)).sum()


def together(calls: dict[str, Callable[[], object]], repeats: int = 3) -> dict[str, float]:
    """The least seconds of each over rounds in which all take turns: a busy moment hits all."""
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(repeats):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def report(title: str, mixture: Mixture, rounds: int) -> dict[str, Any]:
    """Print what each way costs on one mixture; the record of it."""
    log_f = np.log(np.random.default_rng(0).uniform(0.01, 1, mixture.size))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    exact_errors(mixture, log_f, TEMPERATURES)
    extra = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20
    calls: dict[str, Callable[[], object]] = {
        "floor": lambda: floor(mixture, log_f),
        "exact_errors": lambda: exact_errors(mixture, log_f, TEMPERATURES),
    }
    print(
        f"{title}: {mixture.size:,} atoms, {len(TEMPERATURES)} temperatures, {extra:.3f} GiB more"
    )
    found = [together(calls) for _ in range(rounds)]
    found[0] |= together({"NumPy, plain": lambda: naive(mixture, log_f)}, repeats=1)
    if mixture.size <= 1_000_000:  # its temporaries are many times the inputs
        found[0] |= together({"estimator": lambda: straightforward(mixture, log_f)}, repeats=1)
    for taken in found:
        for name, value in taken.items():
            print(f"  {name:14} {value:8.3f} s   {value / taken['floor']:6.2f} floors")
    about = {"forget": title, "atoms": mixture.size, "temperatures": TEMPERATURES}
    values = {
        "floors": [taken["exact_errors"] / taken["floor"] for taken in found],
        "seconds": found,
        "more_gib": extra,
    }
    return make_record("benchmark.exact_errors", about | {"rounds": rounds}, 0, values)


def main() -> None:
    """Print a table for sparse and for dense forget data."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--atoms", type=float, default=1e7)
    parser.add_argument("--rounds", type=int, default=3, help="each the least of three calls")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    atoms = int(args.atoms)
    print(f"{os.cpu_count()} cores")
    mixtures = {
        "on a thousandth of the atoms": zipf(atoms, 0.1, forget_atoms=max(1, atoms // 1000)),
        "everywhere": gaussian(0.5, 0.1, round(atoms**0.5), dimension=2),
    }
    records = [report(title, mixture, args.rounds) for title, mixture in mixtures.items()]
    if args.out:
        write_records(args.out, records)


if __name__ == "__main__":
    main()
