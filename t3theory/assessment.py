"""One mixture and one classifier against the whole theory: errors, bounds, certified worst cases."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from t3theory._xp import require
from t3theory.bounds import Bound, evaluate
from t3theory.classifier import excess_risk
from t3theory.envelope import Certificate, worst_case
from t3theory.errors import forget_error, retain_error
from t3theory.estimator import temper_then_tilt
from t3theory.exceptions import AssumptionError, InputError
from t3theory.mixture import Mixture

__all__ = ["Assessment", "assess", "read_instance"]

_REQUIRED = ("retain", "forget", "gamma", "classifier")
_SINGLE = b"\x93NUMPY"
"""How a file of one array begins."""


@dataclass(frozen=True)
class Assessment:
    """What the theory says of an estimate, by quantity: "retain_error" and "forget_error".

    Args:
        excess_risk: δ(f) in nats.
        powered_risk: δ(f^s) in nats, which is what the bounds are made of; δ(f) at s = 1.
        errors: the true values.
        bounds: every bound that applies.
        worst_cases: the largest error of p^{1/T} g^s for any g with δ(g) ≤ δ(f); none where
            that is infinite.
    """

    excess_risk: float
    powered_risk: float
    errors: dict[str, float]
    bounds: tuple[Bound, ...]
    worst_cases: dict[str, Certificate]


def assess(
    mixture: Mixture,
    f: NDArray[np.float64],
    temperature: float = 2.0,
    guidance_scale: float = 1.0,
) -> Assessment:
    """Errors of p̂ ∝ p^{1/T} f^s, the bounds on them, and the worst any f of the same risk does.

    Raises:
        AssumptionError: f outside [0, 1], T ≤ 0, s < 0, or no mass left by f.

    >>> m = Mixture(retain=[0.5, 0.5], forget=[0.0, 1.0], gamma=0.5)
    >>> found = assess(m, np.array([0.9, 0.3]), temperature=1.0)
    >>> found.errors["retain_error"] <= found.worst_cases["retain_error"].upper
    True
    """
    delta = float(excess_risk(mixture, f))
    with np.errstate(divide="ignore"):
        log_q = temper_then_tilt(
            mixture.log_density, np.log(f), temperature, guidance_scale, mixture.log_reference
        )
    errors = {
        "retain_error": float(retain_error(mixture, log_q)),
        "forget_error": float(forget_error(mixture, log_q)),
    }
    worst = {
        quantity: worst_case(mixture, delta, temperature, quantity, guidance_scale)
        for quantity in errors
        if np.isfinite(delta)
    }
    powered = delta if guidance_scale == 1 else float(excess_risk(mixture, f**guidance_scale))
    bounds = evaluate(mixture, f, temperature, guidance_scale)
    return Assessment(delta, powered, errors, bounds, worst)


def read_instance(file: str | Path) -> tuple[Mixture, NDArray[np.float64]]:
    """The mixture and the classifier of a NumPy archive.

    Args:
        file: .npz with arrays retain (n,), forget (n,), gamma (), classifier (n,) and,
            optionally, reference (n,); never unpickled.
    Raises:
        InputError: names the file and what is wrong with it: no such archive, an array that
            is missing or holds something else than numbers, no mixture, no classifier.
    """
    arrays = _numbers(Path(file))
    missing = [name for name in _REQUIRED if name not in arrays]
    if missing:
        raise InputError(f"{file}: expected the arrays {', '.join(_REQUIRED)}; no {missing[0]}")
    if arrays["gamma"].size != 1:
        raise InputError(f"{file}: gamma: expected one number, got shape {arrays['gamma'].shape}")
    f = arrays["classifier"]
    if f.shape != arrays["retain"].shape:
        expected = arrays["retain"].shape
        raise InputError(f"{file}: classifier: expected retain's shape {expected}, got {f.shape}")
    try:
        require((f >= 0) & (f <= 1), "classifier", "must lie in [0, 1]", f)
        mixture = Mixture(
            retain=arrays["retain"],
            forget=arrays["forget"],
            gamma=arrays["gamma"].item(),
            reference=arrays.get("reference"),
        )
    except AssumptionError as error:
        raise InputError(f"{file}: {error}") from error
    if not np.any(f[mixture.probabilities > 0] > 0):
        raise InputError(f"{file}: classifier must be positive somewhere that P > 0; it is 0 there")
    return mixture, f


def _numbers(path: Path) -> dict[str, NDArray[np.float64]]:
    try:
        with path.open("rb") as stream:
            return _numbers_of(stream)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _numbers_of(stream: BinaryIO) -> dict[str, NDArray[np.float64]]:
    start = stream.read(len(_SINGLE))
    stream.seek(0)
    if not start.startswith(b"PK"):
        got = "a single array" if start == _SINGLE else "a file of another kind"
        raise InputError(f"expected an .npz archive, got {got}")
    name = ""
    found: dict[str, NDArray[np.float64]] = {}
    try:
        with np.load(stream, allow_pickle=False) as archive:
            for name in archive.files:
                found[name] = _widened(name, archive[name])
    except InputError:
        raise
    # What a damaged archive makes zipfile, zlib, struct, tokenize and NumPy raise is no closed list.
    except Exception as error:
        said = str(error).splitlines()
        reason = said[0].strip() if said else type(error).__name__
        if reason.startswith("Object arrays"):  # NumPy recommends pickle
            reason = "expected real numbers, got dtype object"
        place = f"{name}: " if name else ""
        raise InputError(f"{place}cannot be read; {reason}") from error
    return found


def _widened(name: str, values: NDArray[Any]) -> NDArray[np.float64]:
    """As float64; a law of fewer digits, which sums to 1 within those, is normalised again."""
    if values.dtype.kind not in "biuf":
        raise InputError(f"{name}: expected real numbers, got dtype {values.dtype}")
    wide = values.astype(np.float64)
    if name not in ("retain", "forget") or values.dtype.kind != "f":
        return wide
    eps = float(np.finfo(values.dtype).eps)
    total, tolerance = float(wide.sum()), max(wide.size, 16) * eps
    if eps <= np.finfo(np.float64).eps or not np.isfinite(total):
        return wide  # the mixture's own check is as strict
    if abs(total - 1) > tolerance:
        raise InputError(f"{name} must sum to 1 within {tolerance:.1e}, got {total}")
    return wide / total
