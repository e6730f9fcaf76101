"""From a mixture to its distinct atoms, each with the box that the budget alone allows it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from t3theory._xp import logsumexp
from t3theory.classifier import bayes_log_odds
from t3theory.envelope.atoms import Atoms, log_rest
from t3theory.mixture import Mixture

__all__ = ["budget_floor", "reduce_atoms"]

Vector = NDArray[np.float64]
_LOST = 1e-14  # of the terms of a kl, float64's rounding of some forty
_DEEP = 40.0  # log of a ratio f/f* that float64 does not see beside 1


def budget_floor(share: Vector, other: Vector, budget: Vector) -> Vector:
    """Lower bound on log f from kl(share‖f) ≤ budget, for f ≤ share; −inf where share is 0.

    kl is convex and decreasing in log f below log share, so Newton's iterates that start
    outside stay outside: stopping early is safe.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        # The smaller of the two has the digits of both: a float near 1 has few of the other's.
        log_share = np.where(share < other, np.log(share), np.log1p(-other))
        log_other = np.where(other < share, np.log(other), np.log1p(-share))
        entropy = np.where(other > 0, other * log_other, 0.0)
        # Bounds that hold for every f: drop −(1−a) log(1−f) ≥ 0, use kl ≥ (a−f)²/(2a), or D.
        u = log_share - (budget - entropy) / share
        plain = np.sqrt(2 * share) * np.sqrt(budget)  # the product may underflow
        root = share - np.minimum(plain, plain * np.sqrt(other) + budget)
        u = np.where(root > 0, np.maximum(u, np.log(np.maximum(root, 1e-320))), u)
        near = np.flatnonzero(u > log_share - _DEEP)  # below it the first bound is exact
        u[near] = _newton(u, near, log_share, share, other, entropy, budget)
        # Step back by what rounding has as an effect on f.
        u = u - 1e-7 * np.maximum(1e-3, np.abs(u - log_share))
    return np.where(share > 0, np.minimum(u, log_share), -np.inf)


def _newton(u: Vector, near: NDArray[np.intp], *columns: Vector) -> Vector:
    u, (log_share, share, other, entropy, budget) = u[near], (x[near] for x in columns)
    # What kl may lose: where it nearly cancels, D is sharper than these steps.
    budget = budget * (1 + _LOST) + 100 * _LOST * np.minimum(share, other)
    for _ in range(4):
        rest = log_rest(u)
        excess = share * (log_share - u) + np.where(other > 0, entropy - other * rest, 0.0)
        slope = -share + np.where(other > 0, other * np.exp(u - rest), 0.0)
        step = np.where(slope < 0, -(excess - budget) / slope, 0.0)
        u = np.where(np.isfinite(step) & (step > 0), np.minimum(u + step, log_share), u)
    return u


def _distinct(columns: list[Vector]) -> tuple[Any, Any, Any]:
    """First index, inverse and count of each distinct row, by sorting (n log n)."""
    one = np.sort(columns[0])
    if not np.any(one[1:] == one[:-1]):  # the usual case among many atoms, at a third of the cost
        every = np.arange(len(one))
        return every, every, np.ones(len(one))
    order = np.lexsort(columns)
    new = np.zeros(len(order), dtype=bool)
    new[:1] = True
    for column in columns:
        ordered = column[order]
        new[1:] |= ordered[1:] != ordered[:-1]
    group = np.cumsum(new) - 1
    inverse = np.empty(len(order), dtype=np.intp)
    inverse[order] = group
    return order[new], inverse, np.bincount(group).astype(np.float64)


def _floats(*arrays: Any) -> list[Vector]:
    return [np.asarray(x, dtype=np.float64) for x in arrays]


def _largest(*logs: Vector) -> float:
    return float(np.max(sum(np.abs(x) for x in logs)))


def reduce_atoms(mixture: Mixture, delta: float, temperature: float, scale: float) -> Atoms:
    """Drop atoms whose P is 0 in float64, merge equal ones, and bound each within the budget."""
    retain, forget, reference = _floats(mixture.retain, mixture.forget, mixture.reference)
    live = np.flatnonzero(np.exp(np.asarray(mixture.log_probabilities, np.float64)) > 0)
    first, merged, count = _distinct([retain[live], forget[live], reference[live]])
    inverse = np.full(retain.shape, -1, dtype=np.intp)
    inverse[live] = merged
    at = live[first]
    logs = bayes_log_odds(mixture), mixture.log_density, mixture.log_probabilities
    log_odds, log_density, log_probability = (x[at] for x in _floats(*logs))
    log_oracle, log_co_oracle = -np.logaddexp(0.0, -log_odds), -np.logaddexp(0.0, log_odds)
    log_reference, tempered = np.log(reference[at]), log_density / temperature
    log_weight = log_reference + tempered
    odds = max(1.0, scale) * np.where(np.isfinite(log_odds), log_odds, 0.0)
    rise = np.log(count) + (scale * log_oracle if scale > 0 else 0.0)
    log_normaliser, single = float(logsumexp(log_weight + rise)), np.exp(log_probability)
    oracle, co_oracle = np.exp(log_oracle), np.exp(log_co_oracle)
    with np.errstate(divide="ignore", over="ignore"):
        budget = delta / single
    return Atoms(
        gamma=mixture.gamma,
        scale=scale,
        probability=count * single,
        single=single,
        forget=count * forget[at],
        retain=count * retain[at],
        weight=count * np.exp(log_weight - log_normaliser),
        oracle=oracle,
        co_oracle=co_oracle,
        log_oracle=log_oracle,
        log_co_oracle=log_co_oracle,
        base=np.exp(tempered - log_normaliser),
        slope=np.exp(log_slope := log_weight - log_normaliser - log_probability),
        log_slope=log_slope,
        retain_density=retain[at] / reference[at],
        log_low=budget_floor(oracle, co_oracle, budget),
        log_co_low=budget_floor(co_oracle, oracle, budget),
        sign=np.where((retain[at] > 0) & (forget[at] > 0), 0.0, -1.0),
        log_normaliser=log_normaliser,
        largest_log=_largest(log_reference, tempered, log_probability, odds) + abs(log_normaliser),
        inverse=inverse,
    )
