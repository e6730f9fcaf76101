"""Forget Gaussians that sharpen in 1 to 3 dimensions, at a fixed excess risk.

The classifier errs by leaning towards retain everywhere, as that of statement F does. Cells
follow the width, so that it goes to 0 in every dimension.
"""

from __future__ import annotations

import numpy as np

from sims.grids import narrowing
from sims.learners import check_leaking, leaking
from sims.measure import errors
from sims.study import Config, Probe, Study
from t3theory.mixture import Mixture

__all__ = ["STUDY"]


def _mixture(config: Config) -> Mixture:
    fields = ("width", "gamma", "atoms_per_axis", "dimension", "components")
    return narrowing(*(config[name] for name in fields))


def _check(config: Config) -> None:
    check_leaking(_mixture(config), config["delta"])


def _prepare(config: Config, generator: np.random.Generator) -> Probe:
    mixture = _mixture(config)
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
            "atoms_per_axis": 64,
        },
        "small": {
            "width": [0.8, 0.4, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002],
            "dimension": [1, 2],
            "atoms_per_axis": 64,
        },
        "full": {
            "width": [0.8, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 1e-3, 1e-4],
            "dimension": [1, 2, 3],
            "components": [1, 3],
            "atoms_per_axis": 48,
        },
    },
    prepare=_prepare,
    check=_check,
)
