"""How far bounds are from the certified worst case of forget error on the spike family.

python benchmarks/bound_spike.py [atoms] [points] [seed]: the largest ratios and where they are.
P_r is uniform on measure 1, P_f on a part of measure 1/h (h = 1: the two are one law); each part
is split into `atoms` equal atoms, so that a classifier may vary on it as on a continuum. log h is
uniform over [1, 10⁶], log δ over [10⁻⁶, 1], γ in {0.01, 0.1, 0.5}, T in {1, 1.5, 2, 4, 8}; a half of the
points have h ≤ 4, where the family is hardest, and the corners are always among them. Two bounds
are compared: the least closed form (`guarantee`) and the dual of statement I over all normalisers at
once, without branching (`worst_case(..., nodes=0)`).
"""

from __future__ import annotations

import itertools
import sys
from typing import NamedTuple

import numpy as np

from t3theory import Mixture
from t3theory.bounds import guarantee
from t3theory.envelope import worst_case

GAMMAS, TEMPERATURES = (0.01, 0.1, 0.5), (1.0, 1.5, 2.0, 4.0, 8.0)


class Found(NamedTuple):
    """One point of the family: each bound over the attained worst case, and the closed form's name."""

    ratio: float
    closed: float
    dual: float
    h: float
    gamma: float
    delta: float
    temperature: float
    worst: float
    bound: str


def spike(h: float, gamma: float, atoms: int) -> Mixture:
    """The family's member, `atoms` on the spike and as many off it."""
    if h == 1:
        same = np.full(atoms, 1 / atoms)
        return Mixture(same, same, gamma, same)
    retain = np.r_[np.full(atoms, 1 / h / atoms), np.full(atoms, (1 - 1 / h) / atoms)]
    forget = np.r_[np.full(atoms, 1 / atoms), np.zeros(atoms)]
    return Mixture(retain, forget, gamma, retain)


def measure(h: float, gamma: float, delta: float, temperature: float, atoms: int) -> Found:
    """The ratio at one point."""
    m = spike(h, gamma, atoms)
    worst = worst_case(m, delta, temperature=temperature).lower
    bounds = [b for b in guarantee(m, delta, temperature) if b.quantity == "forget_error"]
    least = min(bounds, key=lambda b: b.value)
    name = f"{least.letter} {least.variant}".strip()
    closed = least.value / worst
    dual = worst_case(m, delta, temperature=temperature, nodes=0).upper / worst
    return Found(min(closed, dual), closed, dual, h, gamma, delta, temperature, worst, name)


def main() -> None:
    """Print how many ratios are above 2, and the ten points where the lesser bound is worst."""
    given = [int(x) for x in sys.argv[1:]]
    atoms, points, seed = given + [8, 60, 0][len(given) :]
    rng = np.random.default_rng(seed)
    least = 1.0 if atoms > 1 else 1.01  # one atom at h = 1 leaves nothing to err on
    grid = list(itertools.product((least, 1e6), (0.1,), (1e-6, 1.0), (1.0, 2.0, 8.0)))
    for i in range(points):
        h = 10 ** rng.uniform(0, 6 if i % 2 else 0.6)
        delta = 10 ** rng.uniform(-6, 0)
        grid.append((h, rng.choice(GAMMAS), delta, rng.choice(TEMPERATURES)))
    found = sorted((measure(*map(float, point), atoms) for point in grid), reverse=True)
    for name in ("closed", "dual", "ratio"):
        values = [getattr(x, name) for x in found]
        print(
            f"{name}: {sum(v > 2 for v in values)} of {len(found)} above 2, largest {max(values):.4g}"
        )
    print("| least | closed | dual | h | γ | δ | T | worst case | closed form |")
    print("|---|---|---|---|---|---|---|---|---|")
    for x in found[:10]:
        print("|", " | ".join(f"{v:.4g}" if isinstance(v, float) else v for v in x), "|")


if __name__ == "__main__":
    main()
