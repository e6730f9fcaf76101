"""worst_case: the largest error that a budget of excess risk allows, certified on both sides."""

from __future__ import annotations

import heapq
import itertools
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, linprog

from t3theory.classifier import excess_risk
from t3theory.envelope.atoms import Atoms, Point, maximise, reduce_atoms
from t3theory.envelope.dual import Dual, ForgetDual, RetainDual
from t3theory.errors import forget_error, retain_error
from t3theory.estimator import temper_then_tilt
from t3theory.exceptions import AssumptionError
from t3theory.mixture import Mixture

__all__ = ["Certificate", "worst_case"]

Vector = NDArray[np.float64]
_ERRORS = {"forget_error": forget_error, "retain_error": retain_error}


class Certificate(NamedTuple):
    """lower ≤ sup {error(f) : δ(f) ≤ δ} ≤ upper.

    Args:
        lower: the error of `witness`.
        upper: holds for every classifier within the budget.
        witness: f(z) = P(retain | z), shape (n,), of excess risk ≤ δ.
    """

    lower: float
    upper: float
    witness: Vector

    @property
    def gap(self) -> float:
        """(upper − lower)/upper, 0 where both are 0."""
        return (self.upper - self.lower) / self.upper if self.upper > 0 else 0.0


def worst_case(
    mixture: Mixture,
    delta: float,
    temperature: float = 2.0,
    quantity: str = "forget_error",
    guidance_scale: float = 1.0,
    tolerance: float = 5e-4,
) -> Certificate:
    """sup {error(p̂^(T)_f) : δ(f) ≤ delta}, between a bound and a classifier that attains it.

    Args:
        mixture: P_r, P_f, γ, μ.
        delta: budget of excess risk, nats, ≥ 0.
        temperature: T > 0.
        quantity: "forget_error" (units of density) or "retain_error" (nats).
        guidance_scale: s ≥ 0.
        tolerance: relative gap at which the search stops.
    Raises:
        AssumptionError: delta is negative or not finite, the quantity is unknown, T ≤ 0 or s < 0.

    >>> m = Mixture([1.0, 0.0], [0.0, 1.0], gamma=0.1, reference=[1.0, 1e-3])
    >>> certificate = worst_case(m, delta=0.01, temperature=1.0)
    >>> certificate.lower <= certificate.upper
    True
    """
    if quantity not in _ERRORS:
        raise AssumptionError("quantity", f"must be one of {', '.join(_ERRORS)}", quantity)
    if not (isinstance(delta, int | float) and 0 <= delta < math.inf):
        raise AssumptionError("delta", "must be a finite number of nats ≥ 0", delta)
    if not 0 < temperature < math.inf:
        raise AssumptionError("temperature", "must be positive and finite", temperature)
    if not 0 <= guidance_scale < math.inf:
        raise AssumptionError("guidance_scale", "must be ≥ 0 and finite", guidance_scale)
    mixture = Mixture(
        *(np.asarray(x, np.float64) for x in (mixture.retain, mixture.forget)),
        mixture.gamma,
        np.asarray(mixture.reference, np.float64),
    )
    atoms = reduce_atoms(mixture, delta, temperature, guidance_scale)
    bayes = atoms.bayes()

    def attained(point: Point) -> tuple[float, Vector]:
        f = _witness(mixture, atoms, point, delta)
        with np.errstate(divide="ignore"):
            log_q = temper_then_tilt(
                mixture.log_density, np.log(f), temperature, guidance_scale, mixture.log_reference
            )
        return float(_ERRORS[quantity](mixture, log_q)), f

    if delta == 0 or guidance_scale == 0:
        value, f = attained(bayes)
        return Certificate(value, value * (1 + 1e-12), f)
    dual: Dual = (ForgetDual if quantity == "forget_error" else RetainDual)(atoms, delta)
    best, lower, start = _ascend(dual)
    upper, best, lower = _cover(dual, best, lower, start, tolerance)
    value, f = attained(best)
    return Certificate(value, max(upper, value), f)


def _witness(mixture: Mixture, atoms: Atoms, point: Point, delta: float) -> Vector:
    """The classifier on the mixture's own atoms, pulled towards f* until its float64 values fit."""
    f_star = np.where(atoms.inverse >= 0, atoms.oracle[atoms.inverse], 0.5)
    f = np.where(atoms.inverse >= 0, np.exp(point.log_f)[atoms.inverse], 0.5)
    f = np.where((f_star > 0) & (f_star < 1), np.clip(f, 1e-300, 1 - 2.0**-53), f)
    f = np.where(f_star == 1, np.clip(f, 1e-300, 1), f)
    pull, trial = 0.0, f
    while not float(excess_risk(mixture, trial)) <= delta:
        pull = 1e-12 if pull == 0 else 2 * pull
        if pull >= 1:
            return f_star
        trial = f + pull * (f_star - f)
    return trial


def _spend(dual: Dual, c: Vector) -> tuple[Point, float]:
    """The maximiser of the atoms' rewards c that spends the budget, and its multiplier."""
    atoms = dual.atoms

    def excess(x: float) -> float:
        risk = atoms.risk(respond(x))
        return math.log(max(risk, 1e-320) / dual.delta)

    def multiplier(x: float) -> float:
        return math.exp(x)

    def respond(x: float) -> Point:
        return maximise(atoms, c, multiplier(x), multiplier(x) + dual.worth, everywhere=False)

    low = high = 0.0
    if excess(-690.0) < 0 and dual.worth > 0:  # λ below s/(1−γ): log f is worth its risk

        def multiplier(x: float) -> float:
            return -dual.worth / (1 + math.exp(x))

    else:
        spread = float(np.dot(atoms.probability, c * c * atoms.oracle * atoms.co_oracle))
        low = high = math.log(math.sqrt(spread / (2 * dual.delta)) + 1e-300)
    step = 1.0
    while excess(high) > 0 and high < 690:
        high, step = high + step, 2 * step
    step = 1.0
    while excess(low) <= 0:
        if low <= -690:
            return respond(low), multiplier(low)
        low, step = max(low - step, -690.0), 2 * step
    root = brentq(excess, low, high, xtol=1e-9, rtol=1e-12) if excess(high) < 0 else high
    for slack in (0.0, 1e-9, 1e-8, 1e-7):
        if excess(root + slack) <= 0:
            return respond(root + slack), multiplier(root + slack)
    return respond(high), multiplier(high)


def _climb(dual: Dual, point: Point) -> tuple[Point, float, float]:
    """Fixed-point ascent: linearise the error at a classifier, spend the budget, repeat."""
    best, value, multiplier = point, dual.value(point), math.nan
    for _ in range(30):
        _, c = dual.prices(point)
        point, found = _spend(dual, c)
        new = dual.value(point)
        if not new > value:
            break
        gained, best, value, multiplier = new - value, point, new, found
        if gained <= 1e-7 * value:
            break
    return best, value, multiplier


def _starts(dual: Dual) -> list[Point]:
    atoms = dual.atoms
    starts = [atoms.bayes()]
    if isinstance(dual, ForgetDual):
        share = float(np.dot(atoms.forget, atoms.base * starts[0].power))
        for sign in (-1.0, 1.0):
            starts.append(_spend(dual, dual.rewards(sign, -sign * share))[0])
    else:
        starts.extend(_concentrated(dual))
    return starts


def _concentrated(dual: Dual) -> list[Point]:
    """The classifiers that spend everything on one atom: the best of the low and high ones."""
    x, bayes = dual.atoms, dual.atoms.bayes()
    low = x.weight / x.probability * x.single  # one atom of each kind
    live = np.flatnonzero(x.retain > 0)
    lost = low[live] * (bayes.power[live] - np.exp(x.scale * x.log_low[live]))
    mass = x.retain[live] * x.single[live] / x.probability[live]
    gain = x.scale * mass * (x.log_oracle[live] - x.log_low[live])
    with np.errstate(invalid="ignore", divide="ignore"):
        z = live[np.nanargmax(gain + np.log1p(-lost))]
    if x.single[z] != x.probability[z]:
        return []
    log_f, log_g = bayes.log_f.copy(), bayes.log_g.copy()
    log_f[z] = x.log_low[z]
    log_g[z] = np.log1p(-np.exp(log_f[z]))
    return [Point(np.exp(x.scale * log_f), log_f, log_g)]


def _ascend(dual: Dual) -> tuple[Point, float, list[tuple[float, float]]]:
    best, value, multipliers = dual.atoms.bayes(), -math.inf, []
    for start in _starts(dual):
        point, found, multiplier = _climb(dual, start)
        if not math.isnan(multiplier):
            multipliers.append((multiplier, dual.prices(point)[0]))
        if found > value:
            best, value = point, found
    return best, value, multipliers


def _range(dual: Dual) -> tuple[float, float]:
    """An interval that holds N(f) of every classifier within the budget."""
    x = dual.atoms
    log_high = np.where(
        np.isfinite(x.log_co_low), np.log1p(-np.exp(np.minimum(x.log_co_low, -1e-17))), 0.0
    )
    low = float(np.dot(x.weight, np.exp(x.scale * x.log_low)))
    high = float(np.dot(x.weight, np.exp(x.scale * np.minimum(log_high, 0.0))))
    # Jensen: log N ≥ Σ P_r log(w/P_r) + s Σ P_r log f, and the risk bounds the last sum.
    live = x.retain > 0
    ratio = np.log(x.slope[live]) - np.log(x.oracle[live] / (1 - x.gamma))
    spent = np.dot(
        x.probability,
        np.where(
            x.co_oracle > 0, -x.co_oracle * np.where(x.co_oracle > 0, x.log_co_oracle, 0.0), 0.0
        ),
    )
    mean = np.dot(x.retain[live], x.log_oracle[live]) - (dual.delta + spent) / (1 - x.gamma)
    jensen = float(np.dot(x.retain[live], ratio) + x.scale * mean)
    return max(low, math.exp(min(jensen, 700.0)), 1e-300) * (1 - 1e-9), high * (1 + 1e-9)


def _cover(
    dual: Dual, best: Point, lower: float, starts: list[tuple[float, float]], tolerance: float
) -> tuple[float, Point, float]:
    """Branch and bound over the normaliser: the largest of the bounds of intervals that cover it."""
    columns: list = []
    count = itertools.count()
    span = _range(dual)
    bound, at = _minimise(dual, span, columns, starts, lower, tolerance)
    queue = [(-bound, next(count), span, at)]
    for _ in range(200):
        bound, _, span, at = queue[0]
        if -bound <= lower * (1 + tolerance) or span[1] <= span[0] * (1 + 1e-7):
            break
        heapq.heappop(queue)
        middle = math.sqrt(span[0]) * math.sqrt(span[1])
        for half in ((span[0], middle), (middle, span[1])):
            new, where = _minimise(dual, half, columns, [at], lower, tolerance)
            heapq.heappush(queue, (-min(new, -bound), next(count), half, where))
    return -queue[0][0], best, lower


def _minimise(
    dual: Dual,
    span: tuple[float, float],
    columns: list,
    starts: list[tuple[float, float]],
    lower: float,
    tolerance: float,
) -> tuple[float, tuple[float, float]]:
    """Kelley's cutting planes over (multiplier, price); any pair is a valid bound."""
    starts = starts or [(1.0, dual.prices(dual.atoms.bayes())[0])]
    best, at = math.inf, starts[0]
    for start in starts:
        new, found = dual.bound(span, *start)
        columns.extend(found)
        if new < best:
            best, at = new, start
    unit = abs(at[0]) + abs(dual.floor) + 1e-300, abs(at[1]) + 1e-300
    for _ in range(40):
        if best <= lower * (1 + tolerance):
            break
        slope, price, constant = dual.cuts(span, np.array(columns))
        rows = np.column_stack([slope * unit[0], price * unit[1], np.full(len(slope), -1.0)])
        solved = linprog(
            [0.0, 0.0, 1.0],
            rows,
            -constant,
            bounds=[(dual.floor / unit[0], 1e3), (-1e3, 1e3), (None, None)],
        )
        if solved.x is None:
            break
        model = solved.x[2]
        if (
            best - model <= 0.1 * tolerance * lower
            or model > lower * (1 + 4 * tolerance)
            and best < model * (1 + 0.1)
        ):
            break
        point = max(solved.x[0] * unit[0], dual.floor + 1e-300), solved.x[1] * unit[1]
        new, found = dual.bound(span, *point)
        columns.extend(found)
        if new < best:
            best, at = new, point
    return best, at
