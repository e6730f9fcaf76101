"""Exact errors of a mixture of many atoms over a grid of temperatures, against the floor.

    python benchmarks/exact_errors.py [atoms]

The floor: one read of the inputs and one vectorised exponential for each atom and
temperature, with the same chunks and threads. The straightforward version calls the
estimator and both errors for each temperature.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from sims.families import zipf
from sims.large import exact_errors
from t3theory.errors import forget_error, retain_error
from t3theory.estimator import temper_then_tilt
from t3theory.mixture import Mixture

TEMPERATURES = [1 + k / 3 for k in range(10)]
CHUNK = 1 << 15


def floor(mixture: Mixture, log_f: np.ndarray) -> None:
    """Read the four inputs once; one exponential for each atom and temperature."""

    def work(start: int) -> float:
        chunk = slice(start, start + CHUNK)
        inputs = (mixture.retain, mixture.forget, mixture.reference, log_f)
        total = sum(float(x[chunk].sum()) for x in inputs)
        x = log_f[chunk]
        out = np.empty_like(x)
        for _ in TEMPERATURES:
            np.exp(x, out=out)
        return total

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(work, range(0, mixture.size, CHUNK)))


def straightforward(mixture: Mixture, log_f: np.ndarray) -> None:
    """The public functions, one temperature after the other."""
    for t in TEMPERATURES:
        log_q = temper_then_tilt(mixture.log_density, log_f, t, 1.0, mixture.log_reference)
        retain_error(mixture, log_q)
        forget_error(mixture, log_q)


def seconds(call: Callable[..., object], *arguments: object, repeats: int = 3) -> float:
    """The least of some runs."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        call(*arguments)
        best = min(best, time.perf_counter() - start)
    return best


def main() -> None:
    """Print a line for each."""
    atoms = int(float(sys.argv[1])) if len(sys.argv) > 1 else 10_000_000
    mixture = zipf(atoms, gamma=0.1, forget_atoms=max(1, atoms // 1000))
    log_f = np.log(np.random.default_rng(0).uniform(0.01, 1, atoms))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    chunked = seconds(exact_errors, mixture, log_f, TEMPERATURES)
    extra = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20
    least = seconds(floor, mixture, log_f)
    print(f"{atoms:,} atoms, {len(TEMPERATURES)} temperatures, {os.cpu_count()} cores")
    print(f"floor            {least:8.3f} s")
    print(f"exact_errors     {chunked:8.3f} s   {chunked / least:.2f} floors, {extra:.2f} GiB more")
    if atoms <= 1_000_000:  # its temporaries are many times the inputs
        plain = seconds(straightforward, mixture, log_f)
        print(f"straightforward  {plain:8.3f} s   {plain / least:.2f} floors")


if __name__ == "__main__":
    main()
