"""All bounds that hold for a mixture, a classifier and a temperature."""

from __future__ import annotations

import math

from t3theory._xp import Array, as_float_array, log, log1mexp, namespace, plain
from t3theory.bounds.bound import Bound
from t3theory.bounds.guidance import guidance_bounds
from t3theory.bounds.identity import identity_bounds
from t3theory.bounds.leakage import leakage_bounds
from t3theory.bounds.necessity import jensen_bounds
from t3theory.bounds.tempered import forget_bounds, retain_bounds
from t3theory.bounds.terms import Terms
from t3theory.classifier import excess_risk_of_log_odds, log_odds_of
from t3theory.exceptions import AssumptionError
from t3theory.mixture import Mixture

__all__ = ["evaluate", "guarantee"]


def evaluate(
    mixture: Mixture, f: Array, temperature: float = 1.0, guidance_scale: float = 1.0
) -> tuple[Bound, ...]:
    """Every bound on RE_T and FE_T of the estimate p^{1/T} f^s, in the ledger's order.

    A, B, C and E hold at T = 1, G and H at T ≥ 1, F (from below) and Q at every T. The scale s
    enters only through f^s, which is a classifier like any other, so what counts is *its*
    excess risk: a scale other than 1 has one that stays positive for the Bayes classifier.

    Args:
        f: P(retain | z) on the atoms, shape (n,), in [0, 1].
        temperature: T > 0. guidance_scale: s > 0; s = 0 has no bound and gives ().
    Raises:
        AssumptionError: f outside [0, 1], T ≤ 0, s < 0, or f = 0 wherever P > 0.

    >>> m = Mixture(retain=[0.5, 0.5], forget=[0.0, 1.0], gamma=0.5)
    >>> [(b.letter, round(b.value, 3)) for b in evaluate(m, [0.9, 0.3]) if b.letter in "BC"]
    [('B', 0.057), ('C', 0.336)]
    """
    temperature = _number(temperature, "temperature", positive=True)
    guidance_scale = _number(guidance_scale, "guidance_scale", positive=False)
    if guidance_scale == 0:
        return ()
    f = as_float_array(f, namespace(mixture.retain, f), mixture.retain)
    log_odds = log_odds_of(f)
    # straight from f, as the estimate has it: the way through log-odds rounds once more
    log_f = guidance_scale * log(f)
    if guidance_scale != 1:
        log_odds = log_f - log1mexp(log_f)
    delta = float(excess_risk_of_log_odds(mixture, log_odds))
    terms = Terms(mixture, delta, temperature, log_f)
    if terms.log_normaliser == -math.inf:
        raise AssumptionError("f", "must be positive somewhere that P > 0", 0.0)
    found: list[Bound] = []
    if temperature == 1:
        found += identity_bounds(terms, log_odds)
    found += _risk_bounds(terms)
    found += jensen_bounds(terms)
    return tuple(sorted(found, key=_letter))


def guarantee(mixture: Mixture, excess_risk: float, temperature: float = 1.0) -> tuple[Bound, ...]:
    """Every upper bound on RE_T and FE_T that holds for all classifiers with δ(f) ≤ δ.

    The statements increase with δ, so an upper confidence bound on it may stand in its place. So
    do the values, but for Q's "split", which is computed to 0.2 % from above: it holds for every
    δ' ≤ δ all the same, and may fall by so much where δ rises.

    >>> m = Mixture(retain=[0.5, 0.5], forget=[0.0, 1.0], gamma=0.5)
    >>> {b.letter for b in guarantee(m, 0.01, temperature=2.0)} == {"G", "H", "Q"}
    True
    """
    temperature = _number(temperature, "temperature", positive=True)
    excess_risk = _number(excess_risk, "excess_risk", positive=False)
    return tuple(sorted(_risk_bounds(Terms(mixture, excess_risk, temperature)), key=_letter))


def _letter(bound: Bound) -> str:
    return bound.letter


def _risk_bounds(terms: Terms) -> list[Bound]:
    found: list[Bound] = []
    if not math.isfinite(terms.excess_risk):
        return found
    if terms.temperature == 1:
        found += guidance_bounds(terms)
    if terms.temperature >= 1:
        found += forget_bounds(terms)
        found += retain_bounds(terms)
    return found + list(leakage_bounds(terms))


def _number(value: float | Array, name: str, positive: bool) -> float:
    value = plain(value)
    if not isinstance(value, float):
        raise AssumptionError(name, "must be one number", type(value).__name__)
    ok = 0 < value < math.inf if positive else 0 <= value < math.inf
    if not ok:
        requirement = "must be positive and finite" if positive else "must be ≥ 0 and finite"
        raise AssumptionError(name, requirement, value)
    return value
