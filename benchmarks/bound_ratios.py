"""How near each bound comes to the true error: the largest ratio a random search finds.

python benchmarks/bound_ratios.py [instances] [seed]: a Markdown table, upper bounds as
error/bound (both less the bias of tempering, which is exact), lower ones as bound/error. Instances have 2 to 7 atoms; one
in four each: disjoint supports, nearly equal laws, a constant perturbation, two-level
classifiers.
"""

from __future__ import annotations

import math
import sys

import numpy as np

from t3theory import Mixture, bayes_classifier, temper_then_tilt
from t3theory.bounds import evaluate
from t3theory.errors import forget_error, retain_error


def mixture(rng: np.random.Generator) -> Mixture:
    """A random mixture of 2 to 7 atoms."""
    n = int(rng.integers(2, 8))
    p, q = (rng.dirichlet(np.full(n, 10 ** rng.uniform(-1.5, 1))) for _ in "rf")
    kind = rng.integers(3)
    if kind == 0:
        cut = int(rng.integers(1, n))
        p[:cut], q[cut:] = 1e-30, 1e-30
        p, q = np.where(p > 1e-20, p, 0), np.where(q > 1e-20, q, 0)
        p[-1], q[0] = p[-1] + (p.sum() == 0), q[0] + (q.sum() == 0)
    elif kind == 1:
        q = p * np.exp(0.1 * rng.normal(size=n))
    p, q = p / p.sum(), q / q.sum()
    gamma = 1 / (1 + math.exp(-3 * rng.normal()))
    return Mixture(p / p.sum(), q / q.sum(), gamma, 10 ** rng.uniform(-3, 1, n))


def classifier(rng: np.random.Generator, m: Mixture) -> np.ndarray:
    """Near the Bayes classifier at a random scale, or at a few levels."""
    best = np.clip(bayes_classifier(m), 1e-14, 1 - 1e-14)
    if rng.random() < 0.3:
        return rng.choice([1e-9, 1e-3, 0.5, 0.999, 1 - 1e-9], m.size)
    noise = 10 ** rng.uniform(-4, 1) * rng.choice([rng.normal(), 1.0], m.size)
    return 1 / (1 + np.exp(-(np.log(best) - np.log1p(-best) + noise * rng.normal(size=m.size))))


def search(instances: int, seed: int) -> dict[tuple[str, str, bool], float]:
    """The largest ratio for each (letter, variant, T > 1)."""
    rng = np.random.default_rng(seed)
    best: dict[tuple[str, str, bool], float] = {}
    for _ in range(instances):
        m, t = mixture(rng), float(rng.choice([1, 1, 1.3, 2, 3, 8, 50]))
        f = classifier(rng, m)
        log_q = temper_then_tilt(m.log_density, np.log(f), t, 1.0, m.log_reference)
        errors = {"retain_error": retain_error(m, log_q), "forget_error": forget_error(m, log_q)}
        for b in evaluate(m, f, t):
            error = float(errors[b.quantity])
            bias = b.terms.get("forget_bias", b.terms.get("retain_bias", 0.0))
            error, value = error - bias, b.value - bias
            if min(error, value) < 1e-6 * max(bias, 1e-3):
                continue  # what is left of the two is rounding
            ratio = error / value if b.direction == "upper" else value / error
            key = (b.letter, b.variant, t > 1)
            best[key] = max(best.get(key, 0.0), ratio)
    return best


def main() -> None:
    """Print the table."""
    instances = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    found = search(instances, int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    print("| bound | form | T = 1 | T > 1 |\n|---|---|---|---|")
    for letter, variant in sorted({key[:2] for key in found}):
        one, above = (found.get((letter, variant, hot)) for hot in (False, True))
        cells = ["–" if x is None else f"{x:.6f}" for x in (one, above)]
        print(f"| {letter} | {variant or '–'} | {cells[0]} | {cells[1]} |")


if __name__ == "__main__":
    main()
