"""How loose is each bound? True errors, the certified worst case and every bound at one point."""

from __future__ import annotations

from typing import Any

import numpy as np

from sims import memory
from sims.families import SPIKE, fits, spike_of
from sims.learners import check_leaking, check_random, leaking, random_of_risk
from sims.measure import check_bounded, errors
from sims.study import Config, Probe, Study
from t3theory.bounds import guarantee
from t3theory.envelope import worst_case

__all__ = ["STUDY"]


def _check(config: Config) -> None:
    mixture = spike_of(config)
    fits(mixture.size, "worst case")
    check_bounded(config["temperature"])
    check_leaking(mixture, config["delta"])
    memory.require("draws", config["draws"], 8 * mixture.size)


def _rehearse(config: Config, generator: np.random.Generator) -> None:
    for _ in range(config["draws"]):
        check_random(spike_of(config), config["delta"], generator)


def _prepare(config: Config, generator: np.random.Generator) -> Probe:
    mixture, delta = spike_of(config), config["delta"]
    random = [random_of_risk(mixture, delta, generator) for _ in range(config["draws"])]
    leaky = leaking(mixture, delta)

    def probe(temperature: float) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for quantity in ("retain_error", "forget_error"):
            certificate = worst_case(mixture, delta, temperature, quantity)
            values |= {
                f"{quantity}_random": [errors(mixture, f, temperature)[quantity] for f in random],
                f"{quantity}_leaking": errors(mixture, leaky, temperature)[quantity],
                f"{quantity}_attained": float(certificate.lower),
                f"{quantity}_certified": float(certificate.upper),
            }
        for bound in guarantee(mixture, delta, temperature):
            if np.isfinite(bound.value):
                name = f"{bound.letter} {bound.variant}".strip()
                values[f"{bound.quantity}_bound_{name}"] = float(bound.value)
        return values

    return probe


STUDY = Study(
    name="bound_ladder",
    question="How far above the worst case, and above typical errors, does each bound stand?",
    common=SPIKE | {"retain_atoms": 32, "draws": 20, "seeds": 1},
    scales={
        "mini": {"h": 1e3, "delta": 0.01, "temperature": [1.0, 2.0, 4.0]},
        "small": {
            "h": [1e1, 1e3, 1e5],
            "delta": [1e-4, 1e-2],
            "overlap": [0.0, 0.1],
            "temperature": [1.0, 1.5, 2.0, 4.0],
        },
        "full": {
            "h": [1e1, 1e3, 1e5],
            "delta": [10.0**-k for k in range(1, 6)],
            "overlap": [0.0, 0.1],
            "temperature": [1.0, 1.5, 2.0, 4.0],
        },
    },
    prepare=_prepare,
    check=_check,
    rehearse=_rehearse,
)
