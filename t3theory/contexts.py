"""Mixtures over contexts and outcomes: what a conditional model tempers, context by context."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from t3theory._checks import classifier_values
from t3theory._xp import Array, as_float_array, log, logsumexp, namespace, plain, require
from t3theory.classifier import bayes_classifier, excess_risk
from t3theory.divergences import kl_divergence
from t3theory.estimator import temper_then_tilt
from t3theory.exceptions import AssumptionError
from t3theory.mixture import Mixture

__all__ = ["ContextMixture"]


@dataclass(frozen=True, eq=False)
class ContextMixture:
    """Joint laws of a context c and an outcome y, P = (1−γ)P_r + γP_f; densities are P(y|c).

    For a language model c is the prefix and y the next token.

    Args:
        retain: P_r(c, y), shape (contexts, outcomes), sums to 1 over both.
        forget: P_f(c, y), the same.
        gamma: γ in (0, 1).

    >>> m = ContextMixture([[0.5, 0.5], [0.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]], gamma=0.1)
    >>> m.forget_share
    array([0., 1.])
    """

    retain: Array
    forget: Array
    gamma: float

    def __post_init__(self) -> None:
        xp = namespace(self.retain, self.forget)
        retain = as_float_array(self.retain, xp, self.forget)
        forget = as_float_array(self.forget, xp, self.retain)
        for name, value in (("retain", retain), ("forget", forget)):
            if value.ndim != 2 or value.shape != retain.shape:
                raise AssumptionError(name, "must have shape (contexts, outcomes)", value.shape)
            object.__setattr__(self, name, value)
        _ = self.joint  # checks the probabilities and γ

    @cached_property
    def joint(self) -> Mixture:
        """The same mixture on pairs (c, y), flattened, with the counting measure."""
        xp = namespace(self.retain)
        flat = (-1,)
        return Mixture(xp.reshape(self.retain, flat), xp.reshape(self.forget, flat), self.gamma)

    @property
    def context_probabilities(self) -> Array:
        """P(c), shape (contexts,)."""
        xp = namespace(self.retain)
        return (1 - self.gamma) * self.retain_contexts + self.gamma * xp.sum(self.forget, axis=-1)

    @property
    def retain_contexts(self) -> Array:
        """P_r(c), shape (contexts,)."""
        return namespace(self.retain).sum(self.retain, axis=-1)

    @property
    def forget_contexts(self) -> Array:
        """P_f(c), shape (contexts,)."""
        return namespace(self.retain).sum(self.forget, axis=-1)

    @property
    def forget_peaks(self) -> Array:
        """max_y P_f(y|c), shape (contexts,); 0 where P_f(c) = 0."""
        xp = namespace(self.forget)
        total = xp.expand_dims(self.forget_contexts, axis=-1)
        return xp.max(self.forget / xp.where(total > 0, total, xp.ones_like(total)), axis=-1)

    @property
    def forget_share(self) -> Array:
        """γ_c = γ P_f(c)/P(c) = E_{P(·|c)}[1−f*], shape (contexts,); 0 where P(c) = 0."""
        xp = namespace(self.retain)
        total = self.context_probabilities
        safe = xp.where(total > 0, total, xp.ones_like(total))
        return self.gamma * self.forget_contexts / safe

    @property
    def bayes_classifier(self) -> Array:
        """f*(c, y), shape (contexts, outcomes)."""
        return namespace(self.retain).reshape(bayes_classifier(self.joint), self.retain.shape)

    def excess_risk(self, f: Array) -> float:
        """δ(f) = Σ P(c,y) kl(f*‖f): that of the joint mixture. f: (contexts, outcomes)."""
        f = classifier_values("f", f, self.retain)
        return float(excess_risk(self.joint, namespace(f).reshape(f, (-1,))))

    @cached_property
    def log_conditional(self) -> Array:
        """log P(y|c), shape (contexts, outcomes); uniform where P(c) = 0."""
        xp = namespace(self.retain)
        return _conditional(xp.reshape(self.joint.log_probabilities, self.retain.shape))

    @cached_property
    def log_retain_conditional(self) -> Array:
        """log P_r(y|c); uniform where P_r(c) = 0, which no retain average sees."""
        xp = namespace(self.retain)
        return _conditional(xp.reshape(self.joint.log_retain, self.retain.shape))

    def estimate(self, f: Array, temperature: float | Array = 1.0) -> Array:
        """log p̂(y|c), p̂(·|c) ∝ P(·|c)^{1/T(c)} f(c,·), shape (contexts, outcomes).

        Args:
            f: in [0, 1], shape (contexts, outcomes); 0 throughout a context leaves it untilted.
            temperature: T > 0, a number, or T(c), shape (contexts,).
        """
        f, t = classifier_values("f", f, self.retain), plain(temperature)
        xp = namespace(self.retain, f)
        if not isinstance(t, float):
            t = xp.expand_dims(self._of_contexts("temperature", t), axis=-1)
        log_f = log(f)
        seen = xp.where(self.log_conditional > -xp.inf, f, xp.zeros_like(f))
        # f = 0 all through a context is the limit of f constant there, which tilts nothing.
        dead = xp.max(seen, axis=-1, keepdims=True) == 0
        log_f = xp.where(dead, xp.zeros_like(log_f), log_f)
        return temper_then_tilt(self.log_conditional, log_f, t)

    def retain_errors(self, log_q: Array) -> Array:
        """KL(P_r(·|c)‖Q(·|c)), shape (contexts,), nats; 0 where P_r(c) = 0."""
        xp = namespace(self.retain)
        errors = kl_divergence(self.log_retain_conditional, self._log_conditional(log_q))
        return xp.where(self.retain_contexts > 0, errors, xp.zeros_like(errors))

    def retain_error(self, log_q: Array) -> float:
        """Σ_c P_r(c) KL(P_r(·|c)‖Q(·|c)), nats."""
        xp = namespace(self.retain)
        return float(xp.sum(self.retain_contexts * self.retain_errors(log_q)))

    def forget_error(self, log_q: Array) -> float:
        """Σ P_f(c,y)|P_r(y|c) − Q(y|c)|, with P_r(·|c) = 0 where no retain data has the context."""
        return float(namespace(self.retain).sum(self.forget_errors(log_q)))

    def forget_errors(self, log_q: Array) -> Array:
        """What each context has of the forget error, shape (contexts,)."""
        xp, log_q = namespace(self.retain), self._log_conditional(log_q)
        retain = xp.exp(self.log_retain_conditional)
        known = xp.expand_dims(self.retain_contexts > 0, axis=-1)
        retain = xp.where(known, retain, xp.zeros_like(retain))
        return xp.sum(self.forget * xp.abs(retain - xp.exp(log_q)), axis=-1)

    def _of_contexts(self, name: str, values: Array) -> Array:
        """One number a context: shapes that broadcast would mean something else."""
        values = as_float_array(values, namespace(self.retain, values), self.retain)
        if values.shape != self.retain.shape[:1]:
            wanted = f"must be one number or have shape {tuple(self.retain.shape[:1])}"
            raise AssumptionError(name, wanted, tuple(values.shape))
        return values

    def _log_conditional(self, log_q: Array) -> Array:
        log_q = as_float_array(log_q, namespace(self.retain, log_q), self.retain)
        if log_q.shape != self.retain.shape:
            wanted = f"must have shape {tuple(self.retain.shape)}"
            raise AssumptionError("log_q", wanted, tuple(log_q.shape))
        require(log_q < namespace(log_q).inf, "log_q", "must be a log-probability", log_q)
        return log_q


def _conditional(log_joint: Array) -> Array:
    xp = namespace(log_joint)
    total = logsumexp(log_joint, axis=-1, keepdims=True)
    empty = total == -xp.inf
    # Where a context never occurs any conditional will do: uniform keeps all arithmetic finite.
    return xp.where(empty, xp.full_like(log_joint, 0.0), log_joint) - xp.where(
        empty, logsumexp(xp.zeros_like(log_joint), axis=-1, keepdims=True), total
    )
