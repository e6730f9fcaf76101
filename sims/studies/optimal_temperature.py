"""The best temperature against h, δ and n, beside the one that statement J predicts."""

from __future__ import annotations

import math

import numpy as np

from sims.families import nested
from sims.learners import draw, random_of_risk, tabular
from sims.study import Config, Probe, Study
from t3theory._xp import log_sigmoid
from t3theory.classifier import excess_risk_of_log_odds
from t3theory.estimator import temper_then_tilt
from t3theory.mixture import Mixture
from t3theory.temperature import optimal_temperature, spike_temperature, spike_worst_forget_error

__all__ = ["STUDY"]

_GRID = np.geomspace(1, 16, 81)
_RANGE = (1.0, 64.0)
"""Where the worst case's best T is looked for."""


def _check(config: Config) -> None:
    nested(config["h"], config["gamma"], config["retain_atoms"])


def _best(mixture: Mixture, log_odds: np.ndarray) -> tuple[float, float, float]:
    """The T of the least mean forget error over classifiers, that error, and the one at T = 1."""
    log_q = temper_then_tilt(
        mixture.log_density,
        log_sigmoid(log_odds)[:, None, :],
        _GRID[:, None],
        1.0,
        mixture.log_reference,
    )
    # All forget mass is on the last atom, where p_r = 1.
    means = np.abs(np.expm1(log_q[..., -1])).mean(axis=0)
    at = int(means.argmin())
    return float(_GRID[at]), float(means[at]), float(means[0])


def _prepare(config: Config, generator: np.random.Generator) -> Probe:
    h, gamma, delta, draws = (config[name] for name in ("h", "gamma", "delta", "draws"))
    mixture = nested(h, gamma, config["retain_atoms"])
    n = math.ceil(mixture.size / delta) - 1  # E[δ] ≤ |Z|/(n+1): statement K
    random = [random_of_risk(mixture, delta, generator) for _ in range(draws)]
    learnt = [tabular(draw(mixture, n, generator)) for _ in range(draws)]
    worst = optimal_temperature(
        lambda t: spike_worst_forget_error(h, gamma, delta, t), temperatures=_RANGE
    )
    values = {
        # Below it the worst case falls with T, and it may be inf: then the end of the range is best.
        "temperature_predicted": min(spike_temperature(h, gamma, delta), _RANGE[1]),
        "temperature_worst": worst.temperature,
        "forget_error_worst": worst.forget,
        "forget_error_worst_guidance": spike_worst_forget_error(h, gamma, delta),
        "n": n,
        "excess_risk_learnt": float(np.mean([excess_risk_of_log_odds(mixture, f) for f in learnt])),
    }
    for name, classifiers in (("random", random), ("learnt", learnt)):
        best, least, guided = _best(mixture, np.stack(classifiers))
        values |= {
            f"temperature_{name}": best,
            f"forget_error_{name}": least,
            f"forget_error_{name}_guidance": guided,
        }
    return lambda: values


STUDY = Study(
    name="optimal_temperature",
    question="Which temperature is best, and does the closed form of statement J find it?",
    common={"gamma": 0.1, "retain_atoms": 16, "draws": 10},
    scales={
        "mini": {
            "h": [10.0**k for k in range(1, 7)],
            "delta": [1e-3, 1e-2, 1e-1],
            "seeds": 2,
        },
        "small": {
            "h": [10.0**k for k in range(1, 7)],
            "delta": [10.0**-k for k in range(1, 5)],
            "seeds": 10,
        },
        "full": {
            "h": [10 ** (k / 2) for k in range(2, 13)],
            "delta": [10 ** (-k / 2) for k in range(2, 9)],
            "seeds": 12,
        },
    },
    prepare=_prepare,
    within=(),
    check=_check,
)
