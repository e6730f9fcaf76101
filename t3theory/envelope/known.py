"""What is known of a worst case without a search: bounds beforehand, and what rounding may hide."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from t3theory._xp import logsumexp
from t3theory.envelope.atoms import Atoms
from t3theory.envelope.dual import Dual, ForgetDual, rounding
from t3theory.envelope.reach import mean_log_f, normalisers
from t3theory.mixture import Mixture

__all__ = ["beforehand", "jensen", "of_all", "slack"]

Vector = NDArray[np.float64]


def beforehand(mixture: Mixture, delta: float, quantity: str, guidance: bool) -> float:
    """A bound that needs no search: B for the retain error of guidance, a vertex for the other.

    The forget error is convex in P̂, so no law's exceeds that of all mass on one atom.
    """
    if quantity == "retain_error":
        return delta / (1 - mixture.gamma) * (1 + 1e-15) if guidance else math.inf
    retain, forget, reference = _laws(mixture)
    density = retain / reference
    with np.errstate(over="ignore"):
        moved = forget * np.where(forget > 0, np.abs(density - 1 / reference) - density, 0.0)
    # 1e-12: what a million terms of pairwise sums can lose.
    return float((np.sum(forget * density) + max(0.0, np.max(moved))) * (1 + 1e-12))


def jensen(mixture: Mixture, dual: Dual, temperature: float) -> float:
    """RE(f) ≤ Σ P_r log(p_r/p^{1/T}) − s Σ P_r log f + log Σ μ p^{1/T} max f^s, each within the budget.

    In logarithms alone, so that it is finite where weights have no float. ∞ for the forget error.
    """
    atoms = dual.atoms
    if isinstance(dual, ForgetDual):
        return math.inf
    log_weight = np.asarray(mixture.log_reference + mixture.log_density / temperature)
    high = np.where(atoms.inverse >= 0, atoms.scale * atoms.log_high[atoms.inverse], 0.0)
    log_normaliser = float(logsumexp(log_weight + high))
    fallen, lost = mean_log_f(atoms, dual.delta)
    constant, size = _constant(mixture, temperature)
    size += abs(log_normaliser) + atoms.scale * lost
    return constant - atoms.scale * fallen + log_normaliser + rounding(atoms) * size


def of_all(mixture: Mixture, dual: Dual, temperature: float, found: float) -> float:
    """A bound `found` by a search, which leaves out atoms whose P is below the floats, of all atoms.

    Forget error: those have at most a share e = Σ w / N of p̂, and each other p̂ falls by no more than
    that share of it. Retain error: ∞, as a fall of f on one of them may cost next to nothing.
    """
    atoms = dual.atoms
    lost = (atoms.inverse < 0) & np.isfinite(mixture.log_probabilities)
    if not lost.any():
        return found
    if not isinstance(dual, ForgetDual):
        return math.inf
    retain, forget, reference = (x[lost] for x in _laws(mixture))
    log_weight = np.asarray(mixture.log_reference + mixture.log_density / temperature)[lost]
    e = float(np.exp(logsumexp(log_weight) - atoms.log_normaliser)) / normalisers(dual)[0]
    own = float(np.sum(forget * (retain / reference + e / reference)))
    return (found + e * (found + float(atoms.held.sum())) + own) * (1 + 1e-12)


def slack(mixture: Mixture, atoms: Atoms, temperature: float, quantity: str, value: float) -> float:
    """What rounding may hide of the error of the Bayes classifier, `value` as computed."""
    if quantity == "forget_error":
        retain, forget, reference = _laws(mixture)
        # Σ P_f |p_r − p̂| ≥ Σ P_f p̂ − Σ P_f p_r: the terms add up to no more than this.
        size = value + 2 * float(np.sum(forget * (retain / reference)))
    else:
        some = atoms.retain > 0
        size = _constant(mixture, temperature)[1] + abs(atoms.log_normaliser)
        size -= atoms.scale * float(np.dot(atoms.retain[some], atoms.log_oracle[some]))
    return rounding(atoms) * size


def _constant(mixture: Mixture, temperature: float) -> tuple[float, float]:
    """Σ P_r log(p_r/p^{1/T}), and the size of its terms."""
    retain, _, reference = _laws(mixture)
    some = retain > 0
    retain, log_reference = retain[some], np.log(reference[some])
    tempered = np.asarray(mixture.log_density)[some] / temperature
    parts = np.log(retain) - log_reference - tempered
    sizes = np.abs(np.log(retain)) + np.abs(log_reference) + np.abs(tempered)
    return float(np.dot(retain, parts)), float(np.dot(retain, sizes))


def _laws(mixture: Mixture) -> tuple[Vector, Vector, Vector]:
    laws = mixture.retain, mixture.forget, mixture.reference
    return tuple(np.asarray(x, np.float64) for x in laws)  # type: ignore[return-value]
