"""The world: retain and forget distributions on a finite space with a reference measure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from t3theory._xp import (
    Array,
    as_float_array,
    first_array,
    log,
    logaddexp,
    namespace,
    plain,
    require,
)
from t3theory.exceptions import AssumptionError

__all__ = ["Mixture"]


@dataclass(frozen=True, eq=False)
class Mixture:
    """P = (1−γ) P_r + γ P_f on n atoms with reference weights μ > 0.

    Capital letters are probabilities, lower case the densities p = P/μ. The reference
    measure is part of the type because ‖p_f‖_∞ means nothing without one: with respect
    to the counting measure it never exceeds 1.

    Args:
        retain: P_r, shape (n,): non-negative, sums to 1 to within n roundings.
        forget: P_f, the same.
        gamma: γ in (0, 1), the share of data to forget.
        reference: μ, shape (n,), positive; default the counting measure.
    Raises:
        AssumptionError: names the argument, the requirement, the value and its index.

    >>> m = Mixture(retain=[0.5, 0.5, 0.0], forget=[0.0, 0.0, 1.0], gamma=0.1,
    ...             reference=[1.0, 1.0, 0.01])
    >>> float(m.forget_density_sup)
    100.0
    >>> m.probabilities
    array([0.45, 0.45, 0.1 ])
    """

    retain: Array
    forget: Array
    gamma: float
    reference: Array | None = None

    def __post_init__(self) -> None:
        xp = namespace(self.retain, self.forget, self.reference)
        gamma = plain(self.gamma)
        if not isinstance(gamma, float):
            raise AssumptionError("gamma", "must be one number", type(gamma).__name__)
        if not 0 < gamma < 1:
            raise AssumptionError("gamma", "must lie in (0, 1)", gamma)
        object.__setattr__(self, "gamma", gamma)
        like = first_array(self.retain, self.forget, self.reference)
        retain = _probabilities("retain", self.retain, xp, like)
        forget = _probabilities("forget", self.forget, xp, like)
        if retain.shape != forget.shape:
            raise AssumptionError(
                "forget", f"must have retain's shape {retain.shape}", forget.shape
            )
        if self.reference is None:
            reference = xp.ones_like(retain)
        else:
            reference = as_float_array(self.reference, xp, like)
            if reference.shape != retain.shape:
                raise AssumptionError(
                    "reference", f"must have retain's shape {retain.shape}", reference.shape
                )
            ok = (reference > 0) & xp.isfinite(reference)
            require(ok, "reference", "must be positive and finite", reference)
            # In logarithms, as the density itself would overflow.
            log_density = log(xp.maximum(retain, forget)) - xp.log(reference)
            ok = log_density < math.log(float(xp.finfo(retain.dtype).max))
            require(ok, "reference", "must leave the densities P_r/μ and P_f/μ finite", reference)
        for name, value in (("retain", retain), ("forget", forget), ("reference", reference)):
            object.__setattr__(self, name, value)

    @property
    def size(self) -> int:
        """n, the number of atoms."""
        return int(self.retain.shape[-1])

    @cached_property
    def log_reference(self) -> Array:
        """log μ."""
        return self._xp.log(self.reference)

    @cached_property
    def log_retain(self) -> Array:
        """log P_r; −inf where P_r = 0."""
        return log(self.retain)

    @cached_property
    def log_forget(self) -> Array:
        """log P_f; −inf where P_f = 0."""
        return log(self.forget)

    @cached_property
    def log_probabilities(self) -> Array:
        """log P = log((1−γ) P_r + γ P_f)."""
        xp = self._xp
        gamma = xp.asarray(self.gamma, dtype=self.retain.dtype)
        return logaddexp(xp.log1p(-gamma) + self.log_retain, xp.log(gamma) + self.log_forget)

    @cached_property
    def probabilities(self) -> Array:
        """P = (1−γ) P_r + γ P_f."""
        return (1 - self.gamma) * self.retain + self.gamma * self.forget

    @cached_property
    def log_density(self) -> Array:
        """log p = log(P/μ); −inf where P = 0."""
        return self.log_probabilities - self.log_reference

    @cached_property
    def log_retain_density(self) -> Array:
        """log p_r = log(P_r/μ); −inf where P_r = 0."""
        return self.log_retain - self.log_reference

    @cached_property
    def log_forget_density(self) -> Array:
        """log p_f = log(P_f/μ); −inf where P_f = 0."""
        return self.log_forget - self.log_reference

    @property
    def density_sup(self) -> Array:
        """‖p‖_∞ = max_z P(z)/μ(z)."""
        return self._xp.exp(self._xp.max(self.log_density))

    @property
    def forget_density_sup(self) -> Array:
        """‖p_f‖_∞ = max_z P_f(z)/μ(z): the concentration of the forget data."""
        return self._xp.max(self.forget / self.reference)

    @property
    def reference_mass(self) -> Array:
        """μ(Z) = Σ_z μ(z)."""
        return self._xp.sum(self.reference)

    @property
    def _xp(self) -> Any:
        return namespace(self.retain)


def _probabilities(name: str, values: Array, xp: Any, like: Array | None) -> Array:
    p = as_float_array(values, xp, like)
    if p.ndim != 1 or p.shape[0] == 0:
        raise AssumptionError(name, "must be a vector of at least one probability", p.shape)
    require(xp.isfinite(p) & (p >= 0), name, "must be finite and ≥ 0", p)
    total = float(xp.sum(p))
    # n probabilities, each rounded once, sum to 1 within n half-units of rounding; 16 is for
    # those that came out of a normalisation of their own.
    tolerance = max(p.shape[0], 16) * float(xp.finfo(p.dtype).eps)
    if abs(total - 1) > tolerance:
        raise AssumptionError(name, f"must sum to 1 within {tolerance:.1e}", total)
    return p
