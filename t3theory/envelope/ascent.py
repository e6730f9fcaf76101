"""Feasible classifiers with a large error: the lower side of the certificate."""

from __future__ import annotations

import math

from t3theory.envelope.atoms import Atoms, Point
from t3theory.envelope.budget import JUMP, spend
from t3theory.envelope.dual import Dual

__all__ = ["ROUGH", "STALL", "Climb", "climb"]

STALL = 1e-5
"""Relative gain at which an ascent ends, well below the gap asked for."""
ROUGH = 1e-3
"""The same while amounts are only compared."""
_STEPS = 30
_WITHIN = 1 + 1e-5  # of the budget: what the witness can be pulled back from
_AHEAD = 4.0  # steps' gains ahead of an ascent: where these do not reach the best, it ends
_IDLE = 24  # ascents that find nothing before they become rarer


class Climb:
    """The best classifier so far, its error, and each ascent's last (error, multiplier, price)."""

    def __init__(self, dual: Dual, value: float | None = None) -> None:
        self.atoms, self.point = dual.atoms, dual.atoms.bayes()
        self.value = dual.value(self.point) if value is None else value
        self.ends: list[tuple[float, float, float]] = []
        self._idle, self._last = 0, self.value

    @property
    def multipliers(self) -> list[tuple[float, float]]:
        """Multiplier and price at the end of each ascent, the best first."""
        return [end[1:] for end in sorted(self.ends, reverse=True)]

    def hopeful(self) -> bool:
        """Whether to climb again: always, until many found nothing; then ever more rarely."""
        self._idle = self._idle + 1 if self.value <= self._last else 0
        self._last = self.value
        return self._idle < _IDLE or self._idle.bit_count() == 1

    def offer(self, atoms: Atoms, point: Point, value: float) -> None:
        """Keep it if it is better."""
        if value > self.value:
            self.atoms, self.point, self.value = atoms, point, value


def climb(
    dual: Dual, point: Point, best: Climb, multiplier: float = math.nan, stall: float = STALL
) -> None:
    """Fixed-point ascent: linearise the error at a classifier, spend the budget, repeat.

    For the forget error with s = 1 this is Dinkelbach's method for a ratio, with the signs
    of p_r − p̂ renewed at each step: the error never falls. `multiplier` is a guess of the
    first one, `stall` the relative gain at which to stop.
    """
    value = dual.value(point)
    if not math.isfinite(value):
        return
    _offer(dual, point, value, best)
    if dual.atoms.risk(point) > dual.delta * _WITHIN:
        value = -math.inf  # where a start stands says nothing if it is out of reach
    price, jump = math.nan, JUMP if stall < ROUGH else ROUGH
    for _ in range(_STEPS):
        point, multiplier = spend(dual, dual.linearise(point)[1], multiplier, jump)
        new = dual.value(point)
        if not math.isfinite(new):
            return
        price = dual.linearise(point)[0]
        if not new > value:
            break
        _offer(dual, point, new, best)
        gained, value = new - value, new
        if gained <= stall * value or value + _AHEAD * gained < best.value:
            break
    if not math.isnan(price):
        best.ends.append((value, multiplier, price))


def _offer(dual: Dual, point: Point, value: float, best: Climb) -> None:
    # Boxes are 1e-7 too wide; the witness is pulled back by what that costs.
    if dual.atoms.risk(point) <= dual.delta * _WITHIN:
        best.offer(dual.atoms, point, value)
