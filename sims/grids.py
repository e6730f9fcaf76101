"""Gaussians on grids that follow their width, so that it may go to 0 in any dimension."""

from __future__ import annotations

import functools

import numpy as np
from scipy.special import ndtr

from sims.families import fits
from t3theory._checks import count, number
from t3theory.mixture import Mixture

__all__ = ["narrowing"]


def narrowing(
    width: float,
    gamma: float,
    atoms_per_axis: int = 64,
    dimension: int = 1,
    components: int = 1,
) -> Mixture:
    """As :func:`gaussian` at distance 1, on cells that follow the width, however narrow.

    Half of the cells divide [−4, 4] evenly, half [−4, 4] widths around the forget Gaussians of
    each axis, so that what a cell sees of the forget data does not depend on the width. Masses
    of cells are exact differences of the distribution function; μ is the volume of a cell.

    Args:
        width: standard deviation of each forget Gaussian, at most 1.
        atoms_per_axis: cells on each axis, at least 4 for each component.
        dimension: d in {1, 2, 3}.
        components: forget Gaussians on the first axis, evenly from 1 to −1.

    >>> m = narrowing(1e-6, gamma=0.1)
    >>> round(float(m.forget_density_sup) * 1e-6, 2)  # near 1/√(2π) = 0.40
    0.4
    """
    width = number("width", width, "must lie in (0, 1]", lambda x: 0 < x <= 1)
    dimension = int(
        number("dimension", dimension, "must be 1, 2 or 3", (1.0, 2.0, 3.0).__contains__)
    )
    components = count("components", components, 1)
    atoms_per_axis = count("atoms_per_axis", atoms_per_axis, 4 * components)
    fits(atoms_per_axis**dimension)
    spread = np.linspace(1.0, -1.0, components)
    axes = [
        _axis(spread if d == 0 else np.zeros(1), width, atoms_per_axis) for d in range(dimension)
    ]
    retain, forget, reference = (
        functools.reduce(np.multiply.outer, [axis[i] for axis in axes]).ravel() for i in range(3)
    )
    return Mixture(retain / retain.sum(), forget / forget.sum(), gamma, reference)


def _axis(centres: np.ndarray, width: float, cells: int) -> tuple[np.ndarray, ...]:
    """Retain mass, forget mass and length of the cells of one axis."""
    fine = cells // 2 // len(centres)
    edges = np.linspace(-4, 4, cells - fine * len(centres) + 1)
    near = centres[:, None] + width * np.linspace(-4, 4, fine)
    edges = np.union1d(edges, near[np.abs(near) < 4])
    retain = np.diff(ndtr(edges))
    forget = np.mean([np.diff(ndtr((edges - c) / width)) for c in centres], axis=0)
    return retain, forget, np.diff(edges)
