"""J. The choice of temperature: numerically for any objective, in closed form for a spike.

The spike family: P_r uniform on a space of measure 1, P_f uniform on a part of measure 1/h.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from scipy.optimize import minimize_scalar

from t3theory._checks import count, nonnegative, number, positive, share
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
    """T ↦ the least guarantee on `quantity` for every classifier with δ(f) ≤ δ; inf without one.

    Args:
        quantity: "forget_error" or "retain_error".
    """
    nonnegative("excess_risk", excess_risk)
    if quantity not in ("forget_error", "retain_error"):
        raise AssumptionError("quantity", "must be forget_error or retain_error", quantity)

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
        grid: points of the first search, at least 2.
    Raises:
        AssumptionError: no grid point keeps the budget, or an objective is nan.

    >>> optimal_temperature(lambda t: (t - 3) ** 2).temperature.__round__(3)
    3.0
    """
    low, high = temperatures
    if not 0 < low < high < math.inf:
        raise AssumptionError("temperatures", "must be 0 < low < high < inf", temperatures)
    grid = count("grid", grid, 2)
    forget, kept = _numeric("forget", forget), _numeric("retain", retain or (lambda _: 0.0))
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


def _numeric(name: str, objective: Objective) -> Objective:
    """The objective, that raises where it is nan: no comparison of nan chooses anything."""
    return lambda t: number(name, objective(t), "must not be nan", lambda x: not math.isnan(x))


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
    forget, retain = _numeric("forget", forget), _numeric("retain", retain)
    for temperature in temperatures:
        positive("temperatures", temperature)
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

    Args:
        temperature: T > 0; inf is the limit, where tempering leaves the uniform law.

    >>> round(spike_worst_forget_error(1000.0, 0.1, 0.01), 2)
    12.75
    """
    temperature = number("temperature", temperature, "must be positive", lambda x: x > 0)
    log_r, least, (on, off) = _spike(h, gamma, excess_risk)
    shrink = math.exp(-log_r / temperature)

    def density(f: float, f_rest: float) -> float:
        return 1 / (1 / h + (1 - 1 / h) * shrink * f_rest / f) if f > 0 else 0.0

    return max(density(on, off) - 1, 1 - density(least, 1.0))


def spike_temperature(h: float, gamma: float, excess_risk: float) -> float:
    """J. T* = log r / log t ≥ 1: where the worst over- and under-shoot on the spike balance.

    With a, b, f₀ and r as in docs/theory.md, t > 0 is the root of
    2ab t² + (h−2)(a f₀ + b) t = 2(h−1) f₀, exactly. T* = inf where t ≤ 1, so that the worst case
    falls with every T: for large h where δ > γ log(1/γ) + (1−γ) log(2/(1−γ)). T* → 1 as δ → 0;
    along δ = γh^{−α} it tends to 1/min(α, 1).

    >>> round(spike_temperature(1e200, 0.1, 0.1 * 1e200 ** -0.5), 2)
    1.98
    >>> spike_temperature(1e6, 0.1, 1.0)
    inf
    """
    log_r, least, (on, off) = _spike(h, gamma, excess_risk)
    # over 2(h−1), so that nothing overflows; hypot, since the square of b may underflow
    curve, slope = least * on / (h - 1), (h - 2) / (h - 1) * (least * off + on) / 2
    root = math.hypot(slope, 2 * math.sqrt(curve * off))
    if slope > 0:
        t = 2 * off / (slope + root)
    else:
        t = (root - slope) / (2 * curve) if curve > 0 else math.inf
    return max(1.0, log_r / math.log(t)) if t > 1 else math.inf


def _spike(h: float, gamma: float, excess_risk: float) -> tuple[float, float, tuple[float, float]]:
    """log r, the least f on the spike, and the (f on, f off the spike) of the largest ratio."""
    h = number("h", h, "must be above 1 and finite", lambda x: 1 < x < math.inf)
    gamma, excess_risk = share("gamma", gamma), nonnegative("excess_risk", excess_risk)
    density = 1 + gamma * (h - 1)
    prior, mass, rest = (1 - gamma) / density, density / h, (1 - gamma) * (1 - 1 / h)
    least = kl_inverse(prior, excess_risk / mass, upper=False)
    # past the turning point of Q the rest of the risk is better spent off the spike
    on, unspent = worst_leak(prior, mass, rest, excess_risk)
    log_r = math.log(density) - math.log1p(-gamma)
    return log_r, least, (on, math.exp(-unspent / rest))
