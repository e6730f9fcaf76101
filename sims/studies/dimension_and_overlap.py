"""The worst errors against δ, by the dimension of the space and the overlap of the Gaussians."""

from __future__ import annotations

from typing import Any

import numpy as np

from sims import memory
from sims.families import fits, gaussian
from sims.learners import check_random, random_of_risk
from sims.measure import errors
from sims.study import Config, Probe, Study
from t3theory.classifier import overlap
from t3theory.envelope import worst_case
from t3theory.exceptions import AssumptionError
from t3theory.mixture import Mixture

__all__ = ["STUDY"]


def _mixture(config: Config) -> Mixture:
    d = config["dimension"]
    side = round(config["atoms"] ** (1 / d))
    return gaussian(config["width"], config["gamma"], side, d, 1, config["distance"])


def _check(config: Config) -> None:
    atoms, d = config["atoms"], config["dimension"]
    fits(atoms, "worst case")
    if round(atoms ** (1 / d)) < 2:
        raise AssumptionError("atoms", f"must be at least 2^dimension = {2**d}", atoms)
    memory.require("draws", config["draws"], 8 * atoms)


def _rehearse(config: Config, generator: np.random.Generator) -> None:
    mixture = _mixture(config)
    for _ in range(config["draws"]):
        check_random(mixture, config["delta"], generator)


def _prepare(config: Config, generator: np.random.Generator) -> Probe:
    mixture, delta = _mixture(config), config["delta"]
    random = [random_of_risk(mixture, delta, generator) for _ in range(config["draws"])]
    about = {
        "overlap": float(overlap(mixture)),
        "density_sup": float(mixture.density_sup),
        "forget_density_sup": float(mixture.forget_density_sup),
    }

    def probe(temperature: float) -> dict[str, Any]:
        certificate = worst_case(mixture, delta, temperature)
        found = [errors(mixture, f, temperature) for f in random]
        return about | {
            "retain_error_random": [each["retain_error"] for each in found],
            "forget_error_random": [each["forget_error"] for each in found],
            "forget_error_attained": float(certificate.lower),
            "forget_error_certified": float(certificate.upper),
        }

    return probe


STUDY = Study(
    name="dimension_and_overlap",
    question="Does overlap slow the forget error's rate from δ to √δ, in every dimension?",
    common={"gamma": 0.1, "width": 0.5, "draws": 20, "seeds": 1},
    scales={
        "mini": {
            "dimension": [1, 2],
            "distance": [0.0, 4.0],
            "delta": [1e-4, 1e-2, 1e-1],
            "atoms": 100,
            "temperature": 1.0,
        },
        "small": {
            "dimension": [1, 2, 3],
            "distance": [0.0, 4.0],
            "delta": [1e-5, 1e-4, 1e-3, 1e-2, 1e-1],
            "atoms": 343,
            "temperature": [1.0, 2.0],
        },
        "full": {
            "dimension": [1, 2, 3],
            "distance": [0.0, 2.0, 4.0],
            "delta": [10.0**-k for k in range(1, 7)],
            "atoms": 4_096,
            "temperature": [1.0, 2.0],
        },
    },
    prepare=_prepare,
    check=_check,
    rehearse=_rehearse,
)
