"""Sharper guidance or tempering: what s and T each do to both errors."""

from __future__ import annotations

from typing import Any

import numpy as np

from sims.families import spike_of
from sims.learners import train
from sims.measure import errors
from sims.study import Config, Measured, Study

__all__ = ["STUDY"]


def _measure(config: Config, generator: np.random.Generator) -> Measured:
    mixture = spike_of(config)
    log_odds = train(config["learner"], mixture, config["n"], generator)
    return [
        ({"temperature": t, "guidance_scale": s}, errors(mixture, log_odds, t, s))
        for t in config["temperature"]
        for s in config["guidance_scale"]
    ]


_COMMON: dict[str, Any] = {
    "gamma": 0.1,
    "overlap": 0.0,
    "skew": 1.0,
    "retain_atoms": 64,
    "forget_atoms": 4,
    "learner": "tabular",
}

STUDY = Study(
    name="guidance_scale",
    question="Can a larger guidance scale do what tempering does?",
    scales={
        "mini": _COMMON
        | {
            "h": [1e2, 1e4, 1e6],
            "n": 1_000,
            "guidance_scale": [0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0],
            "temperature": [1.0, 1.5, 2.0, 4.0],
            "seeds": 12,
        },
        "small": _COMMON
        | {
            "h": [10.0**k for k in range(2, 7)],
            "n": [1_000, 10_000],
            "guidance_scale": [k / 4 for k in range(1, 17)],
            "temperature": [1.0, 1.5, 2.0, 4.0],
            "seeds": 30,
        },
        "full": _COMMON
        | {
            "h": [10.0**k for k in range(2, 7)],
            "n": [1_000, 10_000, 100_000],
            "guidance_scale": [k / 8 for k in range(1, 65)],
            "temperature": [1.0, 1.25, 1.5, 2.0, 3.0, 4.0],
            "seeds": 100,
        },
    },
    measure=_measure,
    within=("temperature", "guidance_scale"),
    check=spike_of,
)
