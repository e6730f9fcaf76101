"""Forget Gaussians that sharpen in 1 to 3 dimensions, at a fixed excess risk.

The classifier errs by leaning towards retain everywhere, as that of statement F does.
"""

from __future__ import annotations

import numpy as np

from sims.families import fits, gaussian
from sims.learners import leaking
from sims.measure import errors
from sims.study import Config, Probe, Study
from t3theory.exceptions import AssumptionError

__all__ = ["STUDY"]


def _check(config: Config) -> None:
    fits(config["atoms_per_axis"] ** config["dimension"])
    step = 8 / (config["atoms_per_axis"] - 1)
    if config["width"] < step:
        raise AssumptionError(
            "width",
            f"must be at least a grid step, 8/(atoms_per_axis − 1) = {step:.3g}",
            config["width"],
        )


def _prepare(config: Config, generator: np.random.Generator) -> Probe:
    fields = ("width", "gamma", "atoms_per_axis", "dimension", "components")
    mixture = gaussian(*(config[name] for name in fields))
    log_odds = leaking(mixture, config["delta"])
    peak = {"forget_density_sup": float(mixture.forget_density_sup)}
    return lambda temperature: errors(mixture, log_odds, temperature) | peak


STUDY = Study(
    name="gaussian_width",
    question="Do the rates hold for smooth, overlapping distributions in more than one dimension?",
    common={
        "gamma": 0.1,
        "delta": 0.01,
        "components": 1,
        "temperature": [1.0, 1.5, 2.0, 4.0],
        "seeds": 1,
    },
    scales={
        "mini": {
            "width": [0.8, 0.4, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002],
            "dimension": 1,
            "atoms_per_axis": 8_000,
        },
        "small": {
            "width": [0.8, 0.4, 0.2, 0.1, 0.05, 0.025],
            "dimension": [1, 2],
            "atoms_per_axis": 400,
        },
        "full": {
            "width": [0.8, 0.5, 0.3, 0.2, 0.13],
            "dimension": [1, 2, 3],
            "components": [1, 3],
            "atoms_per_axis": 64,
        },
    },
    prepare=_prepare,
    check=_check,
)
