"""The worst case seen one atom at a time: what every atom is, and sums over all of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ROOM", "Atoms", "Point", "log_rest", "parts_of"]

Vector = NDArray[np.float64]

_SUMMED = frozenset({"probability", "forget", "retain", "weight"})
_BLOCK = 32768  # atoms whose dozen work arrays stay in a second-level cache
_THREADS = min(2, os.cpu_count() or 1)
_SUBNORMAL = 1e-307
ROOM = 1e300
"""Of multipliers, which logarithms of f multiply, and of weights, which are summed."""


@dataclass(frozen=True)
class Point:
    """A classifier on the atoms: f^s, log f and log(1−f), each of shape (k,)."""

    power: Vector
    log_f: Vector
    log_g: Vector


@dataclass(frozen=True)
class Atoms:
    """Distinct atoms of a mixture, scaled so that the oracle normaliser N* is 1.

    Args:
        probability, forget, retain, weight: P, P_f, P_r and w = μ p^{1/T}/N*, summed over
            the atoms merged into one, shape (k,).
        single: P of one of the merged atoms.
        oracle, co_oracle: f* and 1−f*; `log_oracle`, `log_co_oracle` their logarithms.
        base: p^{1/T}/N*.
        slope: w/P, and its logarithm `log_slope`, which is finite where w is below the floats.
        retain_density: p_r.
        log_low, log_co_low: lower bounds on log f and log(1−f) under the budget.
        sign: of p_r − p̂ in the forget error, where it is settled; 0 where either is allowed.
        largest_log: the largest sum of |logarithms| whose exponential became a weight or a P.
        inverse: which of the k each atom of the mixture was merged into; −1 where P = 0.
    """

    gamma: float
    scale: float
    probability: Vector
    single: Vector
    forget: Vector
    retain: Vector
    weight: Vector
    oracle: Vector
    co_oracle: Vector
    log_oracle: Vector
    log_co_oracle: Vector
    base: Vector
    slope: Vector
    log_slope: Vector
    retain_density: Vector
    log_low: Vector
    log_co_low: Vector
    sign: Vector
    log_normaliser: float
    largest_log: float
    inverse: NDArray[np.intp]

    @cached_property
    def blocks(self) -> list[Atoms]:
        """The atoms in runs that fit a processor's cache."""
        if self.size <= _BLOCK:
            return [self]
        return [self.take(slice(i, i + _BLOCK)) for i in range(0, self.size, _BLOCK)]

    @cached_property
    def push(self) -> Vector:
        """P_f p^{1/T}/(N* P): the forget error's reward for less of f^s, were p̂ above p_r."""
        return self.base * self.co_oracle / self.gamma

    @cached_property
    def kept(self) -> Any:
        """Where P_r > 0; None stands for everywhere."""
        mask = self.retain > 0
        return None if mask.all() else mask

    @cached_property
    def either(self) -> NDArray[np.intp]:
        """The atoms on which p_r − p̂ may be positive."""
        return np.flatnonzero(self.sign >= 0)

    @cached_property
    def raised(self) -> bool:
        """Whether an atom's sign is settled as positive."""
        return bool((self.sign > 0).any())

    @cached_property
    def contested(self) -> Atoms:
        """The atoms of `either`; all, where nearly all are: a copy costs more than they do."""
        return self if len(self.either) > 0.9 * self.size else self.take(self.either)

    @cached_property
    def lowered(self) -> bool:
        """Whether an atom's sign is settled as negative."""
        return len(self.either) < self.size

    @property
    def representable(self) -> bool:
        """Whether float64 holds what the bounds need of every atom, with room for a few sums."""
        largest = np.max([self.weight, self.base, self.slope])
        return bool(largest < ROOM and np.min(self.probability) > 0)

    @cached_property
    def log_high(self) -> Vector:
        """Upper bounds on log f under the budget."""
        return np.minimum(log_rest(self.log_co_low), 0.0)

    @property
    def size(self) -> int:
        """k, the number of distinct atoms."""
        return len(self.probability)

    def take(self, which: Any) -> Atoms:
        """The atoms at `which`, an index of NumPy."""
        return replace(self, **{name: getattr(self, name)[which] for name in self._vectors})

    def separate(self, z: int, number: int = 1) -> tuple[Atoms, int]:
        """The same atoms with some of kind z set apart, and the index where they stand."""
        share = number * float(self.single[z] / self.probability[z])
        if share > 1 - 0.25 / number:  # all of them
            return self, z
        parts: dict[str, Any] = {}
        for name in self._vectors:
            value = getattr(self, name)
            parts[name] = np.append(value, value[z])
            if name in _SUMMED:
                parts[name][-1] *= share
                parts[name][z] *= 1 - share
        inverse = self.inverse.copy()
        inverse[np.flatnonzero(inverse == z)[:number]] = self.size
        return replace(self, **parts, inverse=inverse), self.size

    @property
    def _vectors(self) -> list[str]:
        every = ((f.name, getattr(self, f.name)) for f in fields(self))
        return [name for name, x in every if isinstance(x, np.ndarray) and name != "inverse"]

    def map(self, function: Callable[..., Any], *arrays: Vector) -> list[Any]:
        """`function(block, *slices)` for each block; NumPy frees the interpreter, so threads help."""
        if len(self.blocks) == 1:
            return [function(self, *arrays)]
        slices = [[a[i : i + _BLOCK] for i in range(0, self.size, _BLOCK)] for a in arrays]
        errors = np.geterr()  # a thread has settings of its own

        def quietly(*block: Any) -> Any:
            with np.errstate(**errors):
                return function(*block)

        with ThreadPoolExecutor(_THREADS) as pool:
            return list(pool.map(quietly, self.blocks, *slices))

    def total(self, sums: Callable[..., Vector], *arrays: Vector) -> Vector:
        """The sums of all blocks."""
        return np.sum(self.map(sums, *arrays), axis=0)

    def risk(self, point: Point) -> float:
        """δ(f) in nats."""
        return float((self.probability * self.divergence(point)).sum())

    @cached_property
    def entropy(self) -> float:
        """Σ P h(f*) in nats: the least possible log-loss."""
        none, (some, others) = np.zeros_like(self.oracle), self._mixed
        with np.errstate(invalid="ignore"):
            h = -_times(self.oracle, none, -self.log_oracle, some)
            h -= _times(self.co_oracle, none, -self.log_co_oracle, others)
        return float(np.dot(self.probability, h))

    @cached_property
    def finite(self) -> tuple[Any, Any]:
        """Where log f* and log(1−f*) are finite."""
        return np.isfinite(self.log_oracle), np.isfinite(self.log_co_oracle)

    @cached_property
    def held(self) -> Vector:
        """P_f p_r."""
        return self.forget * self.retain_density

    @cached_property
    def moved(self) -> Vector:
        """P_f p^{1/T}/N*: what f^s moves of the forget data's density."""
        return self.forget * self.base

    @cached_property
    def least(self) -> tuple[float, float]:
        """What is added to the sizes of Σ P_f b f^s and Σ w f^s: below 1e-307 f^s loses digits."""
        return _SUBNORMAL * float(self.moved.sum()), _SUBNORMAL * float(self.weight.sum())

    @cached_property
    def _mixed(self) -> tuple[Any, Any]:
        """Where f* and where 1−f* is positive; None stands for everywhere."""
        masks = self.oracle > 0, self.co_oracle > 0
        return tuple(None if mask.all() else mask for mask in masks)  # type: ignore[return-value]

    def divergence(self, point: Point) -> Vector:
        """kl(f*‖f), shape (k,), non-negative."""
        some, others = self._mixed
        with np.errstate(invalid="ignore"):
            kl = _times(self.oracle, self.log_oracle, point.log_f, some)
            kl += _times(self.co_oracle, self.log_co_oracle, point.log_g, others)
        return np.maximum(kl, 0.0, out=kl)

    def bayes(self) -> Point:
        """The Bayes classifier."""
        power = np.exp(self.scale * self.log_oracle)
        return Point(power, self.log_oracle, self.log_co_oracle)


def _times(share: Vector, log_share: Vector, log_value: Vector, positive: Any) -> Vector:
    """share · (log share − log value), 0 where the share is not positive."""
    product = share * (log_share - log_value)
    return product if positive is None else np.where(positive, product, 0.0)


def parts_of(point: Point) -> tuple[Vector, Vector, Vector]:
    """f^s, log f and log(1−f)."""
    return point.power, point.log_f, point.log_g


def log_rest(log_x: Vector) -> Vector:
    """log(1 − exp(log_x)), −inf at 0."""
    with np.errstate(divide="ignore"):
        return np.where(log_x > -0.69, np.log(-np.expm1(log_x)), np.log1p(-np.exp(log_x)))
