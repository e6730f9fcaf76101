"""The certified worst case: growth in the number of atoms, and against general-purpose solvers.

Run: python benchmarks/envelope.py [largest number of atoms]

Five Markdown tables. The first gives wall and processor seconds (best of three below 10⁵ atoms,
else one run) and the peak memory of a process of its own, for T = 1 and 2, the second the same of
the largest number of atoms for three other families. The third compares both errors on small
instances with SciPy's SLSQP over log-odds from five starts and, for up to eight atoms and the
forget error where cvxpy is installed, with the largest of 2ⁿ convex programmes, one for each choice
of signs. The fourth shows gaps and seconds of 1,000 atoms over the same families, and T, δ and γ far
from the first table's, the last how processor seconds are spread over 160 random laws of 1,000
atoms (best of two runs each).
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from scipy.optimize import NonlinearConstraint, minimize

from t3theory import (
    Mixture,
    bayes_classifier,
    excess_risk,
    forget_error,
    retain_error,
    temper_then_tilt,
)
from t3theory.classifier import log_odds_of
from t3theory.envelope import worst_case

DELTA = 0.01
FAR_GAMMA, FAR_DELTA = 0.3, 0.1  # of the second table
ERRORS = {"forget_error": forget_error, "retain_error": retain_error}
NEAR = 1e-5  # to which the other solvers are asked to converge, and a little more


def instance(n: int, seed: int = 0) -> Mixture:
    """All atoms shared by retain and forget data, none equal to another."""
    rng = np.random.default_rng(seed)
    retain, forget = rng.dirichlet(np.ones(n)), rng.dirichlet(np.full(n, 0.5))
    return Mixture(retain / retain.sum(), forget / forget.sum(), 0.1, rng.gamma(1, size=n) / 10)


def best_of(repeats: int, run: Callable[[], object]) -> tuple[float, float]:
    """Least wall and processor seconds of several runs."""
    walls, processors = [], []
    for _ in range(repeats):
        wall, processor = time.perf_counter(), time.process_time()
        run()
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
    return min(walls), min(processors)


def measure(
    n: int, temperature: float, quantity: str, family: str = ""
) -> tuple[float, float, float, float]:
    """Wall seconds, processor seconds, peak MiB and relative gap, for a process of its own."""
    m = Mixture(*families(n)[family], FAR_GAMMA) if family else instance(n)
    delta, gaps = FAR_DELTA if family else DELTA, []

    def run() -> None:
        gaps.append(worst_case(m, delta, temperature, quantity).gap)

    wall, processor = best_of(3 if n < 100_000 else 1, run)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return wall, processor, peak, gaps[0]


def slsqp(m: Mixture, temperature: float, quantity: str, starts: int = 5) -> float:
    """The largest error a general-purpose solver finds over log-odds."""
    rng = np.random.default_rng(0)
    star = np.asarray(log_odds_of(bayes_classifier(m)))

    def value(x: np.ndarray) -> float:
        log_f = -np.logaddexp(0, -x)
        log_q = temper_then_tilt(m.log_density, log_f, temperature, 1.0, m.log_reference)
        return -float(ERRORS[quantity](m, log_q))

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


def conic(m: Mixture, temperature: float) -> float:
    """The forget error's by exponential cones: y = f/N and t = 1/N make each choice of signs convex."""
    import cvxpy

    a, p = np.asarray(bayes_classifier(m)), np.asarray(m.probabilities)
    base = np.exp(np.asarray(m.log_density) / temperature)
    base /= np.sum(m.reference * base * a)  # any scale: this one keeps t near one
    y, t, signs = cvxpy.Variable(m.size), cvxpy.Variable(), cvxpy.Parameter(m.size)
    entropy = float(np.sum(p * (a * np.log(a) + (1 - a) * np.log1p(-a))))
    whole = t * np.ones(m.size)
    risk = p @ cvxpy.multiply(a, cvxpy.rel_entr(whole, y))
    risk += p @ cvxpy.multiply(1 - a, cvxpy.rel_entr(whole, whole - y)) + entropy * t
    error = cvxpy.multiply(signs, m.forget) @ (m.retain / m.reference)
    error -= cvxpy.multiply(signs, m.forget * base) @ y
    problem = cvxpy.Problem(
        cvxpy.Maximize(error), [(m.reference * base) @ y == 1, risk <= DELTA * t]
    )
    best = 0.0
    for choice in itertools.product((-1.0, 1.0), repeat=m.size):
        signs.value = np.array(choice)
        problem.solve(solver=cvxpy.CLARABEL)
        best = max(best, float(problem.value))
    return best


def growth(sizes: list[int], names: tuple[str, ...]) -> None:
    """Print the first table, or the second where the names are those of families."""
    print("\n| family | atoms | T | quantity | wall s | processor s | peak MiB | gap |")
    print("|---|---|---|---|---|---|---|---|")
    with ProcessPoolExecutor(
        1, multiprocessing.get_context("spawn"), max_tasks_per_child=1
    ) as pool:
        for name, n, t, quantity in itertools.product(names, sizes, (1.0, 2.0), ERRORS):
            wall, processor, peak, gap = pool.submit(measure, n, t, quantity, name).result()
            print(
                f"| {name or 'random'} | {n} | {t:g} | {quantity} | {wall:.4f} | {processor:.4f} "
                f"| {peak:.0f} | {gap:.1e} |",
                flush=True,
            )


def comparison() -> None:
    """Print the second table."""
    conic_too = importlib.util.find_spec("cvxpy") is not None
    print("\n| atoms | T | quantity | worst_case, s | SLSQP: value, time | cvxpy: value, time |")
    print("|---|---|---|---|---|---|")
    for n, t, quantity in itertools.product((2, 4, 8, 32), (1.0, 2.0), ERRORS):
        m = instance(n)
        lower, upper, _ = worst_case(m, DELTA, t, quantity)
        ours, _ = best_of(3, functools.partial(worst_case, m, DELTA, t, quantity))
        solvers: list[Callable[[], float]] = [functools.partial(slsqp, m, t, quantity)]
        if conic_too and quantity == "forget_error" and n <= 8:
            solvers.append(functools.partial(conic, m, t))
        cells = []
        for solve in solvers:
            start = time.perf_counter()
            value = solve()
            wall = time.perf_counter() - start
            verdict = "inside" if value >= lower * (1 - NEAR) else "less"
            verdict = verdict if value <= upper * (1 + NEAR) else "ABOVE"
            cells.append(f"{value:.7g} ({verdict}), {wall / ours:.2g}×")
        cells += ["–"] * (2 - len(cells))
        print(
            f"| {n} | {t:g} | {quantity} | [{lower:.7g}, {upper:.7g}], {ours:.4f} | "
            + " | ".join(cells)
            + " |",
            flush=True,
        )


def families(n: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Retain and forget laws: disjoint, overlapping with few heavy forget atoms, two Gaussians."""
    rng, half = np.random.default_rng(1), n // 2
    apart = np.zeros((2, n))
    apart[0, :half], apart[1, half:] = (
        rng.dirichlet(np.ones(half)),
        rng.dirichlet(np.full(half, 0.1)),
    )
    x = np.linspace(-4, 4, n)
    wide, narrow = np.exp(-(x**2) / 2), np.exp(-((x - 1) ** 2) / 0.02)
    return {
        "disjoint": (apart[0], apart[1]),
        "overlapping": (rng.dirichlet(np.ones(n)), rng.dirichlet(np.full(n, 0.1))),
        "Gaussian": (wide / wide.sum(), narrow / narrow.sum()),
    }


def corners(n: int = 1000) -> None:
    """Print how gaps and seconds are spread over families, T, δ, γ and both errors."""
    print(
        "\n| family | instances | seconds: median | 90 % | most | gaps above 10⁻³ | largest gap |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, (retain, forget) in families(n).items():
        seconds, gaps = [], []
        for t, delta, gamma, quantity in itertools.product(
            (1.0, 1.5, 2.0, 4.0), (1e-4, 1e-2, 0.1, 0.5, 1.0), (0.1, 0.5, 0.9), ERRORS
        ):
            m = Mixture(retain, forget, gamma)
            start = time.perf_counter()
            found = worst_case(m, delta, t, quantity)
            seconds.append(time.perf_counter() - start)
            gaps.append(found.gap)
        many = sum(gap > 1e-3 for gap in gaps)
        print(
            f"| {name} | {len(gaps)} | {np.median(seconds):.3f} | {np.quantile(seconds, 0.9):.3f} "
            f"| {max(seconds):.2f} | {many} | {max(gaps):.1e} |",
            flush=True,
        )


def spread(n: int = 1000, seeds: int = 40) -> None:
    """Print the processor milliseconds of random laws, shapes, γ, δ and base measures."""
    print("\n| quantity | T | instances | ms: median | 90 % | most | within 50 ms | largest gap |")
    print("|---|---|---|---|---|---|---|---|")
    for quantity, t in itertools.product(ERRORS, (1.0, 2.0)):
        times, gaps = [], []
        for seed in range(seeds):
            rng = np.random.default_rng(10_000 + seed)
            retain = rng.dirichlet(np.full(n, rng.choice([0.3, 1.0])))
            forget = rng.dirichlet(np.full(n, rng.choice([0.05, 0.1, 0.3, 0.5, 1.0])))
            gamma = float(rng.choice([0.01, 0.1, 0.3, 0.5, 0.9]))
            delta = float(10 ** rng.uniform(-4, np.log10(0.3)))
            even = rng.random() >= 0.5
            reference = np.full(n, 1 / n) if even else rng.gamma(1, size=n) / 10
            m = Mixture(retain / retain.sum(), forget / forget.sum(), gamma, reference)
            times.append(1e3 * best_of(2, functools.partial(worst_case, m, delta, t, quantity))[1])
            gaps.append(worst_case(m, delta, t, quantity).gap)
        within = sum(x <= 50 for x in times)
        print(
            f"| {quantity} | {t:g} | {seeds} | {np.median(times):.1f} | {np.quantile(times, 0.9):.1f} "
            f"| {max(times):.1f} | {within} | {max(gaps):.1e} |",
            flush=True,
        )


def main(largest: int) -> None:
    """Print all tables."""
    growth([10**k for k in range(2, 10) if 10**k <= largest], ("",))
    growth([largest], ("disjoint", "overlapping", "Gaussian"))
    comparison()
    corners()
    spread()


if __name__ == "__main__":
    main(int(float(sys.argv[1])) if len(sys.argv) > 1 else 1_000_000)
