"""J. The choice of temperature: numerically for any objective, in closed form for a spike.

The spike family: P_r uniform on a space of measure 1, P_f uniform on a part of measure 1/h.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from scipy.optimize import minimize_scalar

from t3theory.bounds import guarantee
from t3theory.bounds.leakage import worst_leak
from t3theory.bounds.pinsker import kl_inverse
from t3theory.exceptions import AssumptionError
from t3theory.mixture import Mixture

__all__ = [
    "Choice",
    "bound_objective",
    "optimal_temperature",
    "pareto_front",
    "spike_temperature",
    "spike_worst_forget_error",
]

Objective = Callable[[float], float]


class Choice(NamedTuple):
    """A temperature and what it gives: the forget objective and the retain objective."""

    temperature: float
    forget: float
    retain: float


def bound_objective(mixture: Mixture, excess_risk: float, quantity: str) -> Objective:
    """T ↦ the least guarantee on `quantity` for every classifier with δ(f) ≤ δ."""

    def objective(temperature: float) -> float:
        bounds = guarantee(mixture, excess_risk, temperature)
        return min((b.value for b in bounds if b.quantity == quantity), default=math.inf)

    return objective


def optimal_temperature(
    forget: Objective,
    retain: Objective | None = None,
    retain_budget: float = math.inf,
    temperatures: tuple[float, float] = (1.0, 64.0),
    grid: int = 49,
) -> Choice:
    """T* = argmin {forget(T) : retain(T) ≤ budget} over an interval.

    A geometric grid finds the basin, bounded Brent refines it between its neighbours; where
    the budget cuts the basin, the edge is found by bisection.

    Args:
        forget, retain: functions of T, as :func:`bound_objective` makes them, or a certified
            worst case; `retain` may be left out.
        grid: points of the first search.
    Raises:
        AssumptionError: no grid point keeps the budget.

    >>> optimal_temperature(lambda t: (t - 3) ** 2).temperature.__round__(3)
    3.0
    """
    low, high = temperatures
    if not 0 < low < high < math.inf:
        raise AssumptionError("temperatures", "must be 0 < low < high < inf", temperatures)
    kept = retain or (lambda _: 0.0)
    points = [low * (high / low) ** (i / (grid - 1)) for i in range(grid)]
    allowed = [i for i, t in enumerate(points) if kept(t) <= retain_budget]
    if not allowed:
        least = min(map(kept, points))
        raise AssumptionError("retain_budget", f"must be at least about {least:.4g}", retain_budget)
    values = {i: forget(points[i]) for i in allowed}
    best = min(allowed, key=values.__getitem__)
    left = _edge(points, best, -1, kept, retain_budget)
    right = _edge(points, best, +1, kept, retain_budget)
    candidates = [points[best], left, right]
    if left < right:
        found = minimize_scalar(forget, bounds=(left, right), method="bounded")
        candidates.append(float(found.x))
    candidates = [t for t in candidates if kept(t) <= retain_budget]
    best_t = min(candidates, key=forget)
    return Choice(best_t, forget(best_t), kept(best_t))


def _edge(points: Sequence[float], at: int, step: int, kept: Objective, budget: float) -> float:
    """The neighbour of points[at], or as far towards it as the budget is kept."""
    if not 0 <= at + step < len(points):
        return points[at]
    inside, outside = points[at], points[at + step]
    if kept(outside) <= budget:
        return outside
    for _ in range(40):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if kept(middle) <= budget else (inside, middle)
    return inside


def pareto_front(
    forget: Objective, retain: Objective, temperatures: Sequence[float]
) -> tuple[Choice, ...]:
    """The temperatures that no other beats in both objectives, by increasing retain error."""
    choices = sorted(
        (Choice(t, forget(t), retain(t)) for t in temperatures), key=lambda c: (c.retain, c.forget)
    )
    front: list[Choice] = []
    for choice in choices:
        if not front or choice.forget < front[-1].forget:
            front.append(choice)
    return tuple(front)


def spike_worst_forget_error(
    h: float, gamma: float, excess_risk: float, temperature: float = 1.0
) -> float:
    """sup {FE_T(f) : δ(f) ≤ δ} on the spike family, exactly.

    Two atoms: the spike (measure 1/h, density 1+γ(h−1)) and the rest (1−γ), so classifiers are
    constant on each; the worst lies as high or as low on the spike as δ lets it. (Were the
    spike split into many atoms, f high on some and low on others could do worse near h = 1.)

    >>> round(spike_worst_forget_error(1000.0, 0.1, 0.01), 2)
    12.75
    """
    high, low = _spike_densities(h, gamma, excess_risk, temperature)
    return max(high - 1, 1 - low)


def spike_temperature(h: float, gamma: float, excess_risk: float) -> float:
    """T* ≈ log r / log(2/(a+b)): where the worst over- and under-shoot on the spike balance.

    r = (1+γ(h−1))/(1−γ), and [a, b] = {x : π kl(1/r‖x) ≤ δ}, π = (1+γ(h−1))/h. Exact up to
    the normaliser's share of the spike, O(1/h). T* → 1 as δ → 0; for fixed δ it grows as
    log h / log(2/(1−e^{−δ/γ})); along δ = γh^{−α} it tends to 1/min(α, 1).

    >>> round(spike_temperature(1e200, 0.1, 0.1 * 1e200 ** -0.5), 2)
    1.98
    """
    _check_spike(h, gamma, excess_risk)
    r, mass = (1 + gamma * (h - 1)) / (1 - gamma), (1 + gamma * (h - 1)) / h
    a = kl_inverse(1 / r, excess_risk / mass, upper=False)
    b = kl_inverse(1 / r, excess_risk / mass)
    return max(1.0, math.log(r) / math.log(2 / (a + b)))


def _spike_densities(
    h: float, gamma: float, excess_risk: float, temperature: float
) -> tuple[float, float]:
    """The largest and least density the estimate can have on the spike."""
    _check_spike(h, gamma, excess_risk)
    r, mass = (1 + gamma * (h - 1)) / (1 - gamma), (1 + gamma * (h - 1)) / h
    rest = (1 - gamma) * (1 - 1 / h)
    prior = 1 / r
    # past the turning point of Q the rest of the risk is better spent off the spike
    b, unspent = worst_leak(prior, mass, rest, excess_risk)
    others = math.exp(-unspent / rest)
    a = kl_inverse(prior, excess_risk / mass, upper=False)
    tilt = math.exp(math.log(r) / temperature)

    def density(on: float, off: float) -> float:
        return tilt * on / (tilt * on / h + (1 - 1 / h) * off)

    return density(b, others), density(a, 1.0)


def _check_spike(h: float, gamma: float, excess_risk: float) -> None:
    if not 1 < h < math.inf:
        raise AssumptionError("h", "must be above 1 and finite", h)
    if not 0 < gamma < 1:
        raise AssumptionError("gamma", "must lie in (0, 1)", gamma)
    if not 0 <= excess_risk < math.inf:
        raise AssumptionError("excess_risk", "must be ≥ 0 and finite", excess_risk)
