"""The construction of statement F: guidance diverges linearly in ‖p_f‖_∞ at any fixed δ."""

from __future__ import annotations

from typing import Any

import numpy as np

from sims.families import spike
from sims.learners import leaking
from sims.measure import bounds, errors
from sims.study import Config, Measured, Study
from t3theory.bounds import necessity_forget_error

__all__ = ["STUDY"]


def _measure(config: Config, generator: np.random.Generator) -> Measured:
    h, gamma, delta = config["h"], config["gamma"], config["delta"]
    mixture = spike(h, gamma, retain_atoms=1, forget_atoms=1)
    log_odds = leaking(mixture, delta)
    return [
        (
            {"temperature": t},
            errors(mixture, log_odds, t)
            | bounds(mixture, log_odds, t, "CEFG")
            | {"forget_error_formula": necessity_forget_error(h, gamma, delta, t)},
        )
        for t in config["temperature"]
    ]


_COMMON: dict[str, Any] = {"temperature": [1.0, 1.5, 2.0, 4.0], "gamma": 0.1, "seeds": 1}

STUDY = Study(
    name="necessity",
    question="At a fixed excess risk, does guidance's forget error diverge with ‖p_f‖_∞?",
    scales={
        "mini": _COMMON | {"h": [10.0**k for k in range(7)], "delta": [1e-3, 1e-2, 1e-1]},
        "small": _COMMON
        | {"h": [10 ** (k / 2) for k in range(17)], "delta": [10.0**-k for k in range(1, 6)]},
        "full": _COMMON
        | {"h": [10 ** (k / 4) for k in range(41)], "delta": [10.0**-k for k in range(1, 9)]},
    },
    measure=_measure,
)
