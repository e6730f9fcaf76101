"""What a classifier that generalises sees of an atom."""

from __future__ import annotations

import numpy as np

__all__ = ["cosine_features"]


def cosine_features(atoms: int, dimension: int) -> np.ndarray:
    """φ_k(z) = cos(π k z/atoms), k = 0 … dimension − 1, shape (atoms, dimension)."""
    place = (np.arange(atoms) + 0.5) / atoms
    return np.cos(np.pi * np.outer(place, np.arange(dimension)))
