"""Forget Gaussians that sharpen in 1 to 3 dimensions, at a fixed excess risk.

The classifier errs by leaning towards retain everywhere, as that of statement F does.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sims.families import fits, gaussian
from sims.learners import leaking
from sims.measure import errors
from sims.study import Config, Measured, Study
from t3theory.exceptions import AssumptionError
from t3theory.mixture import Mixture

__all__ = ["STUDY"]


def _mixture(config: Config) -> Mixture:
    return gaussian(config["width"], config["gamma"], config["atoms_per_axis"], config["dimension"])


def _check(config: Config) -> None:
    fits(config["atoms_per_axis"] ** config["dimension"])
    step = 8 / (config["atoms_per_axis"] - 1)
    if config["width"] < step:
        raise AssumptionError(
            "width",
            f"must be at least a grid step, 8/(atoms_per_axis − 1) = {step:.3g}",
            config["width"],
        )


def _measure(config: Config, generator: np.random.Generator) -> Measured:
    mixture = _mixture(config)
    log_odds = leaking(mixture, config["delta"])
    peak = float(mixture.forget_density_sup)
    return [
        ({"temperature": t}, errors(mixture, log_odds, t) | {"forget_density_sup": peak})
        for t in config["temperature"]
    ]


_COMMON: dict[str, Any] = {
    "gamma": 0.1,
    "delta": 0.01,
    "temperature": [1.0, 1.5, 2.0, 4.0],
    "seeds": 1,
}

STUDY = Study(
    name="gaussian_width",
    question="Do the rates hold for smooth, overlapping distributions in more than one dimension?",
    scales={
        "mini": _COMMON
        | {
            "width": [0.8, 0.4, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002],
            "dimension": 1,
            "atoms_per_axis": 8_000,
        },
        "small": _COMMON
        | {
            "width": [0.8, 0.4, 0.2, 0.1, 0.05, 0.025],
            "dimension": [1, 2],
            "atoms_per_axis": 400,
        },
        "full": _COMMON
        | {
            "width": [0.8, 0.4, 0.2, 0.1, 0.05],
            "dimension": [1, 2, 3],
            "atoms_per_axis": 200,
        },
    },
    measure=_measure,
    check=_check,
)
