"""Hypothesis strategies for mixtures, classifiers and temperatures, the awkward ones first.

Supports are disjoint, nested, nearly equal or free; atoms go down to 1e-300; γ comes within
1e-12 of both ends; classifiers sit on the boundary as well as near the Bayes classifier.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from t3theory import Mixture, bayes_classifier
from t3theory.contexts import ContextMixture

__all__ = [
    "classifiers",
    "few_atoms",
    "few_contexts",
    "gammas",
    "instances",
    "joint_laws",
    "mixtures",
    "probability_vectors",
    "references",
    "temperatures",
]


def _normalised(weights: np.ndarray) -> np.ndarray:
    """Divided by the sum twice: the second division mends what the first rounded."""
    weights = weights / weights.sum()
    return weights / weights.sum()


def gammas() -> st.SearchStrategy[float]:
    """Forget shares in [1e-12, 1 − 1e-12], the ends often."""
    ends = st.sampled_from([1e-12, 1e-6, 0.01, 0.1, 0.5, 0.9, 1 - 1e-6, 1 - 1e-12])
    return st.one_of(ends, st.floats(1e-12, 1 - 1e-12))


def temperatures(low: float = 1.0, high: float = 100.0) -> st.SearchStrategy[float]:
    """Temperatures in [low, high], the small ones often."""
    likely = st.sampled_from([t for t in (1.0, 1.5, 2.0, 4.0, 100.0) if low <= t <= high])
    return st.one_of(likely, st.floats(low, high))


@st.composite
def probability_vectors(draw: st.DrawFn, size: int, tiny: bool = True) -> np.ndarray:
    """Probabilities, shape (size,): log-weights spread by up to 300 decades if `tiny`."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    spread = draw(st.sampled_from([0.0, 0.3, 2.0, 20.0, 690.0] if tiny else [0.0, 0.3, 2.0]))
    weights = np.exp(-spread * rng.random(size))
    weights[rng.integers(size)] = 1.0
    return _normalised(weights)


@st.composite
def references(draw: st.DrawFn, size: int) -> np.ndarray | None:
    """Reference weights, shape (size,), or None for the counting measure."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    decades = draw(st.sampled_from([None, 0.0, 1.0, 4.0]))
    return None if decades is None else 10 ** (-decades * rng.random(size))


@st.composite
def mixtures(
    draw: st.DrawFn, max_atoms: int = 200, disjoint: bool = False, tiny: bool = True
) -> Mixture:
    """Mixtures of 2 to `max_atoms` atoms of every overlap, or with disjoint supports only."""
    size = draw(st.one_of(st.integers(2, min(6, max_atoms)), st.integers(2, max_atoms)))
    retain = draw(probability_vectors(size, tiny))
    forget = draw(probability_vectors(size, tiny))
    kinds = ["disjoint"] if disjoint else ["disjoint", "nested", "near", "free"]
    kind = draw(st.sampled_from(kinds))
    cut = draw(st.integers(1, size - 1))
    if kind == "disjoint":
        retain[:cut], forget[cut:] = 0.0, 0.0
    elif kind == "nested":
        forget[cut:] = 0.0
    elif kind == "near":
        shift = draw(st.sampled_from([0.0, 1e-12, 1e-6, 1e-2]))
        forget = retain * (1 + shift * np.linspace(-1, 1, size))
    parts = [np.ones_like(p) * (p == p.max()) if p.sum() == 0 else p for p in (retain, forget)]
    if kind == "disjoint":  # a part whose weights all underflowed gets one atom back
        parts[0][:cut], parts[1][cut:] = 0.0, 0.0
        parts[0][-1] += parts[0].sum() < 1e-250
        parts[1][0] += parts[1].sum() < 1e-250
    retain, forget = map(_normalised, parts)
    return Mixture(retain, forget, draw(gammas()), draw(references(size)))


@st.composite
def classifiers(draw: st.DrawFn, mixture: Mixture, boundary: bool = True) -> np.ndarray:
    """Classifiers in [0, 1]: near f*, constant on pieces, anything, and exactly 0 or 1."""
    size = mixture.size
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    best = np.asarray(bayes_classifier(mixture))
    kinds = ["near", "scaled", "two", "free"] + (["bayes", "clipped", "hard"] if boundary else [])
    kind = draw(st.sampled_from(kinds))
    step = 10.0 ** draw(st.floats(-9, 1))
    safe = np.clip(best, 1e-15, 1 - 1e-15)
    odds = np.log(safe) - np.log1p(-safe)
    if kind == "near":
        f = 1 / (1 + np.exp(-(odds + step * rng.normal(size=size))))
    elif kind == "scaled":  # the direction that B's and D's worst cases take
        f = 1 / (1 + np.exp(-(odds + step * rng.choice([-1.0, 0.0, 1.0], size))))
    elif kind == "two":
        f = np.where(best > 0.5, draw(st.floats(1e-3, 1)), draw(st.floats(1e-9, 1)))
    elif kind == "free":
        f = rng.uniform(1e-9, 1 - 1e-9, size)
    elif kind == "bayes":
        f = best
    elif kind == "clipped":
        f = np.clip(best + step * rng.normal(size=size), 0.0, 1.0)
    else:
        f = rng.choice([0.0, 1.0], size)
    if not boundary:
        f = np.clip(f, 1e-9, 1 - 1e-9)
    if not np.any((f > 0) & (np.asarray(mixture.log_density) > -700)):
        f = np.full(size, 0.5)  # nothing would be left of the estimate
    return f


@st.composite
def instances(draw: st.DrawFn, **options: Any) -> tuple[Mixture, np.ndarray, float]:
    """A mixture, a classifier and a temperature; options as for `mixtures`."""
    mixture = draw(mixtures(**options))
    return mixture, draw(classifiers(mixture)), draw(temperatures())


@st.composite
def joint_laws(
    draw: st.DrawFn, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray, float, np.ndarray]:
    """Retain and forget laws of an array shape, γ, and a classifier of the same shape."""
    size = int(np.prod(shape))
    retain, forget = (draw(probability_vectors(size, tiny=False)).reshape(shape) for _ in "rf")
    if draw(st.booleans()):  # contexts of their own for each side
        half = max(shape[0] // 2, 1)
        retain[:half], forget[half:] = 0.0, 0.0
    retain, forget = _normalised(retain), _normalised(forget)
    gamma = draw(st.floats(0.01, 0.99))
    best = np.asarray(bayes_classifier(Mixture(retain.ravel(), forget.ravel(), gamma)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    mix = draw(st.floats(0.001, 1))
    return retain, forget, gamma, ((1 - mix) * best + mix * rng.random(size)).reshape(shape)


def _steps(draw: st.DrawFn, size: int, low: int, high: int) -> np.ndarray:
    """Fifths of whole numbers, one by one: what a targeted search can move by a little."""
    return np.asarray([draw(st.integers(low, high)) for _ in range(size)]) / 5


def _laws(draw: st.DrawFn, size: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Both laws of `size` atoms and γ, by steps of the logarithms; some atoms of one side only."""
    retain, forget = (np.exp(-_steps(draw, size, 0, 120)) for _ in "rf")
    kind = draw(st.sampled_from(["free", "alike", "own"]))
    if kind == "alike":
        forget = retain * np.exp(0.05 * _steps(draw, size, -5, 5))
    elif kind == "own":
        owner = [draw(st.sampled_from("rfb")) for _ in range(size)]
        retain[[o == "f" for o in owner]], forget[[o == "r" for o in owner]] = 0.0, 0.0
        retain[0], forget[-1] = max(retain[0], 1e-9), max(forget[-1], 1e-9)
    gamma = 1 / (1 + np.exp(-draw(st.integers(-60, 60)) / 5))
    return _normalised(retain), _normalised(forget), float(gamma)


def _moved(draw: st.DrawFn, best: np.ndarray) -> np.ndarray:
    """A classifier whose log-odds are steps away from those of f*."""
    safe = np.clip(best, 1e-15, 1 - 1e-15)
    scale = 10.0 ** -draw(st.integers(0, 4))
    odds = np.log(safe) - np.log1p(-safe) + scale * _steps(draw, best.size, -600, 600)
    return 1 / (1 + np.exp(-np.clip(odds, -600, 600)))


@st.composite
def few_atoms(draw: st.DrawFn) -> tuple[Mixture, np.ndarray, float]:
    """A mixture of 2 to 4 atoms, a classifier and T ≤ 8, in steps that a search can climb."""
    size = draw(st.integers(2, 4))
    mixture = Mixture(*_laws(draw, size), np.exp(-_steps(draw, size, 0, 40)))
    f = _moved(draw, np.asarray(bayes_classifier(mixture)))
    return mixture, f, 1 + draw(st.integers(0, 70)) / 10


@st.composite
def few_contexts(draw: st.DrawFn) -> tuple[ContextMixture, np.ndarray, float, float]:
    """Up to 3 contexts of 2 or 3 outcomes, a classifier, T ≤ 8 and τ, in such steps."""
    shape = draw(st.integers(1, 3)), draw(st.integers(2, 3))
    retain, forget, gamma = _laws(draw, shape[0] * shape[1])
    mixture = ContextMixture(retain.reshape(shape), forget.reshape(shape), gamma)
    f = _moved(draw, np.asarray(mixture.bayes_classifier).ravel()).reshape(shape)
    return mixture, f, 1 + draw(st.integers(0, 70)) / 10, draw(st.integers(1, 99)) / 100
