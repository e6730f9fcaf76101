"""What makes the search rigorous and what makes it close: N's interval, signs, single atoms."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import mpmath
import numpy as np
import pytest

from t3theory import AssumptionError, Mixture, bayes_classifier, forget_error, temper_then_tilt
from t3theory.classifier import bayes_log_odds, excess_risk_of_log_odds
from t3theory.envelope import coarse, lift, nodes, worst_case
from t3theory.envelope import search as branching
from t3theory.envelope.ascent import Climb
from t3theory.envelope.budget import spend
from t3theory.envelope.dual import ForgetDual, RetainDual
from t3theory.envelope.maximiser import maximise
from t3theory.envelope.reach import LEAST_NORMALISER, affordable, normalisers
from t3theory.envelope.reduction import reduce_atoms
from t3theory.envelope.search import _sketched, search
from t3theory.envelope.splits import halves, signs

PURE = Mixture([1.0, 0.0], [0.0, 1.0], 0.1)


def normaliser(m, f, temperature, scale):
    """N(f)/N*, by the definitions."""
    p = np.asarray(m.probabilities) / np.asarray(m.reference)
    star = (1 - m.gamma) * np.asarray(m.retain) / np.asarray(m.probabilities)
    q = np.asarray(m.reference) * p ** (1 / temperature)
    return float(np.sum(q * f**scale) / np.sum(q * star**scale))


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("delta", [1e-4, 0.1, 9.0])
def test_the_interval_holds_the_ends_that_are_attained(scale, delta):
    """Disjoint supports: N is largest with all risk on the forget data, least with all on the other."""
    raised = np.asarray([1.0, -math.expm1(-delta / 0.1)])
    lowered = np.asarray([math.exp(-delta / 0.9), 0.0])
    for temperature in (1.0, 2.0):
        dual = ForgetDual(reduce_atoms(PURE, delta, temperature, scale), delta)
        for low, high in (normalisers(dual), affordable(dual).span):
            for f in (raised, lowered, np.asarray([1.0, 0.0])):
                assert low <= normaliser(PURE, f, temperature, scale) <= high


def test_jensens_lower_end_is_attained_where_nothing_else_is_as_sharp():
    """Many equal retain atoms lowered alike: each may fall far alone, all together may not."""
    m, delta = Mixture(np.r_[np.full(50, 0.02), 0.0], np.r_[np.zeros(50), 1.0], 0.1), 0.5
    dual = ForgetDual(reduce_atoms(m, delta, 1.0, 1.0), delta)
    f = np.r_[np.full(50, math.exp(-delta / 0.9)), 0.0]
    low = normalisers(dual)[0]
    assert 0.999 <= low / normaliser(m, f, 1.0, 1.0) <= 1


def test_normalisers_too_small_for_float64_are_left_to_the_bound_known_beforehand():
    """δ/(1−γ) = 1,000: N can be e^−1000, and so f = 0 all but."""
    dual = ForgetDual(reduce_atoms(PURE, 900.0, 1.0, 1.0), 900.0)
    assert normalisers(dual)[0] == LEAST_NORMALISER
    found = worst_case(PURE, 900.0, 2.0, "retain_error")
    assert 1000 <= found.upper < 1001  # −Σ P_r log f is at most δ/(1−γ) and the entropy of f*
    assert found.lower > 700  # float64 has no smaller N than e^−745
    # every law's forget error is below that of all mass on the forget atom, and this one's is near
    assert 0.999 < worst_case(PURE, 900.0, 2.0).lower <= worst_case(PURE, 900.0, 2.0).upper
    assert worst_case(PURE, 900.0, 2.0).upper == pytest.approx(1.0, rel=1e-9)


def few_heavy(n, seed):
    """Disjoint supports, half of the atoms each: even retain masses, forget mass on few atoms."""
    rng = np.random.default_rng(seed)
    half, none = n // 2, np.zeros(n // 2)
    retain, forget = rng.dirichlet(np.ones(half)), rng.dirichlet(np.full(half, 0.1))
    return Mixture(np.r_[retain, none], np.r_[none, forget], 0.9)


def gaussians(n, gamma):
    """A forget Gaussian a tenth as wide as the retain one; its tails are below the floats."""
    x = np.linspace(-4, 4, n)
    retain, forget = np.exp(-(x**2) / 2), np.exp(-((x - 1) ** 2) / 0.02)
    return Mixture(retain / retain.sum(), forget / forget.sum(), gamma)


def heavy(n, exponent, spread):
    """Zipf's law, or an even one, and the same but for a little or a lot."""
    retain = np.arange(1.0, n + 1) ** -exponent
    forget = retain * np.exp(spread * np.random.default_rng(0).normal(size=n))
    return Mixture(retain / retain.sum(), forget / forget.sum(), 0.1)


CLOSES = {
    # δ, T, s, quantity
    "one atom decides N": (
        Mixture([1e-4, 0.9998, 1e-4], [1e-19, 0.9999, 1e-4], 0.5, [1e-5, 1e5, 1e3]),
        (1e-3, 1.0, 1.0, "forget_error"),
    ),
    "f* = 0 and s > 1, retain": (PURE, (1e-4, 8.0, 2.0, "retain_error")),
    "f* = 0 and s > 1, forget": (
        Mixture([1.0, 0.0], [0.4798, 0.5202], 0.02, [0.2022, 0.9924]),
        (8.6e-4, 2.0, 2.0, "forget_error"),
    ),
    "one retain atom": (
        Mixture([1.0, 0.0], [0.85, 0.15], 0.5, [0.11, 0.37]),
        (1e-5, 1.0, 1.0, "retain_error"),
    ),
    "log f far below float64": (
        Mixture(np.full(1000, 1e-3), np.arange(1.0, 1001) / 500500, 0.1),
        (1.0, 1.0, 1.0, "retain_error"),
    ),
    "one light atom falls, the rest of the risk goes elsewhere": (
        few_heavy(300, 0),
        (0.05, 4.0, 1.0, "retain_error"),
    ),
    "the same on more atoms than are split": (few_heavy(4200, 1), (0.05, 4.0, 1.0, "retain_error")),
    "1 − f far below float64": (gaussians(1000, 0.1), (0.5, 2.0, 1.0, "forget_error")),
    "1 − f far below float64, T = 4": (gaussians(1000, 0.1), (1.0, 4.0, 1.0, "forget_error")),
    "N from e^-600 to 1, and the worst case at its end": (
        Mixture([0.9985621412019939, 0.0014378587980060642], [1.0, 0.0], 1 - 1e-9),
        (1.299e-5, 0.05, 1.0, "forget_error"),
    ),
    "no bound without a multiplier": (gaussians(1000, 0.9), (0.1, 4.0, 1.0, "forget_error")),
    "narrow forget data, sketched": (gaussians(6000, 0.5), (1e-4, 1.0, 1.0, "forget_error")),
    "narrow forget data, sketched, T = 1.5": (
        gaussians(5000, 0.5),
        (0.1, 1.5, 1.0, "forget_error"),
    ),
    "s = 3: f rises on one atom by nearly all that it may": (
        Mixture([1e-12, 1 - 1e-12], [0.3628, 0.6372], 0.5, [0.1021, 4.264e-4]),
        (0.079, 2.0, 3.0, "forget_error"),
    ),
    "s = 3: two ascents end apart while one atom is pinned": (
        Mixture(
            [1.695e-4, 5.924e-4, 1.388e-12, 0.999108342 - 1.388e-12, 1.2894e-4, 8.18e-7],
            [8.661e-5, 0.0395027, 0.1264715, 0.2180903, 0.48984689, 0.126002],
            0.01,
            [0.02096, 0.0672, 0.5571, 0.8042, 0.7044, 0.9792],
        ),
        (1.43e-3, 2.0, 3.0, "forget_error"),
    ),
    "of twenty like atoms two rise": (
        Mixture(np.full(20, 0.05), np.full(20, 0.05), 0.99),
        (0.01, 2.0, 1.0, "forget_error"),
    ),
    "of a hundred like atoms eleven rise": (
        Mixture(np.repeat([0.01, 0.0], 100), np.full(200, 0.005), 0.99),
        (0.01, 2.0, 1.0, "forget_error"),
    ),
    "one of five like atoms falls, beside atoms that never tie": (
        Mixture(np.repeat([0.2, 0.0], 5), np.repeat([0.0, 0.2], 5), 0.99),
        (0.01, 1.0, 1.0, "retain_error"),
    ),
    "the bound known before, and the rounding of another": (
        Mixture(np.ones(3) / 3, [0.5, 0.5, 0.0], 0.9999),
        (0.02, 4.0, 1.0, "forget_error"),
    ),
    "w below the floats on a light atom": (
        Mixture([1e-270, 0.5, 0.5], [1e-270, 0.3, 0.7], 0.1),
        (0.1, 0.45, 1.0, "retain_error"),
    ),
    "a P of 0": (
        Mixture([0.5, 0.5, 0.0], [0.3, 0.7, 1e-200], 1e-200),
        (0.1, 2.0, 1.0, "forget_error"),
    ),
    "an atom of a mass below the floats": (
        Mixture([5e-324, 0.5, 0.5], [0.0, 0.3, 0.7], 0.6),
        (0.01, 1.0, 1.0, "forget_error"),
    ),
    "an atom so light that no float of log f spends the budget": (
        Mixture([1e-310, 1e-307, 1.0], [1e-310, 0.3, 0.7], 0.5),
        (1.0, 1.0, 1.0, "retain_error"),
    ),
    "one heavy atom among many": (heavy(5000, 2.0, 1.0), (1e-3, 1.0, 1.0, "forget_error")),
    "several heavy atoms among many": (heavy(5000, 1.3, 1.0), (1e-3, 1.0, 1.0, "forget_error")),
    "nearly equal laws of many atoms": (heavy(6000, 0.0, 1e-3), (1e-4, 1.0, 1.0, "forget_error")),
    "s = 5: nearly all mass on one atom": (
        Mixture(
            [0.83839, 0.03107, 0.00525, 0.12529],
            [0.35784, 0.14147, 0.01615, 0.48454],
            0.99,
            [0.9097, 0.018, 0.4459, 0.01195],
        ),
        (0.0658, 10.0, 5.0, "forget_error"),
    ),
}


@pytest.mark.parametrize("name", CLOSES)
def test_closes_where_it_might_not(name):
    m, (delta, temperature, scale, quantity) = CLOSES[name]
    found = worst_case(m, delta, temperature, quantity, guidance_scale=scale)
    assert 0 < found.lower <= found.upper
    assert found.gap < 1e-3
    assert float(excess_risk_of_log_odds(m, found.log_odds)) <= delta


def test_one_atom_that_falls_needs_no_search_of_its_levels(monkeypatch):
    """It falls by what the others leave of the budget: no more than a few branchings are needed."""
    monkeypatch.setattr(branching, "polish", lambda *_: None)
    for delta, temperature in ((0.1, 1.5), (0.5, 1.5), (0.1, 2.0)):
        assert (
            worst_case(few_heavy(1000, 1), delta, temperature, "retain_error", nodes=5).gap < 1e-3
        )


def test_a_sign_that_ties_is_settled_before_the_interval_is_cut_to_pieces():
    """One atom's sign is worth more than the gap at every N: four halvings leave 7e-4."""
    rng = np.random.default_rng(10025)
    shares = [
        rng.dirichlet(np.full(1000, rng.choice(c)))
        for c in ([0.3, 1.0], [0.05, 0.1, 0.3, 0.5, 1.0])
    ]
    rng.random(3)
    m = Mixture(*(x / x.sum() for x in shares), 0.9, rng.gamma(1, size=1000) / 10)
    assert worst_case(m, 1.319e-3, 2.0, nodes=4).gap < 5.1e-4


@pytest.mark.parametrize("kind", [ForgetDual, RetainDual])
@pytest.mark.parametrize("seed", range(4))
def test_leaves_cover_the_normalisers_and_hold_for_the_classifiers_in_them(seed, kind):
    """Those of settled signs and split boxes cover together; any others, each interval of N alone."""
    rng = np.random.default_rng(seed)
    retain, forget = rng.dirichlet(np.ones(60)), rng.dirichlet(np.full(60, 0.1))
    m = Mixture(retain, forget, 0.5, rng.uniform(0.1, 1, 60))
    dual = kind(reduce_atoms(m, 0.05, 1.0 + seed % 2, 1.0), 0.05)
    best, leaves = branching._branch(dual, 5e-4, 60, math.inf)
    low, high = affordable(dual).span
    edges = sorted({end for leaf in leaves for end in leaf.span})
    for a, b in itertools.pairwise([low, *edges, high]):
        middle = (a + b) / 2
        assert any(leaf.span[0] <= middle <= leaf.span[1] for leaf in leaves)
    tried = [spend(dual, dual.linearise(dual.atoms.bayes())[1] * x)[0] for x in (-1, 1)]
    tried += [spend(dual, rng.normal(size=dual.atoms.size))[0] for _ in range(30)]
    pairs = [(dual, point) for point in tried] + [(replace(dual, atoms=best.atoms), best.point)]
    for on, point in pairs:
        level = float(np.dot(on.atoms.weight, point.power))
        held = [leaf.value for leaf in leaves if leaf.span[0] <= level <= leaf.span[1]]
        assert on.value(point) <= max(held) * (1 + 1e-9)


def test_one_atom_leaves_nothing_to_err_on():
    for quantity in ("forget_error", "retain_error"):
        found = worst_case(Mixture([1.0, 0.0], [1.0, 0.0], 0.1), 0.5, 1.0, quantity)
        assert 0 == found.lower <= found.upper <= 1e-12


def test_guidance_with_a_scale_can_exceed_b():
    """B is a bound at s = 1 only: p̂ ∝ p f² is wrong for the Bayes classifier already."""
    m = Mixture([0.7, 0.3], [0.2, 0.8], 0.5)
    assert worst_case(m, 1e-4, 1.0, "retain_error", guidance_scale=2.0).lower > 10 * 1e-4 / 0.5


def test_an_end_that_overflows_leaves_no_bound():
    """At N = 1e-290 the Lagrangian is nan; the other end's value bounds nothing there."""
    dual = ForgetDual(reduce_atoms(PURE, 0.1, 2.0, 1.0), 0.1)
    assert math.isfinite(dual.bound((1e-200, 1.0), 1e-5, 1e10).value)
    assert not math.isfinite(dual.bound((1e-290, 1.0), 1e-5, 1e200).value)


def test_roots_that_may_overflow_leave_no_bound():
    """Beside P = 1e-308 rewards of an atom reach 1e308: f is 1 − b/c, b/c has no float."""
    atoms = reduce_atoms(PURE, 0.1, 2.0, 1.0)
    point = maximise(atoms, np.asarray([1e10, 1e308]), 1.0, 1.0)
    assert np.isnan(point.power).tolist() == [False, True]


def kinds(rng, merged):
    """Three kinds of atoms, one of them of `merged` equal atoms, and a budget."""
    retain, forget = rng.dirichlet(np.ones(3), 2)
    share = np.asarray([1.0, merged, 1.0])
    parts = [np.repeat(x / share, share.astype(int)) for x in (retain, forget)]
    m = Mixture(*(x / x.sum() / (x / x.sum()).sum() for x in parts), rng.uniform(0.1, 0.9))
    return reduce_atoms(m, 0.05, 1.0, 1.0)


@pytest.mark.parametrize("merged", [1, 4])
@pytest.mark.parametrize("seed", range(5))
def test_halves_of_a_box_leave_no_value_out(seed, merged):
    """Either one atom of the kind has f ≤ middle, in the first, or all have f ≥ middle, in the other."""
    rng = np.random.default_rng(seed)
    atoms = kinds(rng, merged)
    dual = RetainDual(atoms, 0.05)
    for z in range(atoms.size):
        middle = rng.uniform(atoms.log_low[z], atoms.log_high[z])
        below, above = (child.atoms for child in halves(dual, z, middle))
        assert atoms.separate(z)[0].size == below.size
        one = atoms.separate(z)[1]
        assert below.log_high[one] >= middle >= above.log_low[z]
        # all else is as it was
        assert np.all(
            np.delete(below.log_high, one) == np.delete(atoms.separate(z)[0].log_high, one)
        )
        assert np.all(below.log_low == atoms.separate(z)[0].log_low)
        assert np.all(np.delete(above.log_low, z) == np.delete(atoms.log_low, z))
        assert np.all(above.log_high == atoms.log_high)


@pytest.mark.parametrize("merged", [1, 4])
def test_signs_leave_none_out(merged):
    """Either one atom of the kind is positive, the others free, or all of the kind are negative."""
    atoms = kinds(np.random.default_rng(0), merged)
    for z in range(atoms.size):
        plus, minus = (child.atoms for child in signs(ForgetDual(atoms, 0.05), z))
        one = atoms.separate(z)[1]
        assert plus.sign[one] == 1
        assert minus.sign[z] == -1
        assert not np.any(np.delete(plus.sign, one))
        assert not np.any(np.delete(minus.sign, z))
        for child in (plus, minus):
            assert np.all(child.log_low[: atoms.size] == atoms.log_low)
            assert child.probability.sum() == pytest.approx(1, rel=1e-12)


def test_a_sketchs_intervals_tile_the_normalisers(monkeypatch):
    monkeypatch.setattr(nodes, "SPLIT_ATOMS", 20)
    monkeypatch.setattr(coarse, "_SIDES", (4,))
    for seed in range(2):
        rng = np.random.default_rng(seed)
        retain, forget = rng.dirichlet(np.ones(60)), rng.dirichlet(np.full(60, 0.1))
        m = Mixture(retain, forget, 0.5, rng.uniform(0.1, 1, 60))
        for kind in (ForgetDual, RetainDual):
            dual = kind(reduce_atoms(m, 0.05, 1.5, 1.0), 0.05)
            sketch = replace(dual, atoms=coarse.coarsen(dual.atoms, 0.05)[0])
            want = affordable(dual, affordable(sketch).multipliers).span
            spans = [node.span for node in _sketched(dual, Climb(dual), 5e-4, 40, math.inf)]
            assert (spans[0][0], spans[-1][1]) == want
            assert all(a[1] == b[0] for a, b in itertools.pairwise(spans))


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("quantity", ["forget_error", "retain_error"])
def test_a_sketchs_nodes_leave_no_classifier_out(monkeypatch, quantity, scale):
    """Signs and boxes that a sketch settled are kept or left open, but never lost."""
    monkeypatch.setattr(coarse, "_SIDES", (4,))
    monkeypatch.setattr(coarse, "_HEAVY", 5)
    for seed in range(6):
        rng = np.random.default_rng(seed)
        retain, forget = rng.dirichlet(np.full(40, 0.2), size=2)
        m, delta = Mixture(retain, forget, 0.5, rng.uniform(0.1, 1, 40)), 10 ** rng.uniform(-4, 0)
        direct = worst_case(m, delta, 1.5, quantity, scale, nodes=40)
        with monkeypatch.context() as few:
            few.setattr(nodes, "SPLIT_ATOMS", 30)
            sketched = worst_case(m, delta, 1.5, quantity, scale, nodes=40)
        assert direct.lower <= sketched.upper * (1 + 1e-12)
        assert sketched.lower <= direct.upper * (1 + 1e-12)


@pytest.mark.parametrize(
    ("choices", "complete"),
    [
        ([{}], True),
        ([], False),
        ([{3: 1.0}], False),
        ([{3: 1.0}, {3: -1.0}], True),
        ([{3: 1.0, 4: 1.0}, {3: -1.0}, {3: 1.0, 4: -1.0}], True),
        ([{3: 1.0, 4: 1.0}, {3: -1.0}, {4: 1.0}], False),
        ([{3: 1.0, 4: 1.0}, {3: -1.0}, {4: -1.0}], True),
    ],
)
def test_choices_of_signs_are_complete_if_none_is_left_out(choices, complete):
    assert lift._complete(choices) == complete


@pytest.mark.parametrize("delta", [1e-3, 1e-2, 0.1])
def test_no_point_of_a_grid_is_above_where_a_box_is_split(delta):
    """Two atoms whose light and heavy falls of f are worth the same."""
    m = Mixture([0.36, 0.64], [0.99, 0.01], 0.9, [1.0, 0.22])
    first, second = np.meshgrid(np.linspace(-9, 9, 1201), np.linspace(-6, 14, 1201))
    log_f = -np.logaddexp(0, -np.stack([first, second], -1))
    log_g = -np.logaddexp(0, np.stack([first, second], -1))
    star = np.asarray(bayes_classifier(m))
    kl = star * (np.log(star) - log_f) + (1 - star) * (np.log(1 - star) - log_g)
    log_f = log_f[kl @ np.asarray(m.probabilities) <= delta]
    error = np.log(np.exp(log_f) @ np.asarray(m.probabilities)) - log_f @ m.retain
    error += np.sum(m.retain * np.log(m.retain / m.probabilities))
    for most in (5, 50, 200):  # wherever the search stops
        found = worst_case(m, delta, 1.0, "retain_error", nodes=most)
        assert 0.95 * found.lower <= error.max() <= found.upper


class Hollow(ForgetDual):
    """A dual whose every bound is −∞."""

    def bound(self, span, multiplier, price):
        return super().bound(span, multiplier, price)._replace(value=-math.inf)


def test_a_bound_of_minus_infinity_is_none():
    dual = Hollow(reduce_atoms(PURE, 0.1, 2.0, 1.0), 0.1)
    assert search(dual, 5e-4, 5, cap=7.0)[1] == 7.0


FAR = {
    # γ, s and T at which weights p^{1/T}/N* reach 1e308 and more
    "f*^s of 1e-800": (
        Mixture([1.0, 0.0], [0.1466, 0.8534], 1 - 1e-13, [1.2e-86, 6.7e-96]),
        (0.011, 1.0000002, "forget_error", 65.5),
    ),
    "p^294": (
        Mixture([0.512, 0.0, 0.488], [2e-147, 1.0, 6e-171], 0.993, [1.4e-23, 7e-35, 8.3e87]),
        (3e-6, 0.0034),
    ),
    "a spike cooled to 0.01": (Mixture([1.0, 0.0], [0.0, 1.0], 0.1, [1.0, 1e-4]), (0.01, 0.01)),
    "no 1/μ": (Mixture([0.5, 0.5, 0.0], [0.0, 0.5, 0.5], 0.1, [1.0, 1e-300, 1e-300]), (0.1, 0.01)),
}


@pytest.mark.parametrize("name", FAR)
def test_weights_that_float64_cannot_hold_leave_the_bound_that_needs_no_search(name):
    m, (delta, temperature, *rest) = FAR[name]
    found = worst_case(m, delta, temperature, *rest)
    density = m.retain / m.reference
    moved = m.forget * (np.abs(density - 1 / m.reference) - density)
    vertex = float(np.sum(m.forget * density) + np.max(moved))
    assert 0 <= found.lower <= found.upper == pytest.approx(vertex, rel=1e-10)
    assert float(excess_risk_of_log_odds(m, found.log_odds)) <= delta
    retain = worst_case(m, delta, temperature, "retain_error", *rest[1:])
    assert 0 <= retain.lower <= retain.upper < math.inf


def test_an_atom_that_is_not_searched_may_weigh_much_where_laws_are_heated():
    """P = 10⁻⁴⁰⁰, but p^{1/T} of 10⁻² and no price of f there: 1 % of p̂ and of the forget error."""
    m = Mixture([1.0, 0.0], [1.0, 1e-200], 1e-200, [1.0, 1.0])
    found = worst_case(m, 0.1, 200.0)
    rise = bayes_log_odds(m).copy()
    rise[1] = 0.0  # half of the way up costs 10⁻⁴⁰⁰
    log_f = -np.logaddexp(0.0, -rise)
    error = forget_error(m, temper_then_tilt(m.log_density, log_f, 200.0))
    assert error > 1e-3
    assert error <= found.upper


def test_a_cooled_spike_reaches_its_vertex():
    m, (delta, temperature) = FAR["a spike cooled to 0.01"]
    assert worst_case(m, delta, temperature).gap < 1e-9


@pytest.mark.parametrize("seed", [5, 9, 33])
def test_a_weights_own_logarithm_counts_as_rounding(seed):
    """At T = 1e-3 weights are exp of thousands: the witness's error in 50 digits is below `upper`."""
    rng = np.random.default_rng(seed)
    retain, forget, reference = (rng.dirichlet(np.ones(4)) for _ in range(3))
    m = Mixture(retain, forget, 0.1, reference)
    found = worst_case(m, 1e-3, 1e-3)
    with mpmath.workdps(50):
        columns = zip(m.retain, m.forget, m.reference, found.log_odds, strict=True)
        rows = [[mpmath.mpf(float(x)) for x in row] for row in columns]
        gamma = mpmath.mpf(m.gamma)
        densities = [((1 - gamma) * r + gamma * f) / u for r, f, u, _ in rows]
        tilted = [p**1000 / (1 + mpmath.exp(-x[3])) for p, x in zip(densities, rows, strict=True)]
        total = sum(q * x[2] for q, x in zip(tilted, rows, strict=True))
        error = sum(
            f * abs(r / u - q / total) for q, (r, f, u, _) in zip(tilted, rows, strict=True)
        )
        assert error <= found.upper


@pytest.mark.parametrize(
    "wrong",
    [
        {"delta": -1e-9},
        {"delta": math.nan},
        {"delta": math.inf},
        {"temperature": 0.0},
        {"temperature": "a"},
        {"guidance_scale": -1.0},
        {"tolerance": math.nan},
        {"tolerance": 0.0},
        {"nodes": 1.5},
        {"nodes": -1},
    ],
)
def test_wrong_numbers_are_named(wrong):
    with pytest.raises(AssumptionError, match=next(iter(wrong))):
        worst_case(PURE, **({"delta": 0.1} | wrong))
    assert worst_case(PURE, np.float32(0.1)).gap < 1e-3
