"""What every study measures of a classifier: exact errors, every bound, the worst case."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from scipy.special import expit

from sims.families import spike_of
from sims.learners import train
from sims.study import Config, Probe
from t3theory._xp import log_sigmoid
from t3theory.bounds import evaluate
from t3theory.classifier import excess_risk_of_log_odds
from t3theory.errors import forget_error, retain_error
from t3theory.estimator import temper_then_tilt
from t3theory.exceptions import AssumptionError
from t3theory.mixture import Mixture

__all__ = ["bounds", "check_bounded", "errors", "learnt_errors"]


def errors(
    mixture: Mixture, log_odds: np.ndarray, temperature: float, guidance_scale: float = 1.0
) -> dict[str, float]:
    """Excess risk, retain error and forget error of p^{1/T} f^s, exactly."""
    log_q = temper_then_tilt(
        mixture.log_density,
        log_sigmoid(log_odds),
        temperature,
        guidance_scale,
        mixture.log_reference,
    )
    return {
        "excess_risk": float(excess_risk_of_log_odds(mixture, log_odds)),
        "retain_error": float(retain_error(mixture, log_q)),
        "forget_error": float(forget_error(mixture, log_q)),
    }


def bounds(
    mixture: Mixture, log_odds: np.ndarray, temperature: float, letters: Iterable[str]
) -> dict[str, Any]:
    """The best form of each lettered bound, as `<quantity>_<direction>_<letter>`."""
    wanted = set(letters)
    found: dict[str, float] = {}
    for bound in evaluate(mixture, expit(log_odds), temperature):
        if bound.letter not in wanted:
            continue
        key = f"{bound.quantity}_{bound.direction}_{bound.letter}"
        pick = min if bound.direction == "upper" else max
        found[key] = pick(bound.value, found.get(key, bound.value))
    return {key: value for key, value in found.items() if np.isfinite(value)}


def check_bounded(temperatures: Iterable[float]) -> None:
    """Refuse a T below 1: no bound of both errors is known there."""
    for t in temperatures:
        if t < 1:
            raise AssumptionError("temperature", "must be at least 1: bounds are for T ≥ 1", t)


def learnt_errors(config: Config, generator: np.random.Generator) -> Probe:
    """Errors by temperature and guidance scale of one classifier learnt on the spike family."""
    mixture = spike_of(config)
    log_odds = train(config["learner"], mixture, config["n"], generator)
    return lambda temperature, guidance_scale: errors(
        mixture, log_odds, temperature, guidance_scale
    )
