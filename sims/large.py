"""Exact errors on alphabets of millions: chunks, two passes, all cores.

The estimator's formulas again, summed chunk by chunk so that nothing of the size of the
alphabet is made for each temperature but one buffer; tested against the estimator itself.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from typing import NamedTuple

import numpy as np
from scipy.special import xlogy

from t3theory.exceptions import AssumptionError
from t3theory.mixture import Mixture

__all__ = ["Errors", "exact_errors"]

_CHUNK = 1 << 15
"""Atoms at a time: the working set of a chunk stays in a core's cache."""


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

    RE_T = Σ P_r (log p_r − log p/T − log f) + log N needs one pass; FE_T a second one over the
    atoms with P_f > 0. The retain error is a difference of sums here: absolute error about
    1e-15, where :func:`t3theory.retain_error` keeps relative precision.

    Args:
        log_f: log P(retain | z), shape (n,).
        temperatures: each T > 0.
        workers: threads; default all cores. NumPy releases the interpreter while it computes.

    >>> m = Mixture([1.0, 0.0], [0.0, 1.0], 0.1, [1.0, 0.001])
    >>> [found] = exact_errors(m, np.log([1.0, 0.1]), [1.0])
    >>> round(found.forget_error, 3)
    10.989
    """
    for t in temperatures:
        if not 0 < t < math.inf:
            raise AssumptionError("temperature", "must be positive and finite", t)
    if np.shape(log_f) != mixture.retain.shape:
        raise AssumptionError("log_f", f"must have shape {mixture.retain.shape}", np.shape(log_f))
    inverse = [1 / t for t in temperatures]
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        sums = _total(pool, _first_pass, mixture, log_f, inverse)
        log_normaliser = np.log(sums[:, 0])
        forget = _total(pool, _second_pass, mixture, log_f, inverse, log_normaliser)
    return [
        Errors(t, float(sums[i, 1] + log_normaliser[i]), float(forget[i]))
        for i, t in enumerate(temperatures)
    ]


def _total(
    pool: ThreadPoolExecutor, work: Callable[..., np.ndarray], mixture: Mixture, *rest: object
) -> np.ndarray:
    """The sum of `work` over chunks, added in their order: the same whatever the threads."""
    chunks = [slice(i, i + _CHUNK) for i in range(0, mixture.size, _CHUNK)]
    shares = pool.map(work, chunks, *(repeat(argument) for argument in (mixture, *rest)))
    return np.asarray(sum(shares))


def _first_pass(
    chunk: slice, mixture: Mixture, log_f: np.ndarray, inverse: Sequence[float]
) -> np.ndarray:
    """For each T: the chunk's share of N and of Σ P_r (log p_r − log p/T − log f)."""
    retain, reference, tilt = mixture.retain[chunk], _reference(chunk, mixture), log_f[chunk]
    log_p = _log_density(chunk, mixture)
    entropy = float(xlogy(retain, retain / reference).sum())
    with np.errstate(invalid="ignore"):
        on_tilt = float(np.where(retain > 0, retain * tilt, 0.0).sum())
        on_model = float(np.where(retain > 0, retain * log_p, 0.0).sum())
    found = np.empty((len(inverse), 2))
    weight = np.empty_like(log_p)
    tilted = np.exp(tilt) * reference
    for i, b in enumerate(inverse):
        np.multiply(log_p, b, out=weight)
        np.exp(weight, out=weight)
        found[i] = np.dot(weight, tilted), entropy - b * on_model - on_tilt
    return found


def _second_pass(
    chunk: slice,
    mixture: Mixture,
    log_f: np.ndarray,
    inverse: Sequence[float],
    log_normaliser: np.ndarray,
) -> np.ndarray:
    """For each T: the chunk's share of Σ P_f |p_r − p̂|, over its atoms with P_f > 0."""
    here = np.flatnonzero(mixture.forget[chunk])
    found = np.zeros(len(inverse))
    if not len(here):
        return found
    forget = mixture.forget[chunk][here]
    density = mixture.retain[chunk][here] / _reference(chunk, mixture)[here]
    log_p, tilt = _log_density(chunk, mixture)[here], log_f[chunk][here]
    weight = np.empty_like(log_p)
    for i, b in enumerate(inverse):
        np.multiply(log_p, b, out=weight)
        weight += tilt
        weight -= log_normaliser[i]
        np.exp(weight, out=weight)
        weight -= density
        np.abs(weight, out=weight)
        found[i] = np.dot(weight, forget)
    return found


def _log_density(chunk: slice, mixture: Mixture) -> np.ndarray:
    joint = (1 - mixture.gamma) * mixture.retain[chunk] + mixture.gamma * mixture.forget[chunk]
    joint /= _reference(chunk, mixture)
    with np.errstate(divide="ignore"):
        return np.log(joint, out=joint)


def _reference(chunk: slice, mixture: Mixture) -> np.ndarray:
    return np.asarray(mixture.reference)[chunk]
