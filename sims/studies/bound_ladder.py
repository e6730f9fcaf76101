"""How loose is each bound? True errors, the certified worst case and every bound at one point."""

from __future__ import annotations

from typing import Any

import numpy as np

from sims.families import spike_of
from sims.learners import leaking, random_of_risk
from sims.measure import errors
from sims.study import Config, Measured, Study
from t3theory.bounds import guarantee
from t3theory.envelope import worst_case

__all__ = ["STUDY"]


def _measure(config: Config, generator: np.random.Generator) -> Measured:
    mixture, delta = spike_of(config), config["delta"]
    random = [random_of_risk(mixture, delta, generator) for _ in range(config["draws"])]
    leaky = leaking(mixture, delta)
    found: Measured = []
    for t in config["temperature"]:
        values: dict[str, Any] = {}
        for quantity in ("retain_error", "forget_error"):
            # The search tries multipliers from e^−690 to e^690, whose squares overflow.
            with np.errstate(over="ignore"):
                certificate = worst_case(mixture, delta, t, quantity)
            values |= {
                f"{quantity}_random": [errors(mixture, f, t)[quantity] for f in random],
                f"{quantity}_leaking": errors(mixture, leaky, t)[quantity],
                f"{quantity}_attained": float(certificate.lower),
                f"{quantity}_certified": float(certificate.upper),
            }
        for bound in guarantee(mixture, delta, t):
            if np.isfinite(bound.value):
                name = f"{bound.letter} {bound.variant}".strip()
                values[f"{bound.quantity}_bound_{name}"] = float(bound.value)
        found.append(({"temperature": t}, values))
    return found


_COMMON: dict[str, Any] = {
    "gamma": 0.1,
    "overlap": 0.0,
    "skew": 1.0,
    "retain_atoms": 32,
    "forget_atoms": 4,
    "draws": 20,
    "seeds": 1,
}

STUDY = Study(
    name="bound_ladder",
    question="How far above the worst case, and above typical errors, does each bound stand?",
    scales={
        "mini": _COMMON | {"h": 1e3, "delta": 0.01, "temperature": [1.0, 2.0, 4.0]},
        "small": _COMMON
        | {
            "h": [1e1, 1e3, 1e5],
            "delta": [1e-4, 1e-2],
            "overlap": [0.0, 0.1],
            "temperature": [1.0, 1.5, 2.0, 4.0],
        },
        "full": _COMMON
        | {
            "h": [10.0**k for k in range(1, 7)],
            "delta": [10.0**-k for k in range(1, 6)],
            "overlap": [0.0, 0.1, 0.5],
            "temperature": [1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 8.0],
        },
    },
    measure=_measure,
    check=spike_of,
)
