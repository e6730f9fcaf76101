"""Temper-then-tilt unlearning: the estimator, its exact errors, bounds and worst cases."""

from t3theory.classifier import (
    bayes_classifier,
    bayes_log_odds,
    change_prior,
    excess_risk,
    overlap,
)
from t3theory.errors import forget_bias, forget_error, retain_bias, retain_error
from t3theory.estimator import temper_then_tilt, tilted_score
from t3theory.exceptions import AssumptionError, InputError, RecordError, T3Error
from t3theory.mixture import Mixture

__version__ = "0.1.0"

__all__ = [
    "AssumptionError",
    "InputError",
    "Mixture",
    "RecordError",
    "T3Error",
    "bayes_classifier",
    "bayes_log_odds",
    "change_prior",
    "excess_risk",
    "forget_bias",
    "forget_error",
    "overlap",
    "retain_bias",
    "retain_error",
    "temper_then_tilt",
    "tilted_score",
]
