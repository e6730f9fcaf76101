"""Exact errors on alphabets of millions: chunks, two passes, all cores.

The estimator's formulas again, summed chunk by chunk in each worker's own few rows of memory, so
that nothing of the size of the alphabet is made; tested against the estimator itself. Fresh
memory costs more than an exponential, which is why weights are computed again rather than kept.
"""

from __future__ import annotations

import itertools
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from scipy.linalg.blas import dasum, daxpy

from t3theory._checks import count
from t3theory.errors import forget_error, retain_error
from t3theory.estimator import temper_then_tilt
from t3theory.exceptions import AssumptionError
from t3theory.mixture import Mixture

__all__ = ["Errors", "exact_errors"]

_CHUNK = 1 << 14
"""Atoms at a time: the working set of a chunk stays in a core's cache."""
_LEAST = 1e-250
"""Normalisers beyond it or its inverse may have lost atoms to the ends of the floats."""
_ROWS = 6
"""Vectors of a chunk's length that a worker writes to."""

_Plan = list[tuple[int, float | None]]
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
    error about 1e-15, where :func:`t3theory.retain_error` keeps relative precision. That of the
    forget error is about 1e-15 of E_{P_f}[p_r + p̂]. Where powers of the density leave the range
    of floats (h = 1e300 at T = 1/2), the estimator itself is called, in O(atoms) memory.

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
    plan = _plan(inverse)
    workers = count("workers", workers or os.cpu_count() or 1, 1)
    each = _Sums(mixture, log_f, workers)
    on_model, on_tilt, *sums = each.total(2 + len(plan), lambda c, r: _first(c, mixture, plan, r))
    normaliser = np.array(sums)
    inside = (normaliser > _LEAST) & (normaliser < 1 / _LEAST)
    safe = np.where(inside, normaliser, 1.0)
    on_bayes, *forget = each.total(1 + len(plan), lambda c, r: _second(c, mixture, plan, safe, r))
    retain = on_model * (1 - np.array(inverse)) + on_bayes - on_tilt + np.log(safe)
    return [
        Errors(t, float(r - math.log1p(-mixture.gamma)), float(f))
        if held
        else _by_estimator(mixture, log_f, t)
        for t, r, f, held in zip(temperatures, retain, forget, inside, strict=True)
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
    most = float(np.max(log_f))  # NaN, if any is
    if not most <= 0:
        raise AssumptionError("log_f", "must be numbers ≤ 0", most)


class _Sums:
    """Sums over chunks of the inputs, on several threads."""

    def __init__(self, mixture: Mixture, log_f: np.ndarray, workers: int) -> None:
        self._inputs = (mixture.retain, mixture.forget, np.asarray(mixture.reference), log_f)
        self._starts = range(0, mixture.size, _CHUNK)
        workers = min(workers, len(self._starts))
        self._rooms = [np.empty((_ROWS, _CHUNK)) for _ in range(workers)]

    def total(self, terms: int, work: Callable[[_Chunk, np.ndarray], np.ndarray]) -> list[float]:
        """The sum of `work` over chunks, rounded once: the same whatever the threads."""
        found = np.empty((len(self._starts), terms))
        turn = itertools.count()  # next() of it is atomic

        def take(room: np.ndarray) -> None:
            # Beyond the floats a sum is inf or nan, which its reader sees.
            with np.errstate(over="ignore", invalid="ignore"):
                while (i := next(turn)) < len(found):
                    chunk = slice(self._starts[i], self._starts[i] + _CHUNK)
                    found[i] = work(tuple(x[chunk] for x in self._inputs), room)

        with ThreadPoolExecutor(len(self._rooms)) as pool:
            list(pool.map(take, self._rooms))
        if not np.isfinite(found).all():  # fsum refuses inf − inf
            return [float(x) for x in found.sum(axis=0)]
        return [math.fsum(column) for column in found.T]


def _first(chunk: _Chunk, mixture: Mixture, plan: _Plan, room: np.ndarray) -> np.ndarray:
    """The chunk's share of Σ P_r log p, of Σ P_r log f, and of N for each T."""
    retain, _, reference, tilt = chunk
    room = room[:, : len(retain)]
    joint = _joint(chunk, mixture.gamma, room)
    if not joint.all():  # an atom without mass takes no part, whatever its classifier says
        kept = joint > 0
        return _first(tuple(x[kept] for x in chunk), mixture, plan, room)
    density = np.divide(joint, reference, out=joint)
    log_p = np.log(density, out=room[1])
    tilted = np.exp(tilt, out=room[2])
    tilted *= reference
    found = np.empty(2 + len(plan))
    found[0] = retain @ log_p
    found[1] = retain @ tilt
    if math.isnan(found[1]):  # 0 · log 0
        found[1] = retain[retain > 0] @ tilt[retain > 0]
    for i, weight in _powers(density, log_p, plan, room[3]):
        found[2 + i] = weight @ tilted
    return found


def _second(
    chunk: _Chunk, mixture: Mixture, plan: _Plan, normaliser: np.ndarray, room: np.ndarray
) -> np.ndarray:
    """The chunk's share of Σ P_r log f*, and for each T of Σ P_f |p_r − p̂|, where P_f > 0.

    Elsewhere f* = 1. So Σ P_r log p_r = Σ P_r log p + Σ P_r log f* − log(1−γ) takes no
    logarithm an atom of its own.
    """
    found = np.zeros(1 + len(plan))
    if not chunk[1].all():
        here = np.flatnonzero(chunk[1])
        chunk = tuple(x[here] for x in chunk)
    retain, forget, reference, tilt = chunk
    if not len(forget):
        return found
    room = room[:, : len(retain)]
    joint = _joint(chunk, mixture.gamma, room)
    bayes = np.multiply(retain, 1 - mixture.gamma, out=room[1])
    bayes /= joint
    if not bayes.all():  # P_r = 0: the term is 0; xlogy would take twenty logarithms' time
        bayes[bayes == 0] = 1
    found[0] = retain @ np.log(bayes, out=bayes)
    density = np.divide(joint, reference, out=joint)
    log_p = np.log(density, out=room[1])
    wanted = np.multiply(forget, retain, out=room[2])
    wanted /= reference
    tilted = np.exp(tilt, out=room[3])
    tilted *= forget
    for i, weight in _powers(density, log_p, plan, room[4]):
        error = np.multiply(weight, tilted, out=room[5])
        daxpy(wanted, error, a=-normaliser[i])  # in place: P_f (N p̂ − N p_r)
        found[1 + i] = dasum(error) / normaliser[i]
    return found


def _plan(inverse: Sequence[float]) -> _Plan:
    """An order of the temperatures: (place, 1/T), or (place, None) for the square of the last.

    p^{1/T} is the square of p^{1/(2T)}, a product in place of an exponential; 2T may be off by
    its own rounding.

    >>> _plan([1.0, 1 / 2, 1 / 3, 1 / 4])
    [(3, 0.25), (1, None), (2, 0.3333333333333333), (0, 1.0)]
    """
    left = sorted(range(len(inverse)), key=lambda i: inverse[i])
    plan: _Plan = []
    while left:
        i = left.pop(0)
        plan.append((i, inverse[i]))
        exponent = 2 * inverse[i]
        near = 4 * sys.float_info.epsilon
        while exponent < 1 - near:
            double = [j for j in left if math.isclose(inverse[j], exponent, rel_tol=near)]
            if not double:
                break
            left.remove(double[0])
            plan.append((double[0], None))
            exponent *= 2
    return plan


def _powers(
    density: np.ndarray, log_p: np.ndarray, plan: _Plan, out: np.ndarray
) -> Iterator[tuple[int, np.ndarray]]:
    """Each temperature's place and p^{1/T}, to be read before the next is asked for."""
    for i, exponent in plan:
        if exponent == 1:
            yield i, density
            continue
        if exponent is None:
            np.multiply(out, out, out=out)
        else:
            np.exp(np.multiply(log_p, exponent, out=out), out=out)
        yield i, out


def _joint(chunk: _Chunk, gamma: float, room: np.ndarray) -> np.ndarray:
    """(1−γ) P_r + γ P_f in the first row; the second is overwritten."""
    joint = np.multiply(chunk[0], 1 - gamma, out=room[0])
    joint += np.multiply(chunk[1], gamma, out=room[1])
    return joint
