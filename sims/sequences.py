"""Sequences: diverse retain text and memorised forget text, every prefix enumerated.

The language model's toy. Errors of a whole decoding rule are exact because all
vocabulary^length sequences are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import expit

from t3theory._checks import count, share
from t3theory._xp import log_sigmoid, require
from t3theory.estimator import temper_then_tilt
from t3theory.exceptions import AssumptionError

__all__ = ["Sequences", "gated_temperature", "hidden_markov", "memorised", "ngram", "refuse_large"]

_LARGEST = 2**24
"""Sequences that may be enumerated; a level of floats for each is 128 MiB."""
_DIGITS = 12
"""To so many decimals a suspicion is compared with τ: it sums up to 2^24 rounded products, and
where nothing is known it is 1/2 exactly, which rounding must not call more than 1/2."""
_ORDERS = {"bigram": 2, "trigram": 3}


@dataclass(frozen=True, eq=False)
class Sequences:
    """P = (1−γ) P_r + γ P_f over sequences of `length` symbols out of `vocabulary`.

    Args:
        retain, forget: probabilities of whole sequences, shape (vocabulary,)·length.
    Raises:
        AssumptionError: names what is no distribution, or γ outside (0, 1).
    """

    retain: np.ndarray
    forget: np.ndarray
    gamma: float

    def __post_init__(self) -> None:
        share("gamma", self.gamma)
        if self.forget.shape != self.retain.shape:
            shape = f"must have the shape of retain, {self.retain.shape}"
            raise AssumptionError("forget", shape, self.forget.shape)
        for name, law in (("retain", self.retain), ("forget", self.forget)):
            require(law >= 0, name, "must be ≥ 0", law)
            # A sum of at most 2^24 rounded numbers.
            if not abs(law.sum() - 1) <= 1e-9:
                raise AssumptionError(name, "must sum to 1", float(law.sum()))

    @property
    def length(self) -> int:
        """Symbols in a sequence."""
        return self.retain.ndim

    @property
    def forget_density_sup(self) -> float:
        """‖p_f‖_∞ with respect to the uniform distribution on sequences."""
        return float(self.forget.max() * self.forget.size)

    @cached_property
    def levels(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each position the mass of every prefix that ends there: ((1−γ)P_r, γP_f)."""
        found = []
        for t in range(1, self.length + 1):
            tail = tuple(range(t, self.length))
            found.append(
                ((1 - self.gamma) * self.retain.sum(tail), self.gamma * self.forget.sum(tail))
            )
        return found

    def draw(self, n: int, generator: np.random.Generator) -> list[np.ndarray]:
        """Counts of labelled prefixes of n sequences: for each position shape (2, …)."""
        joint = np.stack([(1 - self.gamma) * self.retain, self.gamma * self.forget])
        counts = generator.multinomial(n, joint.ravel() / joint.sum()).reshape(joint.shape)
        return [counts.sum(tuple(range(t + 1, self.length + 1))) for t in range(1, self.length + 1)]

    def decode(
        self, log_odds: list[np.ndarray], temperature: float, gate: str, threshold: float
    ) -> tuple[np.ndarray, dict[str, float]]:
        """log P̂ of every sequence under T3 at each position, and how much the gate opens.

        Args:
            log_odds: of P(retain | prefix, symbol), for each position shape (vocabulary,)·t.
            gate: "none", "hard" or "soft"; threshold: τ.
        """
        total = np.zeros(())
        forget_open = retain_open = 0.0
        for (retain, forget), odds in zip(self.levels, log_odds, strict=True):
            joint = retain + forget
            context = joint.sum(-1, keepdims=True)
            # A prefix that never happens may be decoded anyhow; it has no effect.
            log_p = np.log(np.where(context > 0, joint, 1)) - np.log(
                np.where(context > 0, context, 1)
            )
            suspicion = (np.exp(log_p) * expit(-odds)).sum(-1, keepdims=True)
            heat = gated_temperature(suspicion, temperature, gate, threshold)
            total = total[..., None] + temper_then_tilt(log_p, log_sigmoid(odds), heat)
            # The share of the way from 1 to T: 0 or 1 for a hard gate.
            opened = ((heat - 1) / (temperature - 1) if temperature != 1 else heat * 0)[..., 0]
            retain_open += float((retain.sum(-1) * opened).sum()) / (1 - self.gamma)
            forget_open += float((forget.sum(-1) * opened).sum()) / self.gamma
        shares = {
            "retain_gated": retain_open / self.length,
            "forget_gated": forget_open / self.length,
        }
        return total, shares

    def errors(self, log_q: np.ndarray) -> dict[str, float]:
        """Retain error KL(P_r‖Q), nats, and forget error E_{P_f}|p_r − q|, exactly."""
        density = np.exp(log_q) * log_q.size
        log_retain = np.log(np.where(self.retain > 0, self.retain, 1))
        retain = np.where(self.retain > 0, self.retain * (log_retain - log_q), 0.0).sum()
        forget = (self.forget * np.abs(self.retain * log_q.size - density)).sum()
        return {"retain_error": float(retain), "forget_error": float(forget)}

    def excess_risk(self, log_odds: list[np.ndarray]) -> float:
        """The classifier's excess log-loss in nats a symbol, averaged over positions."""
        total = 0.0
        for (retain, forget), odds in zip(self.levels, log_odds, strict=True):
            joint = retain + forget
            safe = np.where(joint > 0, joint, 1)
            for part, sign in ((retain, 1), (forget, -1)):
                share = np.where(part > 0, part / safe, 1)
                total += float((part * (np.log(share) - log_sigmoid(sign * odds))).sum())
        return total / self.length


def gated_temperature(
    suspicion: np.ndarray, temperature: float, gate: str, threshold: float
) -> np.ndarray:
    """T of each context: T everywhere, where γ̂_c > τ, or 1 + (T−1) γ̂_c (statement N).

    At γ̂_c = τ the hard gate stays shut: with τ = 1/2 a context of which the classifier knows
    nothing is not tempered.

    >>> gated_temperature(np.array([0.1 + 0.2, 0.31]), 4.0, "hard", 0.3)
    array([1., 4.])
    """
    if gate == "none":
        return np.full_like(suspicion, temperature)
    if gate == "hard":
        above = np.round(suspicion, _DIGITS) > np.round(threshold, _DIGITS)
        return np.where(above, temperature, 1.0)
    if gate == "soft":
        return 1 + (temperature - 1) * suspicion
    raise AssumptionError("gate", "must be none, hard or soft", gate)


def refuse_large(vocabulary: int, length: int, sequences: int) -> None:
    """Refuse sequences too many to enumerate, before any is.

    Raises:
        AssumptionError: names the field.
    """
    vocabulary, length = count("vocabulary", vocabulary, 1), count("length", length, 1)
    sequences = count("memorised", sequences, 1)
    # Compared as logarithms: the power itself may be a number of a million digits.
    if length * math.log2(vocabulary) > math.log2(_LARGEST) + 1e-9:
        text = f"{vocabulary}^{length}"
        raise AssumptionError("vocabulary^length", f"must be at most {_LARGEST}", text)
    size = vocabulary**length
    if sequences > size:
        raise AssumptionError("memorised", f"must be at most vocabulary^length = {size}", sequences)


def ngram(vocabulary: int, length: int, order: int, generator: np.random.Generator) -> np.ndarray:
    """The law of whole sequences of a random n-gram chain, shape (vocabulary,)·length.

    Each symbol depends on the order − 1 before it; every row ~ Dirichlet(1, …, 1).

    >>> float(ngram(3, 4, order=2, generator=np.random.default_rng(0)).sum().round(12))
    1.0
    """
    refuse_large(vocabulary, length, 1)
    order = count("order", order, 1)
    law = np.ones(())
    for t in range(length):
        if t < order:  # from here on the same table serves
            table = generator.dirichlet(np.ones(vocabulary), size=(vocabulary,) * t)
        law = law[..., None] * table
    return law / law.sum()


def hidden_markov(vocabulary: int, length: int, generator: np.random.Generator) -> np.ndarray:
    """The law of whole sequences of a random hidden Markov model, shape (vocabulary,)·length.

    Half as many states as symbols; rows ~ Dirichlet(0.3, …): states that last and speak apart.

    >>> float(hidden_markov(3, 4, np.random.default_rng(0)).sum().round(12))
    1.0
    """
    refuse_large(vocabulary, length, 1)
    states = max(2, vocabulary // 2)
    start = generator.dirichlet(np.ones(states))
    step = generator.dirichlet(np.full(states, 0.3), size=states)
    speak = generator.dirichlet(np.full(vocabulary, 0.3), size=states)
    forward = start  # P(symbols so far, the state that speaks next)
    for _ in range(length - 1):
        forward = (forward[..., None, :] * speak.T) @ step
    law = forward @ speak
    return law / law.sum()


def memorised(
    vocabulary: int,
    length: int,
    sequences: int,
    gamma: float,
    generator: np.random.Generator,
    source: str = "bigram",
) -> Sequences:
    """Retain: diverse sequences of a random model; forget: some sequences, known by heart.

    Args:
        source: "bigram", "trigram" or "hidden_markov".
    """
    refuse_large(vocabulary, length, sequences)
    share("gamma", gamma)
    if source == "hidden_markov":
        retain = hidden_markov(vocabulary, length, generator)
    elif source in _ORDERS:
        retain = ngram(vocabulary, length, _ORDERS[source], generator)
    else:
        raise AssumptionError("source", "must be bigram, trigram or hidden_markov", source)
    chosen = generator.choice(retain.size, sequences, replace=False)
    forget = np.zeros(retain.size)
    forget[chosen] = 1 / sequences
    return Sequences(retain, forget.reshape(retain.shape), gamma)
