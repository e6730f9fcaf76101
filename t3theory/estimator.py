"""The estimator: temper the model, then tilt it by the classifier.

    p̂_r ∝ p^{1/T} · f^s

T = 1, s = 1 is plain classifier guidance; T > 1 flattens the model first. The
simulations and the language model call these same two functions.
"""

from __future__ import annotations

from t3theory._xp import (
    Array,
    add_quotient,
    as_float_array,
    logsumexp,
    namespace,
    on_host,
    plain,
    require,
    xlogy,
)
from t3theory.exceptions import AssumptionError

__all__ = ["temper_then_tilt", "tilted_score"]


def _check_settings(temperature: float | Array, guidance_scale: float | Array) -> None:
    _check(temperature, temperature > 0, "temperature", "must be positive and finite")
    _check(guidance_scale, guidance_scale >= 0, "guidance_scale", "must be ≥ 0 and finite")


def _check(value: float | Array, above: bool | Array, name: str, requirement: str) -> None:
    if not isinstance(value, float):
        require(above & (value < float("inf")), name, requirement, value)
    elif not (above and value < float("inf")):
        raise AssumptionError(name, requirement, value)


def tilted_score(
    log_p: Array,
    log_f: Array,
    temperature: float | Array = 2.0,
    guidance_scale: float | Array = 1.0,
    overwrite: bool = False,
) -> Array:
    """log p / T + s · log f: the unnormalised log-density that decoding uses.

    Args:
        log_p: log-density (or log-probability) of the model, any shape; −inf where it is 0.
        log_f: log of the classifier's P(retain | z), broadcastable; −inf where it is 0.
        temperature: T > 0, a number or an array that broadcasts (one for each context).
            Decoding must not wait for a device, so tensors are not looked into here;
            :func:`temper_then_tilt` does.
        guidance_scale: s ≥ 0; s = 0 switches the classifier off, even where log f = −inf.
        overwrite: whether `log_p` and `log_f` may be written over, if nobody reads them again:
            passes over memory are what decoding waits for.

    >>> import numpy as np
    >>> tilted_score(np.log([0.5, 0.5]), np.log([1.0, 0.25]), temperature=1.0) - np.log(0.5)
    array([ 0.        , -1.38629436])
    """
    temperature, guidance_scale = plain(temperature), plain(guidance_scale)
    if on_host(temperature) and on_host(guidance_scale):
        _check_settings(temperature, guidance_scale)
    xp = namespace(log_p, log_f)
    log_p, log_f = as_float_array(log_p, xp, log_f), as_float_array(log_f, xp, log_p)
    if not isinstance(guidance_scale, float):
        return log_p / temperature + xlogy(guidance_scale, log_f)
    if guidance_scale == 0 and overwrite:
        log_p /= temperature
    if guidance_scale == 0:
        return log_p if overwrite else log_p / temperature
    # Decoding at s = 1 need not pass over a vocabulary once more.
    tilt = log_f if guidance_scale == 1 else guidance_scale * log_f
    return add_quotient(tilt, log_p, temperature, overwrite)


def temper_then_tilt(
    log_p: Array,
    log_f: Array,
    temperature: float | Array = 2.0,
    guidance_scale: float | Array = 1.0,
    log_reference: Array | None = None,
    axis: int = -1,
) -> Array:
    """log p̂ with p̂ = p^{1/T} f^s / Σ_z μ(z) p(z)^{1/T} f(z)^s.

    Args:
        log_p: log-density of the model with respect to μ, shape (*batch, n).
        log_f: log P(retain | z), broadcastable to it.
        log_reference: log μ, broadcastable; default the counting measure (0).
        axis: the axis of atoms.
    Returns:
        normalised log-density with respect to μ, shape (*batch, n).
    Raises:
        AssumptionError: T ≤ 0, s < 0, or the tilted measure has no mass at all.

    >>> import numpy as np
    >>> np.exp(temper_then_tilt(np.log([0.8, 0.2]), np.log([0.25, 1.0]), temperature=1.0))
    array([0.5, 0.5])
    """
    temperature, guidance_scale = plain(temperature), plain(guidance_scale)
    _check_settings(temperature, guidance_scale)
    score = tilted_score(log_p, log_f, temperature, guidance_scale)
    xp = namespace(score)
    weighted = score if log_reference is None else score + as_float_array(log_reference, xp, score)
    log_normaliser = logsumexp(weighted, axis=axis, keepdims=True)
    require(log_normaliser > -xp.inf, "log_f", "must leave some mass where p > 0", log_normaliser)
    return score - log_normaliser
