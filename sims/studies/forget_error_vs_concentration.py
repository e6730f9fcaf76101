"""Forget error against ‖p_f‖_∞ when the classifier is learnt from n samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from sims.families import SPIKE, spike_of
from sims.learners import train
from sims.measure import bounds, errors
from sims.study import Config, Probe, Study

__all__ = ["STUDY"]


def _prepare(config: Config, generator: np.random.Generator) -> Probe:
    mixture = spike_of(config)
    log_odds = train(config["learner"], mixture, config["n"], generator)

    def probe(temperature: float) -> dict[str, Any]:
        within = bounds(mixture, log_odds, temperature, "BCEFGH")
        return errors(mixture, log_odds, temperature) | within

    return probe


STUDY = Study(
    name="forget_error_vs_concentration",
    question="How does the forget error of a classifier learnt from n samples grow with ‖p_f‖_∞?",
    common=SPIKE
    | {"skew": 0.5, "spikes": 1, "learner": "tabular", "temperature": [1.0, 1.5, 2.0, 4.0]},
    scales={
        "mini": {"h": [10.0**k for k in range(7)], "n": 10_000, "seeds": 12},
        "small": {
            "h": [10 ** (k / 2) for k in range(13)],
            "n": [1_000, 10_000, 100_000],
            "seeds": 20,
        },
        "full": {
            "h": [10 ** (k / 2) for k in range(13)],
            "n": [1_000, 10_000, 100_000, 1_000_000],
            "learner": ["tabular", "logistic"],
            "seeds": 20,
        },
    },
    prepare=_prepare,
    check=spike_of,
)
