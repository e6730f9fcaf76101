"""Forget error against ‖p_f‖_∞ when the classifier is learnt from n samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from sims.families import spike_of
from sims.learners import train
from sims.measure import bounds, errors
from sims.study import Config, Measured, Study

__all__ = ["STUDY"]


def _measure(config: Config, generator: np.random.Generator) -> Measured:
    mixture = spike_of(config)
    log_odds = train(config["learner"], mixture, config["n"], generator)
    return [
        (
            {"temperature": t},
            errors(mixture, log_odds, t) | bounds(mixture, log_odds, t, "BCEFGH"),
        )
        for t in config["temperature"]
    ]


_COMMON: dict[str, Any] = {
    "temperature": [1.0, 1.5, 2.0, 4.0],
    "gamma": 0.1,
    "overlap": 0.0,
    "skew": 0.5,
    "retain_atoms": 64,
    "forget_atoms": 4,
    "learner": "tabular",
}

STUDY = Study(
    name="forget_error_vs_concentration",
    question="How does the forget error of a classifier learnt from n samples grow with ‖p_f‖_∞?",
    scales={
        "mini": _COMMON | {"h": [10.0**k for k in range(7)], "n": 10_000, "seeds": 12},
        "small": _COMMON
        | {"h": [10 ** (k / 2) for k in range(13)], "n": [1_000, 10_000, 100_000], "seeds": 20},
        "full": _COMMON
        | {
            "h": [10 ** (k / 4) for k in range(25)],
            "n": [1_000, 10_000, 100_000, 1_000_000],
            "learner": ["tabular", "logistic"],
            "seeds": 50,
        },
    },
    measure=_measure,
    check=spike_of,
)
