"""Exact errors of a mixture of many atoms over a grid of temperatures, against the floor.

    python benchmarks/exact_errors.py [atoms]

The floor: one read of the inputs and one vectorised exponential for each atom and
temperature, with the same chunks and threads. The straightforward version calls the
estimator and both errors for each temperature. Forget data on a thousandth of the atoms need
one pass, forget data on all of them a second one, which the floor does not have.
"""

from __future__ import annotations

import itertools
import os
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from sims.families import gaussian, zipf
from sims.large import exact_errors
from t3theory.errors import forget_error, retain_error
from t3theory.estimator import temper_then_tilt
from t3theory.mixture import Mixture

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


def report(title: str, mixture: Mixture) -> None:
    """Print what each way costs on one mixture."""
    log_f = np.log(np.random.default_rng(0).uniform(0.01, 1, mixture.size))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    exact_errors(mixture, log_f, TEMPERATURES)
    extra = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20
    calls: dict[str, Callable[[], object]] = {
        "floor": lambda: floor(mixture, log_f),
        "exact_errors": lambda: exact_errors(mixture, log_f, TEMPERATURES),
    }
    taken = together(calls, repeats=7)
    taken |= together({"NumPy, plain": lambda: naive(mixture, log_f)}, repeats=1)
    if mixture.size <= 1_000_000:  # its temporaries are many times the inputs
        taken |= together({"estimator": lambda: straightforward(mixture, log_f)}, repeats=1)
    print(
        f"{title}: {mixture.size:,} atoms, {len(TEMPERATURES)} temperatures, {extra:.3f} GiB more"
    )
    for name, value in taken.items():
        print(f"  {name:14} {value:8.3f} s   {value / taken['floor']:6.2f} floors")


def main() -> None:
    """Print a table for sparse and for dense forget data."""
    atoms = int(float(sys.argv[1])) if len(sys.argv) > 1 else 10_000_000
    print(f"{os.cpu_count()} cores")
    report("forget data on a thousandth", zipf(atoms, 0.1, forget_atoms=max(1, atoms // 1000)))
    report("forget data everywhere", gaussian(0.5, 0.1, round(atoms**0.5), dimension=2))


if __name__ == "__main__":
    main()
