"""Exact errors on alphabets of millions: chunks, two passes, all cores.

The estimator's formulas again, summed chunk by chunk so that nothing of the size of the
alphabet is made for each temperature but one buffer; tested against the estimator itself.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from t3theory.exceptions import AssumptionError
from t3theory.mixture import Mixture

__all__ = ["Errors", "exact_errors"]

_CHUNK = 1 << 14
"""Atoms at a time: the working set of a chunk stays in a core's cache."""
_CHUNKS_A_TASK = 16
"""Few enough tasks that handing them out costs nothing, enough that cores finish together."""


class Errors(NamedTuple):
    """Errors at one temperature."""

    temperature: float
    retain_error: float
    forget_error: float


def exact_errors(
    mixture: Mixture,
    log_f: np.ndarray,
    temperatures: Sequence[float],
    workers: int | None = None,
) -> list[Errors]:
    """Retain and forget error of p^{1/T} f for each T, with O(chunk) memory beside the inputs.

    One pass gives N and RE_T = Σ P_r (log p_r − log p/T − log f) + log N, a second one FE_T over
    the atoms with P_f > 0. The retain error is a difference of sums here: absolute error about
    1e-15, where :func:`t3theory.retain_error` keeps relative precision.

    Args:
        log_f: log P(retain | z) ≤ 0, shape (n,).
        temperatures: each T > 0.
        workers: threads; default all cores. NumPy releases the interpreter while it computes.

    >>> m = Mixture([1.0, 0.0], [0.0, 1.0], 0.1, [1.0, 0.001])
    >>> [found] = exact_errors(m, np.log([1.0, 0.1]), [1.0])
    >>> round(found.forget_error, 3)
    10.989
    """
    _check(mixture, log_f, temperatures)
    inverse = [1 / t for t in temperatures]
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        on_model, on_tilt, *sums = _total(pool, _first_pass, mixture, log_f, inverse)
        normaliser = np.array(sums)
        on_bayes, *forget = _total(pool, _second_pass, mixture, log_f, inverse, normaliser)
    retain = on_model * (1 - np.array(inverse)) + on_bayes - on_tilt + np.log(normaliser)
    return [
        Errors(t, float(r - math.log1p(-mixture.gamma)), float(f))
        for t, r, f in zip(temperatures, retain, forget, strict=True)
    ]


def _check(mixture: Mixture, log_f: np.ndarray, temperatures: Sequence[float]) -> None:
    if not len(temperatures):
        raise AssumptionError("temperatures", "must have at least one", temperatures)
    for t in temperatures:
        if not 0 < t < math.inf:
            raise AssumptionError("temperature", "must be positive and finite", t)
    if np.shape(log_f) != mixture.retain.shape:
        raise AssumptionError("log_f", f"must have shape {mixture.retain.shape}", np.shape(log_f))
    most = float(np.max(log_f))  # NaN, if any is
    if not most <= 0:
        raise AssumptionError("log_f", "must be numbers ≤ 0", most)


def _total(
    pool: ThreadPoolExecutor, work: Callable[..., np.ndarray], mixture: Mixture, *rest: object
) -> np.ndarray:
    """The sum of `work` over chunks, added in their order: the same whatever the threads."""

    def block(start: int) -> Any:
        stop = min(start + _CHUNK * _CHUNKS_A_TASK, mixture.size)
        chunks = (slice(i, i + _CHUNK) for i in range(start, stop, _CHUNK))
        return sum(work(chunk, mixture, *rest) for chunk in chunks)

    return np.asarray(sum(pool.map(block, range(0, mixture.size, _CHUNK * _CHUNKS_A_TASK))))


def _first_pass(
    chunk: slice, mixture: Mixture, log_f: np.ndarray, inverse: Sequence[float]
) -> np.ndarray:
    """The chunk's share of Σ P_r log p, of Σ P_r log f, and of N for each T."""
    retain, forget, reference, tilt = _inputs(chunk, mixture, log_f)
    joint = _joint(mixture.gamma, retain, forget)
    if not joint.all():  # an atom without mass takes no part, whatever its classifier says
        kept = joint > 0
        retain, reference, tilt, joint = (x[kept] for x in (retain, reference, tilt, joint))
    density = joint / reference
    log_p = np.log(density)
    tilted = np.exp(tilt)
    tilted *= reference
    found = np.empty(2 + len(inverse))
    found[0] = retain @ log_p
    found[1] = retain @ tilt
    if math.isnan(found[1]):  # 0 · log 0
        found[1] = np.where(retain > 0, retain * tilt, 0.0).sum()
    weight = np.empty_like(log_p)
    for i, b in enumerate(inverse):
        found[2 + i] = _power(density, log_p, b, weight) @ tilted
    return found


def _second_pass(
    chunk: slice,
    mixture: Mixture,
    log_f: np.ndarray,
    inverse: Sequence[float],
    normaliser: np.ndarray,
) -> np.ndarray:
    """The chunk's share of Σ P_r log f*, and for each T of Σ P_f |p_r − p̂|, where P_f > 0.

    Elsewhere f* = 1. So Σ P_r log p_r = Σ P_r log p + Σ P_r log f* − log(1−γ) takes no
    logarithm an atom of its own.
    """
    found = np.zeros(1 + len(inverse))
    here = np.flatnonzero(mixture.forget[chunk])
    if not len(here):
        return found
    inputs = _inputs(chunk, mixture, log_f)
    retain, forget, reference, tilt = (
        inputs if len(here) == len(inputs[0]) else (x[here] for x in inputs)
    )
    joint = _joint(mixture.gamma, retain, forget)
    bayes = (1 - mixture.gamma) * retain / joint
    # Where P_r = 0 the term is 0; xlogy would take twenty times a logarithm's time.
    found[0] = retain @ np.log(np.where(bayes > 0, bayes, 1.0))
    density = joint / reference
    log_p = np.log(density)
    wanted = forget * retain / reference
    tilted = forget * np.exp(tilt)
    weight, scaled = np.empty_like(log_p), np.empty_like(log_p)
    for i, b in enumerate(inverse):
        np.multiply(_power(density, log_p, b, weight), tilted, out=scaled)
        scaled *= 1 / normaliser[i]
        scaled -= wanted
        np.abs(scaled, out=scaled)
        found[1 + i] = scaled.sum()
    return found


def _power(density: np.ndarray, log_p: np.ndarray, exponent: float, out: np.ndarray) -> np.ndarray:
    """p^{1/T}: the one exponential an atom and temperature."""
    if exponent == 1:
        return density
    np.multiply(log_p, exponent, out=out)
    return np.exp(out, out=out)


def _joint(gamma: float, retain: np.ndarray, forget: np.ndarray) -> np.ndarray:
    joint = (1 - gamma) * retain
    joint += gamma * forget
    return joint


def _inputs(chunk: slice, mixture: Mixture, log_f: np.ndarray) -> tuple[np.ndarray, ...]:
    vectors = (mixture.retain, mixture.forget, np.asarray(mixture.reference), log_f)
    return tuple(x[chunk] for x in vectors)
