"""The numbers that bounds are put together from, each computed once and only if asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from t3theory._xp import Array, log_sigmoid, logsumexp, namespace
from t3theory.bounds.pinsker import exp_or_inf, gap_bound, kl_inverse, weighted_gap_bound
from t3theory.classifier import bayes_log_odds, overlap
from t3theory.errors import forget_bias, oracle_tilt, retain_bias
from t3theory.estimator import temper_then_tilt
from t3theory.mixture import Mixture

__all__ = ["Terms"]

_ROUNDING = 1e-13
"""What an exponential of a logarithm of size 700 may lose, relatively."""


@dataclass(frozen=True, eq=False)
class Terms:
    """What is known: a mixture, an excess risk, a temperature T > 0, perhaps the classifier.

    Args:
        excess_risk: δ, nats.
        log_f: log of the classifier's values, shape (n,), or None for "any with this δ".
    """

    mixture: Mixture
    excess_risk: float
    temperature: float = 1.0
    log_f: Array | None = None

    @property
    def gamma(self) -> float:
        """γ."""
        return self.mixture.gamma

    @property
    def cooling(self) -> float:
        """1 − 1/T, the share of every log-density that tempering takes away."""
        return 1 - 1 / self.temperature

    @cached_property
    def overlap(self) -> float:
        """O = E_P[f*(1−f*)]."""
        return float(overlap(self.mixture))

    @cached_property
    def gap(self) -> float:
        """Δ ≥ E_P|f − f*| (statement D)."""
        return gap_bound(self.overlap, self.excess_risk)

    @cached_property
    def forget_sup(self) -> float:
        """h = ‖p_f‖_∞."""
        return float(self.mixture.forget_density_sup)

    @cached_property
    def log_tempered(self) -> Array:
        """log q, q = μ p^{1/T}; −inf where P = 0."""
        return self.mixture.log_reference + self.mixture.log_density / self.temperature

    @cached_property
    def log_flattening(self) -> Array:
        """log q/P = (1/T − 1) log p, what tempering multiplies a density by; 0 where P = 0."""
        log_p = self.mixture.log_density
        xp = namespace(log_p)
        return -self.cooling * xp.where(log_p > -xp.inf, log_p, xp.zeros_like(log_p))

    @cached_property
    def log_oracle_normaliser(self) -> float:
        """log N*, N* = Σ q f*."""
        return float(logsumexp(self.log_tempered + log_sigmoid(bayes_log_odds(self.mixture))))

    @cached_property
    def oracle_normaliser(self) -> float:
        """N*."""
        return math.exp(self.log_oracle_normaliser)

    @cached_property
    def log_normaliser(self) -> float | None:
        """log N̂, N̂ = Σ q f, where the classifier is known; −inf only where q f = 0 throughout."""
        if self.log_f is None:
            return None
        return float(logsumexp(self.log_tempered + self.log_f))

    @cached_property
    def normaliser(self) -> float | None:
        """N̂, where the classifier is known; 0 where it underflows."""
        return None if self.log_normaliser is None else math.exp(self.log_normaliser)

    @cached_property
    def holder_gap(self) -> float:
        """D_N ≥ |N̂ − N*| by Hölder: μ(P>0)^{1−1/T} · (E_P|f−f*|^T)^{1/T}."""
        return self._mass_power * self._moment ** (1 / self.temperature)

    @cached_property
    def slow_holder_gap(self) -> float:
        """D_N from Pinsker alone: μ(P>0)^{1−1/T} (δ/2)^{1/max(2,T)}, capped as E|f−f*| ≤ 1."""
        risk = min(self.excess_risk / 2, 1.0)
        return self._mass_power * risk ** (1 / max(2.0, self.temperature))

    @cached_property
    def normaliser_gap(self) -> float:
        """The least known bound on |N̂ − N*|: Hölder, or the weighted form of D."""
        weighted = weighted_gap_bound(self.mixture, self.log_flattening, self.excess_risk)
        return min(self.holder_gap, weighted)

    @cached_property
    def normaliser_floor(self) -> float:
        """A lower bound on N̂ that needs δ only, positive whenever δ is finite."""
        delta, retained = self.excess_risk, 1 - self.gamma
        exponent = self.retain_bias + (delta + min(self.gap, retained)) / retained
        star = self.oracle_normaliser
        floor = max(
            # less what rounding may add to a difference of equal numbers
            star - self.normaliser_gap - _ROUNDING * star,
            math.exp(self.log_oracle_normaliser - exponent),
        )
        if self.temperature == 1:  # statement A: kl(1−γ‖Ẑ) ≤ δ
            floor = max(floor, kl_inverse(retained, delta, upper=False))
        return floor

    @cached_property
    def retain_bias(self) -> float:
        """RB_T."""
        return float(retain_bias(self.mixture, self.temperature)) if self.temperature != 1 else 0.0

    @cached_property
    def forget_bias(self) -> float:
        """FB_T."""
        return float(forget_bias(self.mixture, self.temperature)) if self.temperature != 1 else 0.0

    @cached_property
    def retain_on_forget(self) -> float:
        """E_{P_f}[p_r]: 0 for disjoint supports."""
        return self.forget_mean(self.mixture.log_retain_density)

    @cached_property
    def oracle_on_forget(self) -> float:
        """E_{P_f}[p*^(T)]."""
        if self.temperature == 1:
            return self.retain_on_forget
        return self.forget_mean(oracle_tilt(self.mixture, self.temperature))

    @cached_property
    def log_estimate(self) -> Array | None:
        """log p̂^(T), the estimate's log-density, where the classifier is known."""
        if self.log_f is None:
            return None
        m = self.mixture
        return temper_then_tilt(m.log_density, self.log_f, self.temperature, 1.0, m.log_reference)

    @cached_property
    def estimate_on_forget(self) -> float | None:
        """E_{P_f}[p̂^(T)], where the classifier is known."""
        return None if self.log_estimate is None else self.forget_mean(self.log_estimate)

    def forget_mean(self, log_g: Array) -> float:
        """E_{P_f}[g] of g given by its logarithm; from above where float64 cannot hold it."""
        return exp_or_inf(float(logsumexp(self.mixture.log_forget + log_g)))

    @cached_property
    def _mass_power(self) -> float:
        """μ(P>0)^{1−1/T}."""
        xp = namespace(self.mixture.reference)
        seen = self.mixture.log_probabilities > -xp.inf  # P itself may be below the floats
        mass = xp.sum(xp.where(seen, self.mixture.reference, xp.zeros_like(self.mixture.reference)))
        return float(mass) ** self.cooling

    @cached_property
    def _moment(self) -> float:
        """A bound on E_P|f − f*|^T: E|x|^T ≤ (E|x|)^{2−T} (E x²)^{T−1} for T ≤ 2, ≤ E x² above."""
        square = min(self.excess_risk / 2, self.gap)
        if self.temperature >= 2:
            return square
        return self.gap ** (2 - self.temperature) * square ** (self.temperature - 1)
