"""The construction of statement F: guidance diverges linearly in ‖p_f‖_∞ at any fixed δ."""

from __future__ import annotations

from typing import Any

import numpy as np

from sims.families import spike
from sims.learners import check_leaking, leaking
from sims.measure import bounds, errors
from sims.study import Config, Probe, Study
from t3theory.bounds import necessity_forget_error
from t3theory.mixture import Mixture

__all__ = ["STUDY"]


def _mixture(config: Config) -> Mixture:
    return spike(config["h"], config["gamma"], retain_atoms=1, forget_atoms=1)


def _check(config: Config) -> None:
    check_leaking(_mixture(config), config["delta"])


def _prepare(config: Config, generator: np.random.Generator) -> Probe:
    h, gamma, delta = config["h"], config["gamma"], config["delta"]
    mixture = _mixture(config)
    log_odds = leaking(mixture, delta)

    def probe(temperature: float) -> dict[str, Any]:
        exact = necessity_forget_error(h, gamma, delta, temperature)
        within = bounds(mixture, log_odds, temperature, "CEFG")
        return errors(mixture, log_odds, temperature) | within | {"forget_error_formula": exact}

    return probe


STUDY = Study(
    name="necessity",
    question="At a fixed excess risk, does guidance's forget error diverge with ‖p_f‖_∞?",
    common={"temperature": [1.0, 1.5, 2.0, 4.0], "gamma": 0.1, "seeds": 1},
    scales={
        "mini": {"h": [10.0**k for k in range(7)], "delta": [1e-3, 1e-2, 1e-1]},
        "small": {
            "h": [10 ** (k / 2) for k in range(17)],
            "delta": [10.0**-k for k in range(1, 6)],
        },
        "full": {
            "h": [10.0**k for k in range(11)],
            "delta": [10.0**-k for k in range(1, 6)],
        },
    },
    prepare=_prepare,
    check=_check,
)
