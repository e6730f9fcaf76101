"""Exact errors on alphabets of millions: chunks, two passes, all cores.

The estimator's formulas again, summed chunk by chunk in compiled loops (:mod:`sims.kernels`), so
that nothing of the size of the alphabet is made; tested against the estimator itself. Fresh
memory costs more than an exponential, which is why weights are computed again rather than kept.
"""

from __future__ import annotations

import itertools
import math
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from sims.kernels import first_sums, second_sums
from t3theory._checks import count
from t3theory.errors import forget_error, retain_error
from t3theory.estimator import temper_then_tilt
from t3theory.exceptions import AssumptionError
from t3theory.mixture import Mixture

__all__ = ["Errors", "exact_errors"]

_CHUNK = 1 << 15
"""Atoms at a time: enough that a call costs nothing, few enough that threads end together."""
_LEAST = 1e-250
"""Normalisers beyond it or its inverse may have lost atoms to the ends of the floats."""
_ROUNDING = 1e-11
"""Of the sizes of its terms: a retain error below it is left to the estimator."""
_FALLEN = -708.0
"""log f below which f is no normal float."""

_Plan = tuple[np.ndarray, np.ndarray]
_Chunk = tuple[np.ndarray, ...]


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
    the atoms with P_f > 0. A chunk is summed in the many partial sums of a BLAS product, chunks
    are added exactly (`math.fsum`). The retain error is a difference of sums here: absolute
    error about 1e-14 of its terms, where :func:`t3theory.retain_error` keeps relative precision.
    That of the forget error is about 1e-15 of E_{P_f}[p_r + p̂]. Where powers of the density or f
    leave the range of floats (h = 1e300 at T = 1/2), or the retain error is below 1e-11 of its
    terms, the estimator itself is called, in O(atoms) memory.

    Args:
        log_f: log P(retain | z) ≤ 0, shape (n,).
        temperatures: each T > 0.
        workers: threads; default all cores.

    >>> m = Mixture([1.0, 0.0], [0.0, 1.0], 0.1, [1.0, 0.001])
    >>> [found] = exact_errors(m, np.log([1.0, 0.1]), [1.0])
    >>> round(found.forget_error, 3)
    10.989
    """
    _check(mixture, log_f, temperatures)
    log_f = np.asarray(log_f)
    inverse = [1 / float(t) for t in temperatures]
    plan = _plan(inverse)
    workers = count("workers", workers or os.cpu_count() or 1, 1)
    each = _Sums(mixture, log_f, workers)
    on_model, on_tilt, *sums = each.total(
        2 + len(inverse), lambda c: _first(c, mixture.gamma, plan)
    )
    normaliser = np.array(sums)
    inside = (normaliser > _LEAST) & (normaliser < 1 / _LEAST)
    safe = np.where(inside, normaliser, 1.0)
    on_bayes, *forget = each.total(
        1 + len(inverse), lambda c: _second(c, mixture.gamma, plan, safe)
    )
    excess = on_model * (1 - np.array(inverse))
    parts = (excess, on_bayes, -on_tilt, -math.log1p(-mixture.gamma), np.log(safe))
    terms = np.array(np.broadcast_arrays(*parts))
    retain = terms.sum(axis=0)
    # Not where a sum is undefined, nor where only the rounding of the terms is left of it.
    held = inside & np.isfinite(forget) & (retain > _ROUNDING * np.abs(terms).sum(axis=0))
    return [
        Errors(float(t), float(r), float(f)) if known else _by_estimator(mixture, log_f, t)
        for t, r, f, known in zip(temperatures, retain, forget, held, strict=True)
    ]


def _by_estimator(mixture: Mixture, log_f: np.ndarray, temperature: float) -> Errors:
    if np.isneginf(log_f[mixture.retain + mixture.forget > 0]).all():
        raise AssumptionError("log_f", "must leave mass at every temperature", 0.0)
    log_q = temper_then_tilt(mixture.log_density, log_f, temperature, 1.0, mixture.log_reference)
    return Errors(
        temperature, float(retain_error(mixture, log_q)), float(forget_error(mixture, log_q))
    )


def _check(mixture: Mixture, log_f: np.ndarray, temperatures: Sequence[float]) -> None:
    if not len(temperatures):
        raise AssumptionError("temperatures", "must have at least one", temperatures)
    for t in temperatures:
        if not 0 < t < math.inf:
            raise AssumptionError("temperature", "must be positive and finite", t)
    if np.shape(log_f) != mixture.retain.shape:
        raise AssumptionError("log_f", f"must have shape {mixture.retain.shape}", np.shape(log_f))


class _Sums:
    """Sums over chunks of the inputs, on several threads."""

    def __init__(self, mixture: Mixture, log_f: np.ndarray, workers: int) -> None:
        inputs = (mixture.retain, mixture.forget, mixture.reference, log_f)
        self._inputs = tuple(_frozen(np.asarray(x)) for x in inputs)
        self._starts = range(0, mixture.size, _CHUNK)
        self._workers = min(workers, len(self._starts))

    def total(self, terms: int, work: Callable[[_Chunk], np.ndarray]) -> list[float]:
        """The sum of `work` over chunks, rounded once: the same whatever the threads."""
        found = np.empty((len(self._starts), terms))
        turn = itertools.count()  # next() of it is atomic

        def take(_: int) -> None:
            while (i := next(turn)) < len(found):
                chunk = slice(self._starts[i], self._starts[i] + _CHUNK)
                found[i] = work(tuple(x[chunk] for x in self._inputs))

        with ThreadPoolExecutor(self._workers) as pool:
            list(pool.map(take, range(self._workers)))
        if not np.isfinite(found).all():  # beyond the floats; fsum refuses inf − inf
            return [float(x) for x in found.sum(axis=0)]
        return [math.fsum(column) for column in found.T]


def _frozen(x: np.ndarray) -> np.ndarray:
    """A view that cannot be written to, so that the loops are compiled for one kind of array."""
    x = np.ascontiguousarray(x, dtype=np.float64).view()
    x.flags.writeable = False
    return x


def _first(chunk: _Chunk, gamma: float, plan: _Plan) -> np.ndarray:
    most = chunk[3].max()  # NaN, if any is
    if not most <= 0:
        raise AssumptionError("log_f", "must be numbers ≤ 0", float(most))
    found: np.ndarray = first_sums(*chunk, gamma, *plan)
    if chunk[3].min() < _FALLEN and np.any((chunk[3] < _FALLEN) & (chunk[3] > -math.inf)):
        found[2:] = math.nan  # of what f is no float, the estimator knows the logarithm
    return found


def _second(chunk: _Chunk, gamma: float, plan: _Plan, normaliser: np.ndarray) -> np.ndarray:
    """The chunk's share of Σ P_r log f*, and for each T of Σ P_f |p_r − p̂|, where P_f > 0.

    Elsewhere f* = 1. So Σ P_r log p_r = Σ P_r log p + Σ P_r log f* − log(1−γ) takes no
    logarithm an atom of its own.
    """
    if not chunk[1].min():
        here = np.flatnonzero(chunk[1])
        chunk = tuple(_frozen(x[here]) for x in chunk)
    return second_sums(*chunk, gamma, *plan, normaliser)


def _plan(inverse: Sequence[float]) -> _Plan:
    """An order of the temperatures, and 1/T of each, or nan for the square of the one before.

    p^{1/T} is the square of p^{1/(2T)}, a product in place of an exponential; 2T may be off by
    its own rounding.

    >>> order, exponents = _plan([1.0, 1 / 2, 1 / 3, 1 / 4])
    >>> order.tolist(), exponents.round(3).tolist()
    ([3, 1, 0, 2], [0.25, nan, nan, 0.333])
    """
    left = sorted(range(len(inverse)), key=lambda i: inverse[i])
    plan: list[tuple[int, float]] = []
    while left:
        i = left.pop(0)
        plan.append((i, inverse[i]))
        exponent = 2 * inverse[i]
        near = 4 * sys.float_info.epsilon
        while exponent <= 1 + near:
            double = [j for j in left if math.isclose(inverse[j], exponent, rel_tol=near)]
            if not double:
                break
            left.remove(double[0])
            plan.append((double[0], math.nan))
            exponent *= 2
    order, exponents = zip(*plan, strict=True)
    return np.array(order), np.array(exponents)
