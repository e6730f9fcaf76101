"""The forget error's maximisers, for p̂ above p_r and below it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from t3theory.envelope.atoms import Atoms
from t3theory.envelope.maximiser import maximise

__all__ = ["Side", "chosen", "rewards", "sides"]

Vector = NDArray[np.float64]


class Side(NamedTuple):
    """One sign's maximisers.

    Args:
        power: f^s, shape (k,).
        terms: P_f b f^s, w f^s and P kl(f*‖f), shape (3, k).
        worth: what t multiplies in their Lagrangian, shape (k,).
    """

    power: Vector
    terms: Vector
    worth: Vector


def rewards(block: Atoms, sign: Vector | float, price: float) -> Vector:
    """c of the atoms' problem, for signs of p_r − p̂."""
    return -(sign * block.push + price * block.slope)


def sides(block: Atoms, multiplier: float, price: float) -> tuple[Side, Side | None]:
    """The maximisers with p̂ above p_r everywhere, and below it on the atoms where it may be.

    All nan where a root was lost on one of these: no sign may be read off it.
    """
    low = _side(block, -1.0, multiplier, price)
    if len(block.either) == 0:
        return low, None
    high = _side(block.contested, 1.0, multiplier, price)
    if not math.isfinite(low.worth.sum() + high.worth.sum()):
        for array in (low.terms, low.worth, high.terms, high.worth):
            array[:] = np.nan
    return low, high


def _side(block: Atoms, sign: float, multiplier: float, price: float) -> Side:
    point = maximise(block, rewards(block, sign, price), multiplier, multiplier)
    terms = np.empty((3, block.size))
    np.multiply(block.moved, point.power, out=terms[0])
    np.multiply(block.weight, point.power, out=terms[1])
    np.multiply(block.probability, block.divergence(point), out=terms[2])
    worth = -(sign * terms[0] + price * terms[1] + multiplier * terms[2])
    return Side(point.power, terms, worth)


def chosen(block: Atoms, both: tuple[Side, Side | None], t: float) -> tuple[Vector, Vector, Vector]:
    """The better signs at a normaliser 1/t, and the f^s and terms of their maximisers."""
    low, high = both
    sign = np.full(block.size, -1.0)
    if high is None:
        return sign, low.power, low.terms
    part, where = block.contested, block.either
    every = part is block
    gained = high.worth - (low.worth if every else low.worth[where])
    plus = t * gained > -2 * part.held
    if part.raised:
        plus |= part.sign > 0
    if part.lowered:
        plus &= part.sign >= 0
    if every:
        sign = np.where(plus, 1.0, -1.0)
        power = np.where(plus, high.power, low.power)
        return sign, power, np.where(plus, high.terms, low.terms)
    power, terms, at = low.power.copy(), low.terms.copy(), where[plus]
    sign[at], power[at], terms[:, at] = 1.0, high.power[plus], high.terms[:, plus]
    return sign, power, terms
