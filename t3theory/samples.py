"""K. From samples to excess risk: what n observations guarantee of a classifier.

Composed with :func:`t3theory.bounds.guarantee` these lead from n to the errors.
"""

from __future__ import annotations

import math
from typing import Literal

from t3theory._checks import count, nonnegative, positive, share
from t3theory._xp import Array, as_float_array, namespace, require
from t3theory.bounds.pinsker import kl_inverse
from t3theory.exceptions import AssumptionError

__all__ = ["erm_excess_risk", "heldout_risk_upper_bound", "tabular_excess_risk"]

Method = Literal["best", "chernoff", "empirical-bernstein", "hoeffding"]


def tabular_excess_risk(atoms: int, n: int) -> float:
    """E[δ] ≤ |Z|/(n+1) for the add-one classifier from n independent labelled draws.

    The classifier is f(z) = (k_z+1)/(N_z+2), with k_z retain labels among N_z draws of z.
    Add-one smoothing costs E kl(θ‖(k+1)/(N+2)) ≤ log((N+2)/(N+1)) ≤ 1/(N+1) a cell, and
    E[1/(N+1)] ≤ 1/((n+1) P(z)).

    Args:
        atoms: |Z|, those with P > 0. n: draws, of retain and forget together.
    Returns:
        nats.

    >>> tabular_excess_risk(10, 999)
    0.01
    """
    return count("atoms", atoms, 1) / (count("n", n, 0) + 1)


def erm_excess_risk(
    n: int,
    weight_norm: float,
    feature_norm: float,
    confidence: float = 0.95,
    approximation: float = 0.0,
) -> float:
    """δ ≤ a + 2WR/√n + 2WR √(log(2/η)/(2n)) with probability 1 − η.

    For the minimiser of the empirical log-loss over log-odds ⟨w, φ(z)⟩, ‖w‖ ≤ W, ‖φ‖ ≤ R. The
    loss is 1-Lipschitz in the log-odds and its values span WR, not log(1+e^{WR}).

    Args:
        weight_norm, feature_norm: W, R.
        confidence: 1 − η.
        approximation: a, the excess risk of the best such classifier.

    >>> round(erm_excess_risk(10_000, 1.0, 1.0), 3)
    0.047
    """
    n = count("n", n, 1)
    approximation = nonnegative("approximation", approximation)
    span = nonnegative("weight_norm", weight_norm) * nonnegative("feature_norm", feature_norm)
    deviation = math.sqrt(math.log(2 / _miss(confidence)) / (2 * n))
    return approximation + 2 * span * (1 / math.sqrt(n) + deviation)


def heldout_risk_upper_bound(
    losses: Array, confidence: float = 0.95, *, upper: float, method: Method = "best"
) -> float:
    """An upper confidence bound on the mean of independent losses in [0, upper].

    * "hoeffding": mean + upper √(log(1/η)/(2n));
    * "chernoff": upper · kl⁻¹(mean/upper; log(1/η)/n), never above Hoeffding's;
    * "empirical-bernstein" (Maurer & Pontil 2009, theorem 4): mean + √(2V log(2/η)/n) +
      7 upper log(2/η)/(3(n−1)), V the sample variance;
    * "best": the lesser of the last two, each at η/2.

    Args:
        losses: shape (n,), from data the classifier was not fitted to.
        confidence: 1 − η.
        upper: the largest value a loss can take, known beforehand (clip f to fix it).
    Returns:
        a bound on the risk, hence on the excess risk, which is less by the Bayes risk.
    Raises:
        AssumptionError: a loss outside [0, upper] and its index, or none at all.

    >>> round(heldout_risk_upper_bound([0.0] * 1000, upper=1.0, method="chernoff"), 5)
    0.00299
    """
    upper = positive("upper", upper)
    losses = as_float_array(losses)
    if losses.ndim != 1 or losses.shape[0] == 0:
        raise AssumptionError("losses", "must be a vector of at least one loss", losses.shape)
    require((losses >= 0) & (losses <= upper), "losses", f"must lie in [0, {upper}]", losses)
    eta = _miss(confidence)
    if method == "hoeffding":
        return _hoeffding(losses, eta, upper)
    if method == "chernoff":
        return _chernoff(losses, eta, upper)
    if method == "empirical-bernstein":
        return _bernstein(losses, eta, upper)
    if method == "best":
        return min(_chernoff(losses, eta / 2, upper), _bernstein(losses, eta / 2, upper))
    known = "best, chernoff, empirical-bernstein or hoeffding"
    raise AssumptionError("method", f"must be {known}", method)


def _hoeffding(losses: Array, eta: float, upper: float) -> float:
    n = losses.shape[0]
    return min(_mean(losses) + upper * math.sqrt(math.log(1 / eta) / (2 * n)), upper)


def _chernoff(losses: Array, eta: float, upper: float) -> float:
    mean = min(_mean(losses) / upper, 1.0)
    return upper * kl_inverse(mean, math.log(1 / eta) / losses.shape[0])


def _bernstein(losses: Array, eta: float, upper: float) -> float:
    n = losses.shape[0]
    if n == 1:
        return upper
    xp = namespace(losses)
    mean = _mean(losses)
    variance = float(xp.sum((losses - mean) ** 2)) / (n - 1)
    log_term = math.log(2 / eta)
    bound = mean + math.sqrt(2 * variance * log_term / n) + 7 * upper * log_term / (3 * (n - 1))
    return min(bound, upper)


def _mean(losses: Array) -> float:
    return float(namespace(losses).mean(losses))


def _miss(confidence: float) -> float:
    return 1 - share("confidence", confidence)
