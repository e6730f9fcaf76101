"""What a classifier learnt from balanced batches costs, and what correcting its prior gives back."""

from __future__ import annotations

import numpy as np

from sims.families import SPIKE, spike_of
from sims.learners import draw, tabular
from sims.measure import errors
from sims.study import Config, Probe, Study
from t3theory.classifier import change_prior
from t3theory.mixture import Mixture

__all__ = ["STUDY"]


def _prepare(config: Config, generator: np.random.Generator) -> Probe:
    mixture = spike_of(config)
    even = Mixture(mixture.retain, mixture.forget, 0.5, mixture.reference)
    # Each has the pseudo-counts of its own draws' prior, so that the shift is all that differs:
    # shifted, those of the balanced one are those of the natural one.
    balanced = tabular(draw(even, config["n"], generator))
    classifiers = {
        "natural": tabular(draw(mixture, config["n"], generator), mixture.gamma),
        "balanced": balanced,
        "corrected": change_prior(balanced, trained=0.5, wanted=mixture.gamma),
    }
    return lambda classifier, temperature: errors(mixture, classifiers[classifier], temperature)


STUDY = Study(
    name="prior_correction",
    question="Does a classifier of balanced batches need its class prior corrected?",
    common=SPIKE
    | {
        "overlap": 0.3,
        "classifier": ["natural", "balanced", "corrected"],
        "temperature": [1.0, 2.0],
    },
    scales={
        "mini": {"h": 1e4, "n": 10_000, "gamma": [0.01, 0.03, 0.1, 0.3], "seeds": 12},
        "small": {
            "h": [1e2, 1e4],
            "n": [1_000, 10_000],
            "gamma": [0.003, 0.01, 0.03, 0.1, 0.3],
            "seeds": 30,
        },
        "full": {
            "h": [1e2, 1e4, 1e6],
            "n": [1_000, 10_000, 100_000],
            "gamma": [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.5],
            "seeds": 30,
        },
    },
    prepare=_prepare,
    within=("classifier", "temperature"),
    check=spike_of,
)
