"""One mixture and one classifier against the whole theory: errors, bounds, certified worst cases."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

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


@dataclass(frozen=True)
class Assessment:
    """What the theory says of an estimate, by quantity: "retain_error" and "forget_error".

    Args:
        excess_risk: δ(f) in nats.
        errors: the true values.
        bounds: every bound that applies.
        worst_cases: the largest error of any classifier with the same excess risk; none where
            that is infinite.
    """

    excess_risk: float
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
    return Assessment(delta, errors, evaluate(mixture, f, temperature, guidance_scale), worst)


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
        with np.load(path, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise InputError(f"{path}: expected an .npz archive, got a single array")
            return {name: np.asarray(archive[name], dtype=np.float64) for name in archive.files}
    except InputError:
        raise
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        # NumPy answers what is no archive by recommending pickle.
        said = str(error).partition("If you trust")[0].splitlines()
        reason = said[0].strip() if said else type(error).__name__
        raise InputError(f"{path}: expected an .npz archive of numbers; {reason}") from error
