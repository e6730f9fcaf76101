"""What stopping the classifier's training early does to its risk and to both errors."""

from __future__ import annotations

import numpy as np
from scipy.special import log_expit

from sims.families import SPIKE, spike_of
from sims.learners import descend, draw
from sims.measure import errors
from sims.network import network
from sims.study import Config, Probe, Study
from t3theory.exceptions import AssumptionError

__all__ = ["STUDY"]


def _check(config: Config) -> None:
    spike_of(config)
    if config["learner"] == "logistic":
        raise AssumptionError("learner", "must be tabular or network: it is stopped", "logistic")


def _prepare(config: Config, generator: np.random.Generator) -> Probe:
    mixture = spike_of(config)
    counts = draw(mixture, config["n"], generator)
    if config["learner"] == "network":
        path = network(counts, config["steps"], generator)
    else:
        path = descend(counts, config["steps"])

    def probe(steps: int, temperature: float) -> dict[str, float]:
        losses = -np.stack([log_expit(path[steps]), log_expit(-path[steps])])
        in_sample = float((counts * losses).sum() / counts.sum())
        return errors(mixture, path[steps], temperature) | {"in_sample_loss": in_sample}

    return probe


STUDY = Study(
    name="early_stopping",
    question="When should the classifier's training stop?",
    common=SPIKE | {"overlap": 0.3, "learner": "tabular", "temperature": [1.0, 2.0]},
    scales={
        "mini": {
            "h": 1e4,
            "n": 300,
            "steps": [1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000],
            "seeds": 12,
        },
        "small": {
            "h": [1e2, 1e4],
            "n": [300, 3_000],
            "steps": [round(10 ** (k / 2)) for k in range(9)],
            "seeds": 30,
        },
        "full": {
            "h": 1e4,
            "n": [100, 1_000, 10_000],
            "learner": ["tabular", "network"],
            "steps": [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000],
            "seeds": 12,
        },
    },
    prepare=_prepare,
    within=("steps", "temperature"),
    check=_check,
)
