"""worst_case: the largest error that a budget of excess risk allows, certified on both sides."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from t3theory._checks import count, nonnegative, positive
from t3theory._xp import as_numpy, log_sigmoid, namespace
from t3theory.classifier import excess_risk_of_log_odds
from t3theory.envelope.atoms import Atoms, Point, log_rest
from t3theory.envelope.dual import ForgetDual, RetainDual
from t3theory.envelope.known import beforehand, jensen, of_all, slack
from t3theory.envelope.pinning import raised
from t3theory.envelope.reduction import reduce_atoms
from t3theory.envelope.search import search
from t3theory.errors import forget_error, retain_error
from t3theory.estimator import temper_then_tilt
from t3theory.exceptions import AssumptionError, T3Error
from t3theory.mixture import Mixture

__all__ = ["Certificate", "worst_case"]

Vector = NDArray[np.float64]
_ERRORS = {"forget_error": forget_error, "retain_error": retain_error}


@dataclass(frozen=True, eq=False)
class Certificate:
    """lower ≤ sup {error(f) : δ(f) ≤ δ} ≤ upper; unpacks as lower, upper, witness.

    Args:
        lower: the error of the classifier with `log_odds`, whose excess risk is ≤ δ.
        upper: holds for every classifier within the budget; where float64 cannot hold the
            weights p^{1/T}/N* or a P, the bound that needs no search: by Jensen's inequality for
            the retain error, all mass on one atom for the forget error.
        witness: that classifier as f(z) = P(retain | z), shape (n,); where the worst of all is
            below 1e-308, 0 stands for it, and only the log-odds attain `lower`.
        log_odds: log f/(1−f), shape (n,).
    """

    lower: float
    upper: float
    witness: Vector
    log_odds: Vector

    def __iter__(self) -> Iterator[Any]:
        return iter((self.lower, self.upper, self.witness))

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
    nodes: int = 300,
) -> Certificate:
    """sup {error(p̂^(T)_f) : δ(f) ≤ delta}, between a bound and a classifier that attains it.

    Args:
        mixture: P_r, P_f, γ, μ, of any array library; laws of fewer digits than float64's are
            divided by their sum, and the certificate is that of these.
        delta: budget of excess risk, nats, ≥ 0.
        temperature: T > 0.
        quantity: "forget_error" (units of density) or "retain_error" (nats).
        guidance_scale: s ≥ 0.
        tolerance: relative gap at which the search stops.
        nodes: most branchings of the search; a real duality gap may need more.
    Raises:
        AssumptionError: delta is negative, not finite, or for the retain error so large that
            s δ/(1−γ) is no float64; the quantity is unknown, T ≤ 0, s < 0, a
            tolerance that is not positive, or a fraction of a node.

    >>> m = Mixture([1.0, 0.0], [0.0, 1.0], gamma=0.1, reference=[1.0, 1e-3])
    >>> certificate = worst_case(m, delta=0.01, temperature=1.0)
    >>> certificate.lower <= certificate.upper
    True
    """
    if quantity not in _ERRORS:
        raise AssumptionError("quantity", f"must be one of {', '.join(_ERRORS)}", quantity)
    delta, temperature = nonnegative("delta", delta), positive("temperature", temperature)
    guidance_scale, nodes = nonnegative("guidance_scale", guidance_scale), count("nodes", nodes, 0)
    tolerance = positive("tolerance", tolerance)
    mixture = _widened(mixture)
    if quantity == "retain_error":
        _check_fall(delta, guidance_scale, mixture.gamma)
    # Weights that overflow, which `representable` tells; 0 · log 0 at s = 0, which no bound needs.
    with np.errstate(over="ignore", invalid="ignore"):
        atoms = reduce_atoms(mixture, delta, temperature, guidance_scale)

    def attained(atoms: Atoms, point: Point) -> tuple[float, Vector]:
        log_odds = _witness(mixture, atoms, point, delta)
        log_f = log_sigmoid(log_odds)
        log_q = temper_then_tilt(
            mixture.log_density, log_f, temperature, guidance_scale, mixture.log_reference
        )
        return float(_ERRORS[quantity](mixture, log_q)), log_odds

    some = int(np.isfinite(mixture.log_probabilities).sum())
    if delta == 0 or guidance_scale == 0 or some == 1:  # all classifiers give the same estimate
        with np.errstate(invalid="ignore"):
            value, log_odds = attained(atoms, atoms.bayes())
            upper = value + slack(mixture, atoms, temperature, quantity, value)
        return _certificate(value, upper, log_odds)
    dual = (ForgetDual if quantity == "forget_error" else RetainDual)(atoms, delta)
    upper = beforehand(mixture, delta, quantity, temperature == guidance_scale == 1)
    # A sum that overflows makes one trial bound infinite, which the search passes over.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        if atoms.representable and np.count_nonzero(atoms.inverse >= 0) > 1:
            best, found = search(dual, tolerance, nodes, upper)
            value, log_odds = attained(best.atoms, best.point)
            upper = min(upper, of_all(mixture, dual, temperature, found))
        else:
            heavy, point = raised(dual, _heaviest(mixture, atoms, temperature))
            tried = attained(atoms, atoms.bayes()), attained(heavy.atoms, point)
            value, log_odds = max(tried, key=lambda pair: pair[0])
    upper = min(upper, jensen(mixture, dual, temperature))
    return _certificate(value, _above(mixture, quantity, value, upper), log_odds)


def _certificate(value: float, upper: float, log_odds: Vector) -> Certificate:
    return Certificate(value, upper, np.exp(log_sigmoid(log_odds)), log_odds)


def _above(mixture: Mixture, quantity: str, value: float, upper: float) -> float:
    """The bound; in float64 the attained value may pass one that it meets, but by rounding only."""
    size = float(np.dot(mixture.forget, mixture.retain / mixture.reference))
    if value > upper * (1 + 1e-9) + 1e-12 * (size if quantity == "forget_error" else 1.0):
        raise T3Error(f"the bound {upper} is below an attained {quantity} of {value}: a defect")
    return max(upper, value)


def _check_fall(delta: float, scale: float, gamma: float) -> None:
    """Refuse a budget whose −s Σ P_r log f may pass the floats."""
    if math.isinf(max(1.0, scale) * delta / (1 - gamma)):
        raise AssumptionError("delta", "must leave s δ/(1−γ) a float64 for the retain error", delta)


def _widened(mixture: Mixture) -> Mixture:
    """In NumPy's float64; a law of fewer digits, which sums to 1 within those, normalised again."""
    retain, forget = as_numpy(mixture.retain), as_numpy(mixture.forget)
    if namespace(mixture.retain).finfo(mixture.retain.dtype).bits < 64:
        retain, forget = retain / retain.sum(), forget / forget.sum()
    return Mixture(retain, forget, mixture.gamma, as_numpy(mixture.reference))


def _heaviest(mixture: Mixture, atoms: Atoms, temperature: float) -> int:
    """The kind of which one atom, f as high as the budget allows, weighs most in N."""
    log_weight = np.asarray(mixture.log_reference + mixture.log_density / temperature)
    rise = atoms.scale * atoms.log_high[atoms.inverse]
    return int(atoms.inverse[np.argmax(np.where(atoms.inverse >= 0, log_weight + rise, -np.inf))])


def _witness(mixture: Mixture, atoms: Atoms, point: Point, delta: float) -> Vector:
    """Log-odds on the mixture's own atoms, pulled towards f*'s until they fit the budget.

    The risk is convex in log-odds.
    """
    pull = 0.0
    while pull < 1:
        log_odds = _spread(atoms, _towards_bayes(atoms, point, pull))
        if float(excess_risk_of_log_odds(mixture, log_odds)) <= delta:
            return log_odds
        pull = 1e-9 if pull == 0 else 2 * pull
    return _spread(atoms, atoms.log_oracle - atoms.log_co_oracle)


def _spread(atoms: Atoms, log_odds: Vector) -> Vector:
    # Where P = 0 any value will do; 0 is the Bayes classifier's.
    return np.where(atoms.inverse >= 0, log_odds[atoms.inverse], 0.0)


def _towards_bayes(atoms: Atoms, point: Point, pull: float) -> Vector:
    """(1−pull) · log-odds of `point` + pull · those of f*, which may be infinite."""
    certain, hopeless = atoms.co_oracle == 0, atoms.oracle == 0
    log_f, log_g = point.log_f.copy(), point.log_g.copy()
    with np.errstate(divide="ignore", invalid="ignore"):
        # Where f* is 0 or 1, the logarithm that costs is scaled and the other follows.
        log_f[certain] *= 1 - pull
        log_g[certain] = log_rest(log_f[certain])
        log_g[hopeless] *= 1 - pull
        log_f[hopeless] = log_rest(log_g[hopeless])
        log_odds = log_f - log_g
        mixed = ~(certain | hopeless)
        bayes = (atoms.log_oracle - atoms.log_co_oracle)[mixed]
        log_odds[mixed] = (1 - pull) * log_odds[mixed] + pull * bayes
    return log_odds
