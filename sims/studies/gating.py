"""Tempering every context against tempering only those that look like forget text."""

from __future__ import annotations

from typing import Any

import numpy as np

from sims.learners import tabular
from sims.sequences import memorised
from sims.study import Config, Measured, Study
from t3theory.exceptions import AssumptionError

__all__ = ["STUDY"]


def _check(config: Config) -> None:
    size = config["vocabulary"] ** config["length"]
    if size > 2**24:
        raise AssumptionError("vocabulary^length", f"must be at most {2**24}", size)
    if config["memorised"] > size:
        raise AssumptionError("memorised", f"must be at most {size}", config["memorised"])


def _measure(config: Config, generator: np.random.Generator) -> Measured:
    text = memorised(
        config["vocabulary"], config["length"], config["memorised"], config["gamma"], generator
    )
    log_odds = [tabular(counts) for counts in text.draw(config["n"], generator)]
    common = {
        "excess_risk": text.excess_risk(log_odds),
        "forget_density_sup": text.forget_density_sup,
    }
    found: Measured = []
    for t in config["temperature"]:
        for gate in config["gate"]:
            log_q, shares = text.decode(log_odds, t, gate, config["gate_threshold"])
            found.append(({"temperature": t, "gate": gate}, common | shares | text.errors(log_q)))
    return found


_COMMON: dict[str, Any] = {
    "vocabulary": 10,
    "length": 5,
    "memorised": 8,
    "gamma": 0.1,
    "gate": ["none", "hard", "soft"],
    "gate_threshold": 0.5,
}

STUDY = Study(
    name="gating",
    question="Does tempering only suspicious contexts keep the forget error and spare the retain?",
    scales={
        "mini": _COMMON | {"n": 2_000, "temperature": [1.0, 1.5, 2.0, 3.0, 4.0], "seeds": 12},
        "small": _COMMON
        | {
            "length": [4, 5],
            "gate_threshold": [0.25, 0.5, 0.75],
            "n": [500, 2_000, 20_000],
            "temperature": [1.0, 1.5, 2.0, 3.0, 4.0],
            "seeds": 20,
        },
        "full": _COMMON
        | {
            "vocabulary": [10, 16],
            "length": [4, 5],
            "gate_threshold": [0.1, 0.25, 0.5, 0.75],
            "n": [500, 2_000, 20_000, 200_000],
            "temperature": [1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 6.0],
            "seeds": 50,
        },
    },
    measure=_measure,
    within=("temperature", "gate"),
    check=_check,
)
