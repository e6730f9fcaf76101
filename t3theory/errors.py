"""The two errors of an estimate, and the part of each that tempering alone causes."""

from __future__ import annotations

from t3theory._xp import Array, as_float_array, log_sigmoid, namespace
from t3theory.classifier import bayes_log_odds
from t3theory.divergences import kl_divergence
from t3theory.estimator import temper_then_tilt
from t3theory.exceptions import AssumptionError
from t3theory.mixture import Mixture

__all__ = ["forget_bias", "forget_error", "oracle_tilt", "retain_bias", "retain_error"]


def retain_error(mixture: Mixture, log_q: Array) -> Array:
    """RE = KL(P_r‖Q), in nats, of an estimate with log-density `log_q` (shape (n,), w.r.t. μ)."""
    log_q = _log_density(mixture, log_q)
    return kl_divergence(mixture.log_retain, log_q + mixture.log_reference)


def forget_error(mixture: Mixture, log_q: Array) -> Array:
    """FE = E_{z~P_f}|p_r(z) − q(z)|, in units of density w.r.t. μ.

    Args:
        log_q: log-density of the estimate, shape (n,).
    """
    log_q = _log_density(mixture, log_q)
    xp = namespace(log_q)
    a, b = mixture.log_retain_density, log_q
    high = xp.maximum(a, b)
    # Nothing counts where both are 0 or no forget mass is, where a density may overflow.
    none = (high == -xp.inf) | (mixture.forget == 0)
    high = xp.where(none, xp.zeros_like(high), high)
    # |e^a − e^b| = e^max · (1 − e^{−|a−b|}), so that nearly equal densities keep their digits.
    gap = xp.where(none, xp.zeros_like(high), xp.minimum(a, b) - high)
    distance = xp.where(none, xp.zeros_like(high), -xp.exp(high) * xp.expm1(gap))
    return xp.sum(mixture.forget * distance)


def _log_density(mixture: Mixture, log_q: Array) -> Array:
    """`log_q` as floats, of the mixture's shape: a shape that broadcasts would be another law."""
    log_q = as_float_array(log_q, namespace(mixture.retain, log_q), mixture.retain)
    if log_q.shape != mixture.retain.shape:
        raise AssumptionError("log_q", f"must have shape {mixture.retain.shape}", log_q.shape)
    return log_q


def oracle_tilt(mixture: Mixture, temperature: float, guidance_scale: float = 1.0) -> Array:
    """log p*^(T): the estimate with the Bayes classifier, log-density of shape (n,)."""
    log_f = log_sigmoid(bayes_log_odds(mixture))
    return temper_then_tilt(
        mixture.log_density, log_f, temperature, guidance_scale, mixture.log_reference
    )


def retain_bias(mixture: Mixture, temperature: float, guidance_scale: float = 1.0) -> Array:
    """RB_T = KL(P_r‖P*^(T)): the retain error of the Bayes classifier; 0 at T = s = 1."""
    return retain_error(mixture, oracle_tilt(mixture, temperature, guidance_scale))


def forget_bias(mixture: Mixture, temperature: float, guidance_scale: float = 1.0) -> Array:
    """FB_T = E_{P_f}|p_r − p*^(T)|: the forget error of the Bayes classifier; 0 at T = s = 1."""
    return forget_error(mixture, oracle_tilt(mixture, temperature, guidance_scale))
