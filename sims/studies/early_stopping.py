"""What stopping the classifier's training early does to its risk and to both errors."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import log_expit

from sims.families import spike_of
from sims.learners import descend, draw
from sims.measure import errors
from sims.study import Config, Measured, Study

__all__ = ["STUDY"]


def _measure(config: Config, generator: np.random.Generator) -> Measured:
    mixture = spike_of(config)
    counts = draw(mixture, config["n"], generator)
    found: Measured = []
    for steps, log_odds in descend(counts, config["steps"]).items():
        losses = -np.stack([log_expit(log_odds), log_expit(-log_odds)])
        in_sample = float((counts * losses).sum() / counts.sum())
        for t in config["temperature"]:
            values = errors(mixture, log_odds, t) | {"in_sample_loss": in_sample}
            found.append(({"steps": steps, "temperature": t}, values))
    return found


_COMMON: dict[str, Any] = {
    "gamma": 0.1,
    "overlap": 0.3,
    "skew": 1.0,
    "retain_atoms": 64,
    "forget_atoms": 4,
    "temperature": [1.0, 2.0],
}

STUDY = Study(
    name="early_stopping",
    question="When should the classifier's training stop?",
    scales={
        "mini": _COMMON
        | {
            "h": 1e4,
            "n": 300,
            "steps": [1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000],
            "seeds": 12,
        },
        "small": _COMMON
        | {
            "h": [1e2, 1e4],
            "n": [300, 3_000],
            "steps": [round(10 ** (k / 2)) for k in range(9)],
            "seeds": 30,
        },
        "full": _COMMON
        | {
            "h": [1e2, 1e4, 1e6],
            "n": [100, 300, 1_000, 3_000, 10_000],
            "steps": [round(10 ** (k / 4)) for k in range(4, 21)],
            "seeds": 100,
        },
    },
    measure=_measure,
    within=("steps", "temperature"),
    check=spike_of,
)
