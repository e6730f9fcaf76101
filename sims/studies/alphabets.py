"""Large alphabets, few of whose symbols are to be forgotten: heavy tails and random weights."""

from __future__ import annotations

import numpy as np

from sims.families import dirichlet, fits, zipf
from sims.large import exact_errors
from sims.learners import train
from sims.study import Config, Probe, Study
from t3theory._xp import log_sigmoid
from t3theory.classifier import excess_risk_of_log_odds
from t3theory.exceptions import AssumptionError

__all__ = ["STUDY"]


def _check(config: Config) -> None:
    atoms, few = config["atoms"], config["forget_atoms"]
    fits(atoms, config["learner"])
    if few > atoms:
        raise AssumptionError("forget_atoms", f"must be at most atoms = {atoms}", few)


def _prepare(config: Config, generator: np.random.Generator) -> Probe:
    atoms, gamma, few = config["atoms"], config["gamma"], config["forget_atoms"]
    if config["family"] == "zipf":
        mixture = zipf(atoms, gamma, config["skew"], few)
    else:
        mixture = dirichlet(atoms, gamma, generator, forget_atoms=few)
    log_odds = train(config["learner"], mixture, config["n"], generator)
    about = {
        "excess_risk": float(excess_risk_of_log_odds(mixture, log_odds)),
        "forget_density_sup": float(mixture.forget_density_sup),
    }
    # All temperatures in two passes, in little memory: 10⁷ symbols are within reach.
    found = exact_errors(mixture, log_sigmoid(log_odds), config["temperature"], workers=1)
    at = {each.temperature: each for each in found}
    return lambda temperature: {
        "retain_error": at[temperature].retain_error,
        "forget_error": at[temperature].forget_error,
        **about,
    }


STUDY = Study(
    name="alphabets",
    question="Does tempering pay where symbols are many and most are rare?",
    common={
        "family": ["zipf", "dirichlet"],
        "gamma": 0.1,
        "skew": 1.0,
        "forget_atoms": 8,
        "learner": "tabular",
        "n": 10_000,
        "temperature": [1.0, 1.25, 1.5, 2.0, 3.0, 4.0],
    },
    scales={
        "mini": {"atoms": [100, 1_000, 10_000], "seeds": 6},
        "small": {"atoms": [100, 1_000, 10_000, 100_000], "n": [1_000, 10_000], "seeds": 10},
        "full": {
            "atoms": [100, 1_000, 10_000, 100_000, 1_000_000],
            "n": [1_000, 10_000, 100_000],
            "seeds": 10,
        },
    },
    prepare=_prepare,
    check=_check,
)
