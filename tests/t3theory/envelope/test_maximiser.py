"""The maximiser of one atom's Lagrangian, against points of its box and errors that were attained."""

from __future__ import annotations

import numpy as np
import pytest

from t3theory import Mixture, forget_error, temper_then_tilt
from t3theory.envelope import worst_case
from t3theory.envelope.atoms import Point, log_rest
from t3theory.envelope.maximiser import lagrangian, maximise
from t3theory.envelope.reduction import reduce_atoms


def harsh(rng):
    """A mixture of four atoms, of which any may be as light as 1e-300 in either law."""
    retain, forget = 10.0 ** (rng.choice([0, -1, -3, -20, -100, -300], (2, 4)) * rng.random((2, 4)))
    gamma = rng.choice([1e-6, 0.1, 0.5, 0.9, 1 - 1e-9])
    reference = 10.0 ** rng.uniform(-3, 3, 4)
    return Mixture(retain / retain.sum(), forget / forget.sum(), gamma, reference)


def points_of_boxes(rng, atoms):
    """One log f and log(1−f) of every atom's box, near either end, between, or anywhere by size."""
    low, high = np.maximum(atoms.log_low, -1e5), atoms.log_high
    share = rng.random(atoms.size) ** rng.choice([1, 8, 40])
    down, up = high - share * (high - low), low + share * (high - low)
    log_f = down if rng.random() < 0.5 else up
    if rng.random() < 0.4:
        co_low = np.maximum(atoms.log_co_low, -1e5)
        log_g = co_low - share * (co_low - log_rest(np.minimum(low, -1e-300)))
        return log_rest(np.minimum(log_g, -1e-300)), log_g
    return log_f, log_rest(np.minimum(log_f, -1e-300))


@pytest.mark.parametrize("scale", [0.01, 0.1, 0.3, 0.7, 0.99, 1.0, 1.01, 1.5, 2.0, 4.0])
def test_every_maximiser_beats_random_points_of_its_box(scale):
    rng = np.random.default_rng(int(1000 * scale))
    for _ in range(150):
        delta = 10.0 ** rng.uniform(-6, 2)
        atoms = reduce_atoms(harsh(rng), delta, 1.0, scale)
        c = rng.choice([-1, -1, 1], atoms.size) * 10.0 ** rng.uniform(-30, 120, atoms.size)
        c *= 10.0 ** (rng.choice([0, -1]) * rng.uniform(60, 150))
        multiplier = 10.0 ** rng.uniform(-20, 20)
        co_multiplier = multiplier * rng.choice([1.0, 1.0, 1e-9, -1e-3, -1.0])
        found = maximise(atoms, c, co_multiplier, multiplier)
        assert np.all(found.log_f >= atoms.log_low)
        best = lagrangian(atoms, c, co_multiplier, multiplier, found)
        for _ in range(60):
            log_f, log_g = points_of_boxes(rng, atoms)
            other = Point(np.exp(scale * log_f), log_f, log_g)
            value = lagrangian(atoms, c, co_multiplier, multiplier, other)
            terms = [
                np.abs(lagrangian(atoms, x, y, z, point))
                for x, y, z in (
                    (c, 0.0, 0.0),
                    (0 * c, co_multiplier, 0.0),
                    (0 * c, 0.0, multiplier),
                )
                for point in (found, other)
            ]
            # 1e-12: rounding of exponents near 700; the others: what lies below the floats.
            slack = 1e-12 * np.nansum(terms, axis=0) + multiplier * 1e-300 + np.abs(c) * 1e-323
            assert np.all((value <= best + slack) | np.isnan(value))


def few(third):
    retain = np.array([0.6, 0.4, third])
    return Mixture(retain / retain.sum(), [0.29, 0.63, 0.08], 1e-6, np.ones(3))


@pytest.mark.parametrize(
    ("m", "delta", "temperature", "scale", "attained"),
    [
        (Mixture([1e-100, 1, 1e-100], [0.3, 0.68, 0.02], 0.5), 10.0, 1.0, 0.25, 0.94789),
        (few(1e-100), 1.0, 10.0, 0.1, 0.12096),
        (few(1e-6), 1.0, 10.0, 0.01, 0.086503),
        (few(1e-12), 1.0, 10.0, 0.02, 0.090340),
    ],
)
def test_a_small_scale_leaves_f_to_the_s_where_f_itself_has_no_float(
    m, delta, temperature, scale, attained
):
    """(a/(s|c|))^{1/s} below e^−745: counted as f = 0, `upper` was below what is attained."""
    found = worst_case(m, delta, temperature, "forget_error", scale)
    assert found.lower >= attained
    assert found.gap < 1e-3


def test_no_error_of_a_harsh_mixture_is_above_upper():
    """f far down on one atom, s < 1: log f drawn over many sizes, scaled into the budget."""
    rng = np.random.default_rng(5)
    for _ in range(25):
        m, scale = harsh(rng), float(rng.choice([0.01, 0.05, 0.2, 0.5]))
        temperature, delta = float(rng.choice([1.0, 4.0, 10.0])), float(rng.choice([0.1, 1.0, 10]))
        found = worst_case(m, delta, temperature, "forget_error", scale, nodes=3)
        atoms = reduce_atoms(m, delta, temperature, scale)
        for _ in range(200):
            log_f, log_g = points_of_boxes(rng, atoms)
            risk = atoms.risk(Point(np.exp(scale * log_f), log_f, log_g))
            if risk <= delta and np.all(np.isfinite(log_f)):
                on_all = log_f[atoms.inverse]
                q = temper_then_tilt(m.log_density, on_all, temperature, scale, m.log_reference)
                # 1e-9: logarithms of f near 1e5 are rounded in q
                assert float(forget_error(m, q)) <= found.upper * (1 + 1e-9)
