"""Families of mixtures with known P_r, P_f and μ, so that every error is exact.

Each takes the concentration h = ‖p_f‖_∞ (or a width that determines it) and γ.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from sims import memory
from t3theory._checks import at_least, count, nonnegative, number, positive
from t3theory.exceptions import AssumptionError
from t3theory.mixture import Mixture

__all__ = [
    "SPIKE",
    "dirichlet",
    "fits",
    "gaussian",
    "nested",
    "power_law",
    "spike",
    "spike_of",
    "zipf",
]

SPIKE: dict[str, Any] = {
    "gamma": 0.1,
    "overlap": 0.0,
    "skew": 1.0,
    "retain_atoms": 64,
    "forget_atoms": 4,
}
"""What studies on a spike have in common; each names what it changes."""
_BYTES = {"tabular": 420, "logistic": 1100, "worst case": 950}
"""Memory an atom takes, at most, from the draws to the errors of one T, by what is made of it:
measured, 331, 591 and 782. A network's is not measured and counts as the logistic one's."""
_DECAY = 10.0
"""Several spikes differ in density by this factor."""


def _require(ok: bool, symbol: str, requirement: str, value: object) -> None:
    if not ok:
        raise AssumptionError(symbol, requirement, value)


def fits(atoms: int, work: str = "tabular") -> None:
    """Refuse an alphabet whose mixture, draws and estimates would not fit into memory.

    Args:
        work: what needs the most: a learner, or "worst case".
    Raises:
        AssumptionError: names the largest number of atoms.
    """
    memory.require("atoms", atoms, _BYTES.get(work, _BYTES["logistic"]))


def power_law(size: int, exponent: float) -> np.ndarray:
    """P ∝ rank^−a on `size` atoms, shape (size,), summing to 1.

    >>> power_law(4, 0.0)
    array([0.25, 0.25, 0.25, 0.25])
    """
    exponent = nonnegative("exponent", exponent)
    weights = np.arange(1, size + 1, dtype=np.float64) ** -exponent
    return weights / weights.sum()


def spike(
    h: float,
    gamma: float,
    retain_atoms: int = 64,
    forget_atoms: int = 4,
    overlap: float = 0.0,
    skew: float = 0.0,
    spikes: int = 1,
) -> Mixture:
    """Forget mass on a set of μ-measure 1/h beside retain data on measure 1.

    The retain distribution lives on the first `retain_atoms` atoms, which share measure 1
    equally; the forget distribution is uniform on the last `forget_atoms`, which share
    measure (1−ω)/h, but for the share ω that follows the retain distribution.

    Args:
        h: ‖p_f‖_∞ ≥ 1, exactly, as long as ω · max P_r · retain_atoms ≤ h.
        gamma: γ.
        overlap: ω in [0, 1); 0 makes the supports disjoint.
        skew: P_r ∝ rank^−skew; 0 is uniform, which tempering leaves as it is.
        spikes: groups among the forget atoms, of density h, h/10, h/100, … and equal mass an
            atom.

    >>> m = spike(1000.0, gamma=0.1)
    >>> m.size, round(float(m.forget_density_sup), 6)
    (68, 1000.0)
    """
    h, skew = at_least("h", h, 1), nonnegative("skew", skew)
    retain_atoms = count("retain_atoms", retain_atoms, 1)
    forget_atoms, spikes = count("forget_atoms", forget_atoms, 1), count("spikes", spikes, 1)
    overlap = number("overlap", overlap, "must lie in [0, 1)", lambda x: 0 <= x < 1)
    few = f"must lie in [1, forget_atoms = {forget_atoms}]"
    _require(spikes <= forget_atoms, "spikes", few, spikes)
    fits(retain_atoms + forget_atoms)
    ranked = power_law(retain_atoms, skew)
    _require(
        overlap * ranked[0] * retain_atoms <= h,
        "h",
        f"must be at least overlap × the largest retain density {ranked[0] * retain_atoms:.3g}",
        h,
    )
    beside = np.full(forget_atoms, 1 / forget_atoms)
    density = h * _DECAY ** -(np.arange(forget_atoms) % spikes)
    return Mixture(
        retain=np.concatenate([ranked, np.zeros(forget_atoms)]),
        forget=np.concatenate([overlap * ranked, (1 - overlap) * beside]),
        gamma=gamma,
        reference=np.concatenate(
            [np.full(retain_atoms, 1 / retain_atoms), (1 - overlap) / density * beside]
        ),
    )


def spike_of(config: Mapping[str, Any]) -> Mixture:
    """The spike mixture of a study's configuration, which its learner is to fit on."""
    fits(config["retain_atoms"] + config["forget_atoms"], config.get("learner", "tabular"))
    fields = ("h", "gamma", "retain_atoms", "forget_atoms", "overlap", "skew", "spikes")
    return spike(**{name: config[name] for name in fields if name in config})


def nested(h: float, gamma: float, retain_atoms: int = 16) -> Mixture:
    """Statement J's family: P_r uniform on measure 1, P_f uniform on a part of measure 1/h.

    The last atom is the part; the others share the rest equally.

    >>> m = nested(100.0, gamma=0.1)
    >>> float(m.forget_density_sup), float(m.log_retain_density.max().round(12))
    (100.0, 0.0)
    """
    h = number("h", h, "must be above 1 and finite", lambda x: 1 < x < math.inf)
    retain_atoms = count("retain_atoms", retain_atoms, 1)
    fits(retain_atoms + 1)
    retain = np.append(np.full(retain_atoms, (1 - 1 / h) / retain_atoms), 1 / h)
    forget = np.zeros(retain_atoms + 1)
    forget[-1] = 1.0
    return Mixture(retain, forget, gamma, retain)


def gaussian(
    width: float,
    gamma: float,
    atoms_per_axis: int = 256,
    dimension: int = 1,
    components: int = 1,
    distance: float = 1.0,
) -> Mixture:
    """Gaussians on a grid over [−4, 4]^d: retain of width 1 at 0, forget narrow.

    μ is the volume of a grid cell, so ‖p_f‖_∞ grows as width^−d until a single cell holds all.

    Args:
        width: standard deviation of each forget Gaussian.
        atoms_per_axis: grid points on each axis.
        dimension: d in {1, 2, 3}.
        components: forget Gaussians of equal weight, on the first axis, evenly from distance to
            −distance; a single one stands at distance.

    >>> m = gaussian(0.1, gamma=0.1, atoms_per_axis=4096)
    >>> round(float(m.forget_density_sup), 2)  # near 1/(0.1·√(2π)) = 3.99
    3.99
    """
    width, distance = positive("width", width), nonnegative("distance", distance)
    _require(dimension in (1, 2, 3), "dimension", "must be 1, 2 or 3", dimension)
    atoms_per_axis = count("atoms_per_axis", atoms_per_axis, 2)
    components = count("components", components, 1)
    most = f"must be at most atoms_per_axis = {atoms_per_axis}"
    _require(components <= atoms_per_axis, "components", most, components)
    fits(atoms_per_axis**dimension)
    axis = np.linspace(-4, 4, atoms_per_axis)
    step = axis[1] - axis[0]

    def normal(centre: float, deviation: float) -> np.ndarray:
        log_weight = -(((axis - centre) / deviation) ** 2) / 2
        weight = np.exp(log_weight - log_weight.max())
        return weight / weight.sum()

    centres = np.linspace(distance, -distance, components)
    retain = normal(0.0, 1.0)
    forget = np.sum([normal(float(c), width) for c in centres], axis=0) / components
    for _ in range(dimension - 1):
        retain = np.multiply.outer(retain, normal(0.0, 1.0))
        forget = np.multiply.outer(forget, normal(0.0, width))
    return Mixture(
        retain=retain.ravel() / retain.sum(),
        forget=forget.ravel() / forget.sum(),
        gamma=gamma,
        reference=np.full(retain.size, step**dimension),
    )


def zipf(atoms: int, gamma: float, exponent: float = 1.0, forget_atoms: int = 8) -> Mixture:
    """A large alphabet: retain P ∝ rank^−a, forget uniform on the rarest symbols.

    μ is the uniform distribution, so ‖p_f‖_∞ = atoms / forget_atoms.

    >>> float(zipf(1000, gamma=0.1, forget_atoms=10).forget_density_sup)
    100.0
    """
    atoms, forget_atoms = count("atoms", atoms, 1), count("forget_atoms", forget_atoms, 1)
    _require(
        forget_atoms <= atoms, "forget_atoms", f"must be at most atoms = {atoms}", forget_atoms
    )
    fits(atoms)
    forget = np.zeros(atoms)
    forget[-forget_atoms:] = 1 / forget_atoms
    return Mixture(
        retain=power_law(atoms, exponent),
        forget=forget,
        gamma=gamma,
        reference=np.full(atoms, 1 / atoms),
    )


def dirichlet(
    atoms: int,
    gamma: float,
    generator: np.random.Generator,
    concentration: float = 0.5,
    forget_atoms: int = 8,
) -> Mixture:
    """A large alphabet at random: P_r ~ Dirichlet(α, …, α), P_f ~ Dirichlet(1, …, 1) on few.

    The forget distribution lives on `forget_atoms` of the atoms, which keep their retain mass.
    μ is the uniform distribution.

    Args:
        concentration: α; the smaller, the fewer symbols carry the retain distribution.

    >>> m = dirichlet(1000, 0.1, np.random.default_rng(0))
    >>> int((m.forget > 0).sum()), bool(m.forget_density_sup >= 125)
    (8, True)
    """
    atoms, forget_atoms = count("atoms", atoms, 1), count("forget_atoms", forget_atoms, 1)
    _require(
        forget_atoms <= atoms, "forget_atoms", f"must be at most atoms = {atoms}", forget_atoms
    )
    concentration = positive("concentration", concentration)
    fits(atoms)
    forget = np.zeros(atoms)
    chosen = generator.choice(atoms, forget_atoms, replace=False)
    forget[chosen] = generator.dirichlet(np.ones(forget_atoms))
    retain = generator.standard_gamma(concentration, atoms)
    enough = "must leave a weight above the least float (1e-308) on some atom"
    _require(retain.sum() > 0, "concentration", enough, concentration)
    return Mixture(
        retain=retain / retain.sum(),
        forget=forget,
        gamma=gamma,
        reference=np.full(atoms, 1 / atoms),
    )
