"""How far each guarantee is from the certified worst case of the same excess risk.

python benchmarks/bound_tightness.py [instances] [seed]: a Markdown table of bound/worst case
(the attained value), median and 90 % quantile. Instances have 5 atoms with uniform Dirichlet
laws, γ in [0.05, 0.9], μ over two decades, δ in [1e-6, 1], T in {1, 1.5, 2, 4, 8}.
"""

from __future__ import annotations

import sys
from collections import defaultdict

import numpy as np

from t3theory import Mixture
from t3theory.bounds import guarantee
from t3theory.envelope import worst_case


def ratios(instances: int, seed: int) -> dict[tuple[str, str, bool], list[float]]:
    """bound/worst case for each (letter, form, T > 1), and the least bound of each quantity."""
    rng = np.random.default_rng(seed)
    found: dict[tuple[str, str, bool], list[float]] = defaultdict(list)
    for _ in range(instances):
        retain, forget = rng.dirichlet(np.ones(5), 2)
        m = Mixture(retain, forget, rng.uniform(0.05, 0.9), 10 ** rng.uniform(-2, 0, 5))
        delta, t = 10 ** rng.uniform(-6, 0), float(rng.choice([1, 1.5, 2, 4, 8]))
        for quantity in ("forget_error", "retain_error"):
            worst = worst_case(m, delta, temperature=t, quantity=quantity).lower
            bounds = [b for b in guarantee(m, delta, t) if b.quantity == quantity]
            for b in bounds:
                found[b.letter, b.variant, t > 1].append(b.value / worst)
            found["least", quantity, t > 1].append(min(b.value for b in bounds) / worst)
    return found


def main() -> None:
    """Print the table."""
    instances = int(sys.argv[1]) if len(sys.argv) > 1 else 150
    found = ratios(instances, int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    print("| bound | form | T = 1: median, 90 % | T > 1: median, 90 % |\n|---|---|---|---|")
    for letter, variant in sorted({key[:2] for key in found}):
        cells = []
        for hot in (False, True):
            values = found.get((letter, variant, hot))
            cells.append(
                "–" if values is None else "{:.2f}, {:.2f}".format(*np.quantile(values, [0.5, 0.9]))
            )
        print(f"| {letter} | {variant or '–'} | {cells[0]} | {cells[1]} |")


if __name__ == "__main__":
    main()
