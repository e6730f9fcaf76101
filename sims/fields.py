"""What may stand in a study's configuration: each field's type and the values it may take."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from t3theory.exceptions import AssumptionError, InputError

__all__ = ["FIELDS", "Field", "Scalar", "checked"]

Scalar = int | float | str | bool


@dataclass(frozen=True)
class Field:
    """One setting: its type, what must hold of it, and what it means."""

    type: type
    requirement: str
    holds: Callable[[Any], bool]
    meaning: str


_SPLITS = ("forget01", "forget05", "forget10")


def _positive(x: float) -> bool:
    return 0 < x < math.inf


def _at_least_zero(x: float) -> bool:
    return 0 <= x < math.inf


_MOST = 10**12
"""Draws are counted, not kept: more than this no experiment has."""
_MANY = 10**6
"""Things of which each is computed or kept: at some 10 µs and 1 kB each, seconds and a gigabyte."""


def _count(meaning: str, most: int = _MANY) -> Field:
    requirement = f"must be a whole number from 1 to 10^{len(str(most)) - 1}"
    return Field(int, requirement, lambda x: 1 <= x <= most, meaning)


def _two_or_more(meaning: str, most: int) -> Field:
    requirement = f"must be a whole number from 2 to 10^{len(str(most)) - 1}"
    return Field(int, requirement, lambda x: 2 <= x <= most, meaning)


def _share(meaning: str) -> Field:
    return Field(float, "must lie in [0, 1)", lambda x: 0 <= x < 1, meaning)


def _inside(meaning: str) -> Field:
    return Field(float, "must lie in (0, 1)", lambda x: 0 < x < 1, meaning)


def _number(meaning: str, zero: bool = False) -> Field:
    if zero:
        return Field(float, "must be ≥ 0 and finite", _at_least_zero, meaning)
    return Field(float, "must be positive and finite", _positive, meaning)


def _name(*known: str, meaning: str) -> Field:
    listed = f"must be {' or '.join(known)}"
    return Field(str, listed, lambda x: x in known, meaning)


FIELDS: dict[str, Field] = {
    "atoms": _two_or_more("symbols or grid points", 10**10),
    "atoms_per_axis": _two_or_more("grid cells on each axis", 10**10),
    "classifier": _name(
        "natural", "balanced", "corrected", meaning="sampling of labels, and prior correction (M)"
    ),
    "components": _count("Gaussians that the forget distribution mixes", 10**3),
    "confidence": _inside("1 − η, the probability that an interval or bound is to hold with"),
    "delta": Field(
        float,
        "must lie in [1e-300, ∞)",
        lambda x: 1e-300 <= x < math.inf,
        "δ, the classifier's excess risk in nats",
    ),
    "dimension": Field(int, "must be 1, 2 or 3", lambda x: x in (1, 2, 3), "d of the space"),
    "distance": Field(
        float, "must lie in [0, 4]", lambda x: 0 <= x <= 4, "of the forget Gaussian from the retain"
    ),
    "draws": _count("random classifiers in each cell", 10**4),
    "family": _name("zipf", "dirichlet", meaning="the distributions on a large alphabet"),
    "forget_atoms": _count("atoms that carry the forget distribution", 10**10),
    "gamma": _inside("γ, the share of data to forget"),
    "gate": _name("none", "hard", "soft", meaning="where T3 tempers (statement N)"),
    "gate_threshold": _inside("τ, the forget probability of a context from which the gate opens"),
    "guidance_scale": _number("s", zero=True),
    "heldout": _count("labelled draws the classifier is not trained on", 10**10),
    "h": Field(float, "must be finite and at least 1", lambda x: 1 <= x < math.inf, "‖p_f‖_∞"),
    "learner": _name("tabular", "logistic", "network", meaning="how the classifier is trained"),
    "length": _count("symbols in a sequence"),
    "memorised": _count("sequences that the forget distribution consists of"),
    "n": _count("labelled draws, retain and forget together", _MOST),
    "overlap": _share("share of the forget distribution that lies where the retain one does"),
    "retain_atoms": _count("atoms that carry the retain distribution", 10**10),
    "seeds": _count("independent repetitions of every cell"),
    "skew": _number("exponent a of the retain probabilities, P_r ∝ rank^−a", zero=True),
    "source": _name(
        "bigram", "trigram", "hidden_markov", meaning="what the retain sequences come from"
    ),
    "spikes": _count("groups of forget atoms, each ten times less dense than the one before"),
    "split": Field(
        str, "must be forget01, forget05 or forget10", _SPLITS.__contains__, "TOFU's forget split"
    ),
    "steps": _count("gradient steps of the classifier's training"),
    "temperature": _number("T"),
    "text": Field(
        str,
        "must be generated or a folder of texts",
        bool,
        "generated, or a folder in TOFU's layout",
    ),
    "vocabulary": _two_or_more("symbols there are", 10**8),
    "width": _number("standard deviation of the forget Gaussian"),
}
"""Every field any study has."""


def checked(name: str, value: object) -> Scalar:
    """`value` as the type of the field `name`.

    Raises:
        InputError: no such field, or a value of another type.
        AssumptionError: a value the field cannot take.

    >>> checked("n", 1e3)
    1000
    """
    if isinstance(value, np.generic):
        value = value.item()
    field = FIELDS.get(name)
    if field is None:
        raise InputError(f"field {name!r}: expected one of {', '.join(sorted(FIELDS))}")
    if field.type is str:
        if not isinstance(value, str):
            raise InputError(f"{name}: expected a word, got {value!r}")
        typed: Scalar = value
    else:
        if isinstance(value, bool | str) or not isinstance(value, int | float):
            raise InputError(f"{name}: expected a number, got {value!r}")
        if field.type is int and value != value // 1:
            raise AssumptionError(name, field.requirement, value)
        try:
            typed = field.type(value) + 0  # −0.0, which is 0.0, has other digits
        except OverflowError:  # a whole number beyond the floats
            raise AssumptionError(name, field.requirement, "a larger number") from None
    if not field.holds(typed):
        raise AssumptionError(name, field.requirement, value)
    return typed
