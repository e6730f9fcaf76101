"""Targeted searches for the largest error/bound, one a letter: `hypothesis.target` climbs.

A ratio is taken of what is left of error and bound without the exact bias of tempering, which
both have; where little is left it is rounding and counts as 0. A lower bound's ratio is inverted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings, target
from hypothesis import strategies as st
from measured import RELATIVE, ratio_of, true_errors
from strategies import few_atoms, few_contexts, instances

from t3theory import bayes_classifier, excess_risk
from t3theory.bounds import evaluate
from t3theory.bounds.pinsker import gap_bound
from t3theory.classifier import overlap
from t3theory.contexts import ContextMixture
from t3theory.gated_errors import gated_error_bounds
from t3theory.gating import gate_guarantee, gate_signal, gated_temperature, soft_gate_bias_bound
from t3theory.sequences import position_retain_bound

__all__ = ["SEARCHES", "largest_ratios"]

Form = tuple[str, bool]
"""A bound's variant, and whether T > 1."""
Found = Iterable[tuple[Form, float, float]]
"""Form, the ratio to climb, and error/bound itself with what rounding may cost."""


def _climbed(error: float, bound: float, bias: float = 0.0) -> float:
    error, bound = error - bias, bound - bias
    left = min(error, bound) >= 1e-6 * max(bias, 1e-3)
    return error / bound if left and math.isfinite(bound) else 0.0


def _of_evaluate(letter: str, instance: tuple[Any, np.ndarray, float]) -> Found:
    m, f, t = instance
    t = 1.0 if letter in "ABCE" else t  # guidance's
    delta, errors = float(excess_risk(m, f)), true_errors(m, f, t)
    for b in evaluate(m, f, t):
        # the identity is attained always, and would hide the rest of A
        if b.letter == letter and b.variant != "identity":
            bias = b.terms.get("forget_bias", b.terms.get("retain_bias", 0.0))
            sides = errors[b.quantity], b.value
            low, high = sides if b.direction == "upper" else sides[::-1]
            yield (b.variant, t > 1), _climbed(low, high, bias), ratio_of(b, sides[0], m, delta)


def _of_distance(instance: tuple[Any, np.ndarray, float]) -> Found:
    """D: E_P|f − f*| ≤ Δ."""
    m, f, _ = instance
    delta = float(excess_risk(m, f))
    if math.isfinite(delta):
        distance = float(np.sum(m.probabilities * np.abs(f - np.asarray(bayes_classifier(m)))))
        bound = gap_bound(float(overlap(m)), delta)
        # f* is rounded to 1e-16
        yield ("", False), _climbed(distance, bound), distance / (bound * (1 + RELATIVE) + 1e-15)


def _of_contexts(error: float, bound: float, bias: float = 0.0) -> tuple[float, float]:
    return _climbed(error, bound, bias), error / (bound * (1 + RELATIVE) + 1e-11)


def _of_position(instance: tuple[ContextMixture, np.ndarray, float, float]) -> Found:
    """L: one position, of which a sequence's bound is the sum."""
    m, f, t, _ = instance
    delta = m.excess_risk(f)
    if not math.isfinite(delta):
        return
    bias = m.retain_error(m.estimate(m.bayes_classifier, t))
    error = m.retain_error(m.estimate(f, t))
    yield ("", t > 1), *_of_contexts(error, position_retain_bound(m, delta, t), bias)


def _of_gate(instance: tuple[ContextMixture, np.ndarray, float, float]) -> Found:
    """N: what a gate costs and misses, then both errors whole."""
    m, f, t, threshold = instance
    delta, signal, hot = m.excess_risk(f), gate_signal(m, f), t > 1
    if not math.isfinite(delta):
        return
    on, heat = signal > threshold, gated_temperature(signal, t, threshold)
    soft = gated_temperature(signal, t, soft=True)
    log_q, best = m.estimate(f, heat), m.bayes_classifier
    moved = m.context_probabilities * np.abs(signal - m.forget_share)
    attained = (
        float(np.sum(moved)),
        float(np.sum(m.forget_contexts[~on])),
        float(np.sum(m.retain_contexts[on])),
        m.retain_error(m.estimate(best, heat)),
        float(np.sum(m.forget_errors(log_q)[~on])),
    )
    gate = gate_guarantee(m, delta, t, threshold)
    for name, error, bound in zip(gate._fields, attained, gate, strict=True):
        yield (name.replace("_", " "), hot), *_of_contexts(error, bound)
    bias = m.retain_error(m.estimate(best, soft))
    yield ("soft gate's bias", hot), *_of_contexts(bias, soft_gate_bias_bound(m, delta, t))
    whole = gated_error_bounds(m, delta, t, threshold)
    yield ("retain error", hot), *_of_contexts(m.retain_error(log_q), whole.retain_error)
    yield ("forget error", hot), *_of_contexts(m.forget_error(log_q), whole.forget_error)


_MIXTURES = st.one_of(instances(tiny=False), few_atoms())


def _of(letter: str) -> Callable[[Any], Found]:
    return lambda instance: _of_evaluate(letter, instance)


SEARCHES: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], Found]]] = {
    **{letter: (_MIXTURES, _of(letter)) for letter in "ABC"},
    "D": (_MIXTURES, _of_distance),
    **{letter: (_MIXTURES, _of(letter)) for letter in "EFGH"},
    "L": (few_contexts(), _of_position),
    "N": (few_contexts(), _of_gate),
    "Q": (_MIXTURES, _of("Q")),
}
"""Instances and their ratios, for each letter with an inequality of every classifier."""


def largest_ratios(letter: str, examples: int, start: int = 0) -> dict[Form, float]:
    """The largest ratio found for each form of a letter that has one; fails where a bound does.

    Args:
        examples: how many instances are tried. start: the seed.
    """
    strategy, ratios = SEARCHES[letter]
    best: dict[Form, float] = {}
    phases = (Phase.generate, Phase.target, Phase.shrink)

    @seed(start)
    @settings(max_examples=examples, database=None, deadline=None, phases=phases,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(strategy)
    def climb(instance: Any) -> None:
        for form, ratio, whole in ratios(instance):
            best[form] = max(best.get(form, 0.0), ratio)
            target(ratio, label=f"{form}")
            assert whole <= 1, (letter, form)

    climb()
    return {form: ratio for form, ratio in best.items() if ratio > 0}
