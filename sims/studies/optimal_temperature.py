"""The best temperature against h, δ and n, beside the one that statement J predicts."""

from __future__ import annotations

import math

import numpy as np

from sims import memory
from sims.families import nested
from sims.learners import check_random, draw, random_of_risk, tabular
from sims.study import Config, Probe, Study
from t3theory._xp import log_sigmoid
from t3theory.classifier import excess_risk_of_log_odds
from t3theory.estimator import temper_then_tilt
from t3theory.exceptions import AssumptionError
from t3theory.mixture import Mixture
from t3theory.temperature import (
    Choice,
    optimal_temperature,
    spike_temperature,
    spike_worst_forget_error,
)

__all__ = ["STUDY"]

_GRID = np.geomspace(1, 16, 81)
_MOST_DRAWS = 10**12
"""As many as the field n allows."""
_RANGE = (1.0, 64.0)
"""Where the worst case's best T is looked for."""


_SATURATED = 1 - 1e-6
"""From here on the worst case is that of no mass on the spike at all, whatever T ≥ T*."""


def _draws(config: Config) -> int:
    # E[δ] ≤ |Z|/(n+1): statement K
    return math.ceil((config["retain_atoms"] + 1) / config["delta"]) - 1


def _check(config: Config) -> None:
    nested(config["h"], config["gamma"], config["retain_atoms"])
    atoms = config["retain_atoms"] + 1
    if not 1 <= _draws(config) <= _MOST_DRAWS:
        low, high = atoms / _MOST_DRAWS, atoms / 2
        raise AssumptionError("delta", f"must lie in [{low:g}, {high:g}] here", config["delta"])
    # Six vectors of the estimator for each classifier and temperature.
    memory.require("draws", config["draws"], 6 * 8 * len(_GRID) * atoms)


def _rehearse(config: Config, generator: np.random.Generator) -> None:
    mixture = nested(config["h"], config["gamma"], config["retain_atoms"])
    for _ in range(config["draws"]):
        check_random(mixture, config["delta"], generator)


def _best_worst(h: float, gamma: float, delta: float) -> Choice:
    """The least T at which the worst case's forget error is least.

    Where δ is large for h the worst case is 1 to within 1e-6, or exactly in floats, from T* on:
    a search for the minimum stops anywhere on that plateau, its left end is well defined.
    """
    found = optimal_temperature(
        lambda t: spike_worst_forget_error(h, gamma, delta, t), temperatures=_RANGE
    )
    # Before T* the error falls with T, so that the first T this low is found by bisection.
    low, high = _RANGE[0], found.temperature
    if spike_worst_forget_error(h, gamma, delta, low) <= found.forget:
        return found._replace(temperature=low)
    while (between := (low + high) / 2) not in (low, high):
        if spike_worst_forget_error(h, gamma, delta, between) <= found.forget:
            high = between
        else:
            low = between
    return found._replace(temperature=high)


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
    n = _draws(config)
    random = [random_of_risk(mixture, delta, generator) for _ in range(draws)]
    learnt = [tabular(draw(mixture, n, generator)) for _ in range(draws)]
    worst = _best_worst(h, gamma, delta)
    values = {
        # Below it the worst case falls with T, and it may be inf: then the end of the range is best.
        "temperature_predicted": min(spike_temperature(h, gamma, delta), _RANGE[1]),
        "temperature_worst": worst.temperature,
        "forget_error_worst": worst.forget,
        "worst_saturated": bool(worst.forget >= _SATURATED),
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
    rehearse=_rehearse,
)
