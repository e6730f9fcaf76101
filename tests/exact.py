"""Errors, risk and overlap in 50 digits, in formulas of their own: what floats are held against."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np

from t3theory import Mixture

__all__ = ["exact"]

mpmath.mp.dps = 50


def exact(m: Mixture, f: np.ndarray, temperature: float) -> dict[str, Any]:
    """δ, RE, FE and O in 50 digits from the very same binary inputs, laws normalised again."""
    big = mpmath.mpf
    gamma = big(m.gamma)
    columns = [[big(float(x)) for x in v] for v in (m.retain, m.forget, m.reference, f)]
    for law in columns[:2]:  # floats sum to 1 only to 1e-16
        law[:] = [x / mpmath.fsum(law) for x in law]
    rows = list(zip(*columns, strict=True))

    def term(x, y):  # x log(x/y), nothing at x = 0
        return x * mpmath.log(x / y) if x > 0 and y > 0 else (mpmath.inf if x > 0 else big(0))

    p = [(1 - gamma) * r + gamma * q for r, q, _, _ in rows]
    best = [
        (1 - gamma) * r / x if x else big(1) / 2 for (r, _, _, _), x in zip(rows, p, strict=True)
    ]
    risk = mpmath.fsum(
        x * (term(b, v) + term(1 - b, 1 - v))
        for x, b, (_, _, _, v) in zip(p, best, rows, strict=True)
        if x > 0
    )
    scores = [
        u * (x / u) ** (1 / big(temperature)) * v if x else big(0)
        for x, (_, _, u, v) in zip(p, rows, strict=True)
    ]
    norm = mpmath.fsum(scores)
    estimate = [e / norm for e in scores]
    return {
        "risk": risk,
        "overlap": mpmath.fsum(x * b * (1 - b) for x, b in zip(p, best, strict=True)),
        "retain": mpmath.fsum(term(r, e) for (r, *_), e in zip(rows, estimate, strict=True)),
        "forget": mpmath.fsum(
            q * abs(r - e) / u for (r, q, u, _), e in zip(rows, estimate, strict=True)
        ),
        "estimate": [e / u for e, (_, _, u, _) in zip(estimate, rows, strict=True)],
    }
