"""Families: what is promised of them holds exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr

from sims.families import dirichlet, gaussian, nested, spike, zipf
from sims.grids import narrowing
from t3theory.classifier import overlap
from t3theory.exceptions import AssumptionError


@given(
    h=st.floats(1, 1e6),
    gamma=st.floats(0.01, 0.99),
    retain_atoms=st.integers(1, 40),
    forget_atoms=st.integers(1, 9),
    skew=st.floats(0, 2),
)
def test_spike_has_the_concentration_asked_for(h, gamma, retain_atoms, forget_atoms, skew):
    m = spike(h, gamma, retain_atoms, forget_atoms, skew=skew)
    # One division and one sum of at most nine numbers: a few roundings.
    assert float(m.forget_density_sup) == pytest.approx(h, rel=1e-14)
    assert float(m.reference_mass) == pytest.approx(1 + 1 / h, rel=1e-13)
    assert float(overlap(m)) == 0.0


@given(h=st.floats(50, 1e6), share=st.floats(0.01, 0.9))
def test_overlap_of_a_spike(h, share):
    m = spike(h, 0.1, overlap=share)
    assert float(m.forget_density_sup) == pytest.approx(h, rel=1e-14)
    # The forget mass ω that looks like retain data is what the Bayes classifier cannot tell.
    same = 0.1 * share * 0.9 / (0.9 + 0.1 * share)
    assert float(overlap(m)) == pytest.approx(same, rel=1e-12)


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_gaussians_sharpen_as_width_to_the_dimension(dimension):
    atoms = {1: 4096, 2: 512, 3: 96}[dimension]
    # Widths of several grid cells, so that the grid sees the bell: error e^{−2π²(w/step)²}.
    wide, narrow = gaussian(0.4, 0.1, atoms, dimension), gaussian(0.2, 0.1, atoms, dimension)
    ratio = float(narrow.forget_density_sup / wide.forget_density_sup)
    # The peak may fall between grid points: a factor within (step/2w)²/2 of 1.
    step = 8 / (atoms - 1)
    assert ratio == pytest.approx(2.0**dimension, rel=dimension * (step / 0.4) ** 2 / 2 + 1e-9)


@pytest.mark.parametrize("dimension", [2, 3])
def test_axes_multiply(dimension):
    line, centred, space = (
        gaussian(0.5, 0.1, 20, d, distance=x) for d, x in ((1, 1.0), (1, 0.0), (dimension, 1.0))
    )
    # One rounding an axis.
    assert float(space.forget_density_sup) == pytest.approx(
        float(line.forget_density_sup) * float(centred.forget_density_sup) ** (dimension - 1),
        rel=1e-13,
    )
    assert float(space.reference_mass) == pytest.approx(
        float(line.reference_mass) ** dimension, rel=1e-12
    )


@pytest.mark.parametrize("dimension", [1, 2, 3])
@pytest.mark.parametrize("components", [1, 3])
def test_narrowing_cells_follow_the_width(dimension, components):
    widths = (0.1, 1e-3, 1e-6)
    found = [narrowing(w, 0.1, 24, dimension, components) for w in widths]
    peaks = [float(m.forget_density_sup) * w**dimension for m, w in zip(found, widths, strict=True)]
    # Cells of the same widths; the next even cell of [−4, 4] may cut one of them.
    assert peaks == pytest.approx([peaks[-1]] * 3, rel=0.1)
    # A cell of up to 8/3 widths around the peak averages down to half of it an axis.
    assert 0.5**dimension < peaks[0] * components * (2 * np.pi) ** (dimension / 2) <= 1 + 1e-9
    for m in found:
        assert float(m.reference_mass) == pytest.approx(8.0**dimension, rel=1e-12)
        assert m.size <= 24**dimension


def test_narrowing_masses_are_those_of_the_normal_law():
    m = narrowing(0.3, 0.1, 40)
    edges = np.concatenate([[-4.0], -4 + np.cumsum(m.reference)])
    inner = m.forget[(edges[:-1] > 0.7 - 1e-9) & (edges[1:] < 1.3 + 1e-9)].sum()
    assert inner <= 0.6827  # at most what lies within one deviation
    below = np.searchsorted(edges, 1.0)
    exact = ndtr((edges[below] - 1) / 0.3)
    # Cut at 4 on the right: ten deviations.
    assert m.forget[:below].sum() == pytest.approx(exact, rel=1e-9)
    assert m.retain[:below].sum() == pytest.approx(
        (ndtr(edges[below]) - ndtr(-4)) / (ndtr(4) - ndtr(-4)), rel=1e-9
    )


def test_zipf_forgets_the_rarest():
    m = zipf(10_000, 0.05, exponent=1.1, forget_atoms=10)
    assert float(m.forget_density_sup) == pytest.approx(1000.0, rel=1e-12)
    assert np.all(m.retain[m.forget > 0] <= m.retain[m.forget == 0].min())


def test_several_spikes_fall_by_tens():
    m = spike(1e4, 0.1, forget_atoms=6, spikes=3)
    density = m.forget[-6:] / m.reference[-6:]
    assert density == pytest.approx([1e4, 1e3, 1e2] * 2, rel=1e-14)
    assert np.ptp(m.forget[-6:]) == 0


def test_gaussian_components_share_the_mass_evenly():
    one, three = gaussian(0.2, 0.1, 513, distance=2.0), gaussian(0.2, 0.1, 513, 1, 3, 2.0)
    left, right = three.forget[:192].sum(), three.forget[321:].sum()  # beyond −1 and 1
    # Five widths from each centre to the border between two: a tail of 3e-7.
    assert [left, right] == pytest.approx([1 / 3] * 2, abs=1e-6)
    assert float(three.forget_density_sup) == pytest.approx(
        float(one.forget_density_sup) / 3, rel=1e-9
    )


def test_nested_forgets_a_part_of_the_retained():
    m = nested(50.0, 0.2, retain_atoms=7)
    assert np.ptp(m.retain / m.reference) <= 1e-15
    assert float(m.forget_density_sup) == pytest.approx(50.0, rel=1e-15)
    assert float(m.reference_mass) == pytest.approx(1.0, rel=1e-15)


def test_dirichlet_alphabets_differ_by_generator():
    a, b = (dirichlet(500, 0.1, np.random.default_rng(seed)) for seed in (0, 1))
    assert not np.array_equal(a.retain, b.retain)
    assert ((a.forget > 0).sum(), (b.forget > 0).sum()) == (8, 8)


@pytest.mark.parametrize(
    ("make", "symbol"),
    [
        (lambda: spike(10, 0.1, forget_atoms=2, spikes=3), "spikes"),
        (lambda: nested(1.0, 0.1), "h"),
        (lambda: gaussian(0.1, 0.1, components=0), "components"),
        (lambda: dirichlet(10**15, 0.1, np.random.default_rng(0)), "atoms"),
        (lambda: dirichlet(9, 0.1, np.random.default_rng(0), -1.0), "concentration"),
        (lambda: spike(0.5, 0.1), "h"),
        (lambda: spike("a", 0.1), "h"),
        (lambda: spike(10, 0.1, skew=float("nan")), "skew"),
        (lambda: gaussian(0.1, 0.1, 2.5), "atoms_per_axis"),
        (lambda: gaussian(0.1, 0.1, 16, components=17), "components"),
        (lambda: gaussian(0.1, 0.1, distance=float("nan")), "distance"),
        (lambda: narrowing(0.0, 0.1), "width"),
        (lambda: narrowing(2.0, 0.1), "width"),
        (lambda: narrowing(0.1, 0.1, dimension=4), "dimension"),
        (lambda: narrowing(0.1, 0.1, 8, components=3), "atoms_per_axis"),
        (lambda: zipf(10, 0.1, float("nan"), 2), "exponent"),
        (lambda: zipf(10, 0.1, forget_atoms=0), "forget_atoms"),
        (lambda: dirichlet(9, 0.1, np.random.default_rng(0), 1e-9), "concentration"),
        (lambda: spike(float("nan"), 0.1), "h"),
        (lambda: spike(10, 1.0), "gamma"),
        (lambda: spike(10, 0.1, retain_atoms=0), "retain_atoms"),
        (lambda: spike(10, 0.1, forget_atoms=0), "forget_atoms"),
        (lambda: spike(10, 0.1, overlap=1.0), "overlap"),
        (lambda: gaussian(0.0, 0.1), "width"),
        (lambda: gaussian(0.1, 0.1, dimension=4), "dimension"),
        (lambda: zipf(4, 0.1, forget_atoms=5), "forget_atoms"),
        (lambda: zipf(10**15, 0.1), "atoms"),
        (lambda: spike(10, 0.1, retain_atoms=10**15), "atoms"),
        (lambda: gaussian(0.1, 0.1, 10**6, dimension=3), "atoms"),
    ],
)
def test_wrong_settings_are_named(make, symbol):
    with pytest.raises(AssumptionError, match=f"^{symbol} must"):
        make()
