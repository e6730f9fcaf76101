"""Compiled sums over a chunk of atoms: each number is looked at once for all temperatures.

NumPy would walk the chunk once for every operation, which costs several times the exponentials.
numba compiles these loops at their first call, in about a second. A loop that calls the system's
exponential or logarithm is no loop over vectors, so both stand here without branches, as
polynomials that are within two units in the last place of the function.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core.typing import signature
from numba.extending import intrinsic
from numpy.polynomial import Chebyshev, Polynomial

__all__ = ["exp", "first_sums", "log", "second_sums"]

_BLOCK = 1024
"""Atoms whose rows stay in the first cache."""
_SHIFT = 1.5 * 2.0**52
"""x + it − it is x rounded to an integer, which then stands in the low bits of x + it."""
_LN2_HIGH = float.fromhex("0x1.62e42feep-1")  # its products with exponents are exact
_LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")


def _shorter(series: list[float], low: float, high: float, terms: int) -> tuple[float, ...]:
    """A power series as a polynomial of few terms on [low, high], the highest power first."""
    whole = Polynomial(series).convert(domain=[low, high], kind=Chebyshev)
    kept = Chebyshev(whole.coef[:terms], domain=[low, high])
    return tuple(float(c) for c in kept.convert(kind=Polynomial).coef[::-1])


_EXP = (*_shorter([1 / math.factorial(k + 2) for k in range(16)], -0.3466, 0.3466, 10), 1.0, 1.0)
"""e^r for |r| ≤ log(2)/2; what is left out is below 4e-18."""
_ARTANH = _shorter([1 / (2 * k + 3) for k in range(16)], 0.0, 0.02945, 7)
"""(artanh(s)/s − 1)/s² in powers of s² ≤ (√2 − 1)²/(√2 + 1)²."""
_ROOT_HALF = math.sqrt(0.5)
_SUBNORMAL = 2.0**-1022
_LARGEST = float(np.finfo(np.float64).max)


@intrinsic
def _bits(context: Any, x: Any) -> Any:
    """The 64 bits of a float, as an integer."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(64))

    return signature(types.int64, types.float64), generate


@intrinsic
def _of_bits(context: Any, n: Any) -> Any:
    """The float of 64 bits."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.DoubleType())

    return signature(types.float64, types.int64), generate


@njit(error_model="numpy", fastmath={"contract"})
def exp(x: float) -> float:
    """e^x: 0 below −708, infinite above 709."""
    y = _exp_within(min(max(x, -708.0), 709.0))
    return 0.0 if x < -708.0 else (math.inf if x > 709.0 else y)


@njit(error_model="numpy", fastmath={"contract"})
def _exp_within(x: float) -> float:
    """e^x for |x| ≤ 708."""
    shifted = x * (1 / math.log(2)) + _SHIFT
    k = shifted - _SHIFT
    r = x - k * _LN2_HIGH - k * _LN2_LOW
    y = _EXP[0]
    for c in _EXP[1:]:
        y = y * r + c
    return y * _of_bits((_bits(shifted) << 52) + (1023 << 52))


@njit(error_model="numpy", fastmath={"contract"})
def log(x: float) -> float:
    """log x of a float ≥ 0."""
    small = x < _SUBNORMAL
    bits = _bits(x * 2.0**54 if small else x)
    # The exponent of x/√½, so that the mantissa is in [√½, √2).
    k = (bits - _bits(_ROOT_HALF)) >> 52
    m = _of_bits(bits - (k << 52))
    e = float(k - 54 if small else k)
    s = (m - 1) / (m + 1)
    s2 = s * s
    y = _ARTANH[0]
    for c in _ARTANH[1:]:
        y = y * s2 + c
    # log m = 2s + 2s (s²/3 + …), and m − 1 − s (m − 1) = 2s is exact where it matters
    f = m - 1
    found = e * _LN2_HIGH + (f - (s * (f - 2 * (s2 * y)) - e * _LN2_LOW))
    return math.inf if x > _LARGEST else (-math.inf if x == 0.0 else found)


_SUMS = {"reassoc", "contract", "nsz"}
"""Sums in any order, so that they are vectors; infinite and undefined numbers stay what they are."""
_Array = np.ndarray


@njit(nogil=True, error_model="numpy", fastmath=_SUMS)
def first_sums(
    retain: _Array,
    forget: _Array,
    reference: _Array,
    log_f: _Array,
    gamma: float,
    order: _Array,
    exponents: _Array,
) -> _Array:
    """Σ P_r log p, Σ P_r log f, and Σ μ p^{1/T} f for each T.

    An atom without mass takes no part, whatever its classifier says.
    """
    found = np.zeros(2 + len(order))
    density, log_p, tilted, power = np.empty((4, _BLOCK))
    limit = 708 / max(1.0, np.nanmax(exponents))
    for start in range(0, len(retain), _BLOCK):
        size = min(_BLOCK, len(retain) - start)
        on_model = on_tilt = 0.0
        for i in range(size):
            z = start + i
            joint = (1 - gamma) * retain[z] + gamma * forget[z]
            density[i] = joint / reference[z] if joint > 0 else 0.0
            log_p[i] = log(density[i]) if joint > 0 else 0.0
            tilted[i] = exp(log_f[z]) * reference[z] if joint > 0 else 0.0
            on_model += retain[z] * log_p[i]
            on_tilt += retain[z] * log_f[z] if retain[z] > 0 else 0.0  # 0 · log 0
        found[0] += on_model
        found[1] += on_tilt
        mild = _all_within(log_p[:size], limit)
        for j in range(len(order)):
            _raise(power[:size], density[:size], log_p[:size], mild, exponents[j])
            total = 0.0
            for i in range(size):
                total += power[i] * tilted[i]
            found[2 + order[j]] += total
    return found


@njit(nogil=True, error_model="numpy", fastmath=_SUMS)
def second_sums(
    retain: _Array,
    forget: _Array,
    reference: _Array,
    log_f: _Array,
    gamma: float,
    order: _Array,
    exponents: _Array,
    normaliser: _Array,
) -> _Array:
    """Σ P_r log f*, and Σ P_f |p_r − p^{1/T} f/N| for each T, over atoms with P_f > 0."""
    found = np.zeros(1 + len(order))
    density, log_p, tilted, power, wanted = np.empty((5, _BLOCK))
    limit = 708 / max(1.0, np.nanmax(exponents))
    for start in range(0, len(retain), _BLOCK):
        size = min(_BLOCK, len(retain) - start)
        on_bayes = 0.0
        for i in range(size):
            z = start + i
            joint = (1 - gamma) * retain[z] + gamma * forget[z]
            bayes = (1 - gamma) * retain[z] / joint
            density[i] = joint / reference[z]
            log_p[i] = log(density[i])
            tilted[i] = exp(log_f[z]) * forget[z]
            wanted[i] = forget[z] * (density[i] * bayes / (1 - gamma))  # P_f p_r
            on_bayes += retain[z] * log(bayes) if bayes > 0 else 0.0
        found[0] += on_bayes
        mild = _all_within(log_p[:size], limit)
        for j in range(len(order)):
            _raise(power[:size], density[:size], log_p[:size], mild, exponents[j])
            total, n = 0.0, normaliser[order[j]]
            for i in range(size):
                total += abs(power[i] * tilted[i] - n * wanted[i])
            found[1 + order[j]] += total / n
    return found


@njit(error_model="numpy", fastmath=_SUMS)
def _all_within(x: _Array, limit: float) -> bool:
    beyond = 0.0
    for i in range(len(x)):
        beyond += 0.0 if abs(x[i]) <= limit else 1.0
    return beyond == 0


@njit(inline="always", error_model="numpy")  # elsewhere its loops would not be vectors
def _raise(power: _Array, density: _Array, log_p: _Array, mild: bool, exponent: float) -> None:
    """p to the exponent into `power`, or for nan the square of what stands there.

    `mild`: no power is beyond the floats.
    """
    if exponent == 1:
        for i in range(len(power)):
            power[i] = density[i]
    elif mild and exponent > 0:
        for i in range(len(power)):
            power[i] = _exp_within(log_p[i] * exponent)
    elif exponent > 0:
        for i in range(len(power)):
            power[i] = exp(log_p[i] * exponent)
    else:
        for i in range(len(power)):
            power[i] *= power[i]
