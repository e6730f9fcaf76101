"""Divergences of a mixture's two distributions: this project, plain NumPy, SciPy and dit.

    pip install dit    # in an environment of its own; without it the others are still compared
    python benchmarks/divergences.py

KL(P_r‖P) on the same spikes, and the total variation that dit and NumPy give. dit builds a
distribution from a list of outcomes first, which is counted apart.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable

import numpy as np
from scipy.special import rel_entr

from sims.families import spike
from t3theory.divergences import kl_divergence
from t3theory.mixture import Mixture


def seconds(call: Callable[[], float]) -> tuple[float, float]:
    """The value, and the least seconds of at least five runs."""
    best, value, started = float("inf"), 0.0, time.perf_counter()
    for _ in range(1000):
        start = time.perf_counter()
        value = float(call())
        best = min(best, time.perf_counter() - start)
        if time.perf_counter() - started > 1:
            break
    return value, best


def ours(m: Mixture) -> dict[str, Callable[[], float]]:
    """This project's, from logarithms; SciPy's and plain NumPy's, from probabilities."""
    p, q, has = m.retain, m.probabilities, m.retain > 0
    m.log_retain, m.log_probabilities  # noqa: B018 (kept by the mixture once made)
    return {
        "KL t3theory": lambda: kl_divergence(m.log_retain, m.log_probabilities),
        "KL SciPy": lambda: rel_entr(p, q).sum(),
        "KL NumPy": lambda: (p[has] * np.log(p[has] / q[has])).sum(),
        "TV NumPy": lambda: np.abs(p - q).sum() / 2,
    }


def theirs(m: Mixture) -> dict[str, Callable[[], float]]:
    """dit's, in nats; empty where it is not installed, or would take minutes."""
    if importlib.util.find_spec("dit") is None or m.size > 1_000:
        return {}
    import dit
    from dit.divergences import kullback_leibler_divergence, variational_distance

    outcomes = [(i,) for i in range(m.size)]
    start = time.perf_counter()
    p, q = (dit.Distribution(outcomes, x, validate=False) for x in (m.retain, m.probabilities))
    print(f"  dit builds two distributions in {time.perf_counter() - start:.3f} s")
    found = {"KL dit": lambda: kullback_leibler_divergence(p, q) * np.log(2)}
    return found | ({"TV dit": lambda: variational_distance(p, q)} if m.size <= 100 else {})


def main() -> None:
    """Print a table for each number of atoms."""
    for atoms in (100, 1_000, 10_000):
        m = spike(1e4, 0.1, retain_atoms=atoms - 4, overlap=0.3, skew=1.0)
        print(f"{atoms:,} atoms")
        for name, call in (ours(m) | theirs(m)).items():
            value, taken = seconds(call)
            print(f"  {name:12} {value:.12f} {taken * 1e6:12.1f} µs")


if __name__ == "__main__":
    main()
