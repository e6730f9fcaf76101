"""The one place that asks which array library is in use.

Everything above works on the namespace returned by :func:`namespace`, so the same
code runs on NumPy, PyTorch, array-api-strict and any other array-API library.
Functions that would meet ``inf - inf`` mask *before* the exponential and *after*
the logarithm, so that gradients stay finite and NumPy stays silent.
"""

from __future__ import annotations

from typing import Any

import array_api_compat
import numpy as np

from t3theory.exceptions import AssumptionError

Array = Any
"""An array of any library that follows the array-API standard."""

__all__ = [
    "Array",
    "add_quotient",
    "as_float_array",
    "as_numpy",
    "first_array",
    "first_violation",
    "log",
    "log1mexp",
    "log_sigmoid",
    "logaddexp",
    "logsumexp",
    "namespace",
    "on_host",
    "plain",
    "require",
    "xlogy",
]


_NAMESPACES: dict[type, Any] = {}
"""Of NumPy's and torch's arrays, which have one each: a step of decoding asks for it again."""


def namespace(*arrays: Array) -> Any:
    """The array-API namespace shared by all arguments that are arrays.

    Raises:
        TypeError: the arguments mix array libraries.
    """
    kinds = set(map(type, arrays))
    if len(kinds) == 1 and (known := _NAMESPACES.get(*kinds)):
        return known
    found = [a for a in arrays if array_api_compat.is_array_api_obj(a)]
    if not found:
        return array_api_compat.array_namespace(np.empty(0))
    xp = array_api_compat.array_namespace(*found)
    if len(kinds) == 1 and (
        array_api_compat.is_numpy_namespace(xp) or array_api_compat.is_torch_namespace(xp)
    ):
        _NAMESPACES[kinds.pop()] = xp
    return xp


def as_float_array(x: Array, xp: Any | None = None, like: Array | None = None) -> Array:
    """`x` as a floating array of at least single precision; lists become NumPy float64.

    Args:
        xp: the namespace it is to be of. like: an array of it, on whose device lists go.
    """
    own = _NAMESPACES.get(type(x))
    if own and x.dtype in (own.float32, own.float64) and own is xp:
        return x  # a step of decoding need not ask for more
    if not array_api_compat.is_array_api_obj(x):
        x = np.asarray(x, dtype=np.float64)
    xp = namespace(x) if xp is None else xp
    if namespace(x) is not xp:  # a tensor that needs gradients is not to be copied
        like = first_array(like)
        x = xp.asarray(x, device=None if like is None else array_api_compat.device(like))
    if not xp.isdtype(x.dtype, "real floating"):
        return xp.astype(x, xp.float64)
    # Half precision has too few digits for sums over an alphabet.
    return xp.astype(x, xp.float32) if xp.finfo(x.dtype).bits < 32 else x


def first_array(*values: Any) -> Array | None:
    """The first of the arguments that is an array; None if none is."""
    return next((a for a in values if array_api_compat.is_array_api_obj(a)), None)


def as_numpy(x: Array) -> Any:
    """`x` as NumPy's float64, off its device and without its gradient."""
    if array_api_compat.is_torch_array(x):
        x = x.detach().cpu()
    return np.asarray(x, dtype=np.float64)


def plain(x: Array) -> Array:
    """A number of any kind (NumPy's scalars and 0-d arrays too) as a float; arrays as they are."""
    if type(x) is float:
        return x
    if isinstance(x, int | float) or (array_api_compat.is_numpy_array(x) and x.ndim == 0):
        return float(x)
    return x


def on_host(x: Array) -> bool:
    """Whether looking at the values of `x` waits for no device: it is a float or NumPy's."""
    return isinstance(x, float) or array_api_compat.is_numpy_array(x)


def first_violation(ok: Array) -> tuple[int, ...] | None:
    """Index of the first False of a boolean array, or None if there is none."""
    xp = namespace(ok)
    if bool(xp.all(ok)):
        return None
    flat = int(xp.argmin(xp.astype(xp.reshape(ok, (-1,)), xp.int8)))
    index: list[int] = []
    for size in reversed(ok.shape):
        index.append(flat % size)
        flat //= size
    return tuple(reversed(index))


def require(ok: Array, symbol: str, requirement: str, values: Array) -> None:
    """Raise :class:`AssumptionError` naming the first entry of `values` where `ok` is False."""
    index = first_violation(ok)
    if index is not None:
        raise AssumptionError(symbol, requirement, float(values[index]), index or None)


def log(x: Array) -> Array:
    """log x with log 0 = −inf, silently."""
    xp = namespace(x)
    zero = x == 0
    return xp.where(zero, xp.full_like(x, -xp.inf), xp.log(xp.where(zero, xp.ones_like(x), x)))


def add_quotient(y: Array, x: Array, divisor: float | Array, overwrite: bool = False) -> Array:
    """y + x / divisor, over `y` if it may be; torch does it in one pass and one launch."""
    tensors = array_api_compat.is_torch_array(y) and array_api_compat.is_torch_array(x)
    # Outside, a reciprocal of single precision might be 0 or infinite where the quotient is not.
    if tensors and isinstance(divisor, float) and 1e-30 < divisor < 1e30:
        return (y.add_ if overwrite else y.add)(x, alpha=1 / divisor)
    if tensors and array_api_compat.is_torch_array(divisor) and divisor.ndim:
        return (y.addcdiv_ if overwrite else y.addcdiv)(x, divisor)
    quotient = x / divisor
    if not overwrite:
        return y + quotient
    y += quotient
    return y


def logsumexp(x: Array, axis: int = -1, keepdims: bool = False) -> Array:
    """log Σ exp(x) along `axis`; −inf for a slice that is all −inf, with zero gradient there."""
    xp = namespace(x)
    top = xp.max(x, axis=axis, keepdims=True)
    top = xp.where(xp.isfinite(top), top, xp.zeros_like(top))
    total = xp.sum(xp.exp(x - top), axis=axis, keepdims=True)
    empty = total == 0
    value = xp.log(xp.where(empty, xp.ones_like(total), total)) + top
    value = xp.where(empty, xp.full_like(value, -xp.inf), value)
    return value if keepdims else xp.squeeze(value, axis=axis)


def logaddexp(a: Array, b: Array) -> Array:
    """log(exp(a) + exp(b)), elementwise; −inf where both are −inf."""
    xp = namespace(a, b)
    high, low = xp.maximum(a, b), xp.minimum(a, b)
    both = xp.isfinite(low)
    gap = xp.where(both, low - xp.where(both, high, xp.zeros_like(high)), xp.zeros_like(low))
    return xp.where(both, high + xp.log1p(xp.exp(gap)), high)


def log_sigmoid(x: Array) -> Array:
    """log(1/(1+exp(−x))), elementwise, without overflow."""
    xp = namespace(x)
    zero = xp.zeros_like(x)
    return xp.minimum(x, zero) - xp.log1p(xp.exp(-xp.abs(x)))


def log1mexp(x: Array) -> Array:
    """log(1 − exp(x)) for x ≤ 0, elementwise, exact at both ends; −inf at 0."""
    xp = namespace(x)
    one = xp.ones_like(x)
    near = x > -0.6931471805599453  # log 2: where expm1 keeps the digits that log1p would lose
    at_zero = x >= 0
    small = xp.where(near & ~at_zero, x, -one)
    large = xp.where(near, -one, x)
    value = xp.where(near, xp.log(-xp.expm1(small)), xp.log1p(-xp.exp(large)))
    return xp.where(at_zero, xp.full_like(x, -xp.inf), value)


def xlogy(x: Array, log_y: Array) -> Array:
    """x · log y given log y, with 0 · (±inf) = 0."""
    xp = namespace(x, log_y)
    zero = x == 0
    return xp.where(zero, xp.zeros_like(x), x * xp.where(zero, xp.zeros_like(log_y), log_y))
