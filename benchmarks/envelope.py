"""Time of the certified worst case, as ratios: to one exponential of each atom, and to SLSQP.

Run: python benchmarks/envelope.py [largest number of atoms]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
from scipy.optimize import NonlinearConstraint, minimize

from t3theory import Mixture, bayes_classifier, excess_risk, forget_error, temper_then_tilt
from t3theory.classifier import log_odds_of
from t3theory.envelope import worst_case

DELTA, TEMPERATURE = 0.01, 2.0


def instance(n: int, seed: int = 0) -> Mixture:
    """All atoms shared by retain and forget data, none equal to another."""
    rng = np.random.default_rng(seed)
    retain, forget = rng.dirichlet(np.ones(n)), rng.dirichlet(np.full(n, 0.5))
    return Mixture(retain / retain.sum(), forget / forget.sum(), 0.1, rng.gamma(1, size=n) / 10)


def best_of(repeats: int, run: Callable[[], object]) -> float:
    """Least seconds of several runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def slsqp(m: Mixture, starts: int = 5) -> float:
    """The largest forget error a general-purpose solver finds over log-odds."""
    rng = np.random.default_rng(0)
    star = np.asarray(log_odds_of(bayes_classifier(m)))

    def value(x: np.ndarray) -> float:
        log_f = -np.logaddexp(0, -x)
        log_q = temper_then_tilt(m.log_density, log_f, TEMPERATURE, 1.0, m.log_reference)
        return -float(forget_error(m, log_q))

    def risk(x: np.ndarray) -> float:
        return float(excess_risk(m, 1 / (1 + np.exp(-x))))

    best = 0.0
    for _ in range(starts):
        start = star + 0.1 * rng.normal(size=m.size)
        budget = NonlinearConstraint(risk, 0, DELTA)
        found = minimize(value, start, method="SLSQP", constraints=[budget])
        if risk(found.x) <= DELTA * (1 + 1e-6):
            best = max(best, -found.fun)
    return best


def main(largest: int) -> None:
    """Print the two tables."""
    print("atoms      quantity        seconds   x one exp   relative gap")
    n = 100
    while n <= largest:
        m = instance(n)
        x = np.random.default_rng(1).normal(size=n)
        unit = best_of(5, lambda x=x: np.exp(x))
        for quantity in ("forget_error", "retain_error"):
            seconds = best_of(
                3 if n <= 10_000 else 1,
                lambda m=m, q=quantity: worst_case(m, DELTA, TEMPERATURE, q),
            )
            gap = worst_case(m, DELTA, TEMPERATURE, quantity).gap if n <= 10_000 else float("nan")
            print(f"{n:<10} {quantity:<14} {seconds:9.4f} {seconds / unit:10.0f}   {gap:.1e}")
        n *= 10
    print("\natoms  worst_case  SLSQP/worst_case (value)  SLSQP/worst_case (time)")
    for n in (2, 4, 8, 16):
        m = instance(n)
        ours = worst_case(m, DELTA, TEMPERATURE)
        fast, slow = (
            best_of(3, lambda m=m: worst_case(m, DELTA, TEMPERATURE)),
            best_of(1, lambda m=m: slsqp(m)),
        )
        print(f"{n:<6} {ours.lower:<11.6g} {slsqp(m) / ours.lower:<25.6f} {slow / fast:.1f}")


if __name__ == "__main__":
    main(int(float(sys.argv[1])) if len(sys.argv) > 1 else 1_000_000)
