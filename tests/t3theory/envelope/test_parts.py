"""The parts of the certificate, each against another way to the same number."""

from __future__ import annotations

import math
from dataclasses import replace

import mpmath
import numpy as np
import pytest
from scipy.optimize import linprog

from t3theory import Mixture
from t3theory.classifier import excess_risk_of_log_odds
from t3theory.envelope import atoms, nodes, worst_case
from t3theory.envelope.budget import _risk, _root, spend
from t3theory.envelope.coarse import coarsen
from t3theory.envelope.dual import ForgetDual, RetainDual
from t3theory.envelope.maximiser import maximise
from t3theory.envelope.planes import lowest_point
from t3theory.envelope.powers import power_roots
from t3theory.envelope.profile import uncovered
from t3theory.envelope.reach import affordable
from t3theory.envelope.reduction import budget_floor, reduce_atoms
from t3theory.envelope.sides import rewards


def mixture(rng, n, gamma=0.1):
    return Mixture(
        rng.dirichlet(np.ones(n)), rng.dirichlet(np.full(n, 0.5)), gamma, rng.gamma(1, size=n) / 10
    )


@pytest.mark.parametrize("seed", range(5))
def test_lowest_point_is_a_linear_programme_wherever_it_starts(seed):
    rng = np.random.default_rng(seed)
    slopes, heights = rng.normal(size=(30, 2)), rng.normal(size=30)
    low, high, basis = (-3.0, -2.0), (2.0, 3.0), ()
    for k in (5, 12, 30):
        warm = lowest_point(slopes[:k], heights[:k], low, high, basis)
        cold = lowest_point(slopes[:k], heights[:k], low, high)
        exact = linprog(
            [0, 0, 1],
            A_ub=np.c_[slopes[:k], -np.ones(k)],
            b_ub=-heights[:k],
            bounds=[(low[0], high[0]), (low[1], high[1]), (None, None)],
        )
        # 1e-9: the feasibility tolerance of the other solver is 1e-7 of unit rows, met far better.
        assert warm.value == pytest.approx(exact.fun, abs=1e-9)
        assert cold.value == pytest.approx(exact.fun, abs=1e-9)
        assert warm.weights.sum() == pytest.approx(1, abs=1e-9)
        basis = warm.basis


def test_lowest_point_may_start_from_another_box_or_a_basis_that_is_none():
    rng = np.random.default_rng(5)
    slopes, heights = rng.normal(size=(20, 2)), rng.normal(size=20)
    cold = lowest_point(slopes, heights, (-1.0, -1.0), (1.0, 1.0))
    elsewhere = lowest_point(slopes, heights, (2.0, 2.0), (3.0, 3.0))
    for basis in (elsewhere.basis, (0, 2, 4), (5, 5, 6)):  # the last two have no inverse
        found = lowest_point(slopes, heights, (-1.0, -1.0), (1.0, 1.0), basis)
        assert found.value == pytest.approx(cold.value, abs=1e-12)
        assert found.at == pytest.approx(cold.at, abs=1e-12)


@pytest.mark.parametrize("scale", [0.3, 0.5, 2.0, 5.0])
def test_no_log_odds_beats_the_power_roots(scale):
    rng = np.random.default_rng(0)
    n = 300
    c = rng.normal(size=n) * 10.0 ** rng.uniform(-3, 3, n)
    a, b = (10.0 ** rng.uniform(-3, 1, n) for _ in range(2))

    def objective(f, g):
        return c * f**scale + a * np.log(f) + b * np.log(g)

    roots = power_roots(c, np.log(a), np.log(b), scale)
    found = np.max([objective(1 / (1 + np.exp(-x)), 1 / (1 + np.exp(x))) for x in roots], axis=0)
    size = np.abs(c) + a + b
    for x in np.linspace(-60, 60, 4001):
        f, g = 1 / (1 + math.exp(-x)), 1 / (1 + math.exp(x))
        # 1e-11: sixty units of log-odds times the rounding of the terms.
        assert np.all(objective(f, g) <= found + 1e-11 * size)


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("multiplier", [1e-5, 3.0])
def test_roots_nearer_to_an_end_than_the_floats(scale, multiplier):
    """f* = 1 − q with q = 1e-300 and below: 1 − f = λ q/(s c + λ) to leading order, in 50 digits."""
    tiny = 10.0 ** -np.arange(280.0, 323.0, 6)
    forget = np.r_[tiny, 1.0]
    m = Mixture(np.r_[np.full(len(tiny), 1 / len(tiny)), 0.0], forget / forget.sum(), 0.5)
    atoms = reduce_atoms(m, 1.0, 2.0, scale)
    c = np.full(atoms.size, 0.7)
    found = maximise(atoms, c, multiplier, multiplier)
    for z in np.flatnonzero(atoms.oracle > 0.5):
        q = mpmath.exp(mpmath.mpf(float(atoms.log_co_oracle[z])))
        expected = mpmath.log(multiplier * q / (scale * mpmath.mpf(0.7) + multiplier))
        # 1e-12: a dozen roundings of logarithms near 700.
        assert found.log_g[z] == pytest.approx(float(expected), rel=1e-12)
    kl = atoms.divergence(found)[atoms.oracle > 0.5]
    assert np.all(kl < 1e-270)


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_the_interval_of_normalisers_holds_them_and_is_narrow(scale):
    rng = np.random.default_rng(4)
    m = mixture(rng, 6)
    dual = ForgetDual(reduce_atoms(m, 0.02, 2.0, scale), 0.02)
    low, high = affordable(dual).span
    for sign, end in ((-1.0, low), (1.0, high)):
        point, _ = spend(dual, sign * dual.atoms.slope)
        reached = float(np.sum(dual.atoms.weight * point.power))
        assert low <= reached <= high
        # Concave for s ≤ 1; for s > 1 the relaxation may leave a per cent of the reach.
        assert abs(reached - end) <= 0.05 * abs(end - 1)
    for _ in range(30):
        c = rng.normal(size=6)
        point, _ = spend(dual, c)
        assert low <= np.sum(dual.atoms.weight * point.power) <= high


@pytest.mark.parametrize("kind", [ForgetDual, RetainDual])
def test_rounding_never_takes_a_bound_below_its_lagrangian(kind):
    rng = np.random.default_rng(8)
    for delta in (1e-8, 1e-3):
        atoms = reduce_atoms(mixture(rng, 40), delta, 2.0, 1.0)
        dual = kind(atoms, delta)
        for _ in range(5):
            multiplier, price = 10 ** rng.uniform(-2, 4), rng.normal()
            span = (0.9, 1.1)
            value = dual.bound(span, multiplier, price).value
            exact = max(exact_lagrangian(dual, n, multiplier, price) for n in span)
            assert exact <= value
            # The slack is the stated one, not a wide margin.
            assert value - exact <= 1e-11 * (abs(value) + (multiplier + 10) * (1 + delta))


def some_signs(rng, n, disjoint=False):
    """A forget dual with a few settled signs, its span, and multipliers near the best."""
    retain, forget = rng.dirichlet(np.ones(n)), rng.dirichlet(np.full(n, 0.5))
    if disjoint:  # but for a third of the atoms
        retain[: n // 3], forget[n // 3 : 2 * (n // 3)] = 0.0, 0.0
    m = Mixture(retain / retain.sum(), forget / forget.sum(), 0.1, rng.gamma(1, size=n) / 10)
    dual = ForgetDual(reduce_atoms(m, 0.02, 1.0, 1.0), 0.02)
    sign = dual.atoms.sign.copy()
    open_ = np.flatnonzero(sign == 0)
    sign[open_[:3]], sign[open_[3:6]] = 1.0, -1.0
    dual = replace(dual, atoms=replace(dual.atoms, sign=sign))
    price, c = dual.linearise(dual.atoms.bayes())
    return dual, affordable(dual).span, (spend(dual, c)[1], price * rng.uniform(-2, 2))


@pytest.mark.parametrize("disjoint", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_one_pair_of_multipliers_bounds_every_normaliser_as_its_profile_says(seed, disjoint):
    dual, span, at = some_signs(np.random.default_rng(seed), 40, disjoint)
    profile = dual.bound(span, *at).profile
    for n in np.geomspace(*span, 9):
        seen, step = profile.at(n), 1e-7
        # 1e-12: the same terms, added in another order
        assert seen.value == pytest.approx(dual.bound((n, n), *at).value, rel=1e-12)
        # convex, so its slope is between those of the chords on both sides, but for their rounding
        left, right = profile.at(1 / (seen.t - step)), profile.at(1 / (seen.t + step))
        chords = (seen.value - left.value) / step, (right.value - seen.value) / step
        assert chords[0] - 1e-6 <= seen.slope <= chords[1] + 1e-6


@pytest.mark.parametrize("disjoint", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_what_is_cut_off_an_interval_is_bounded_well_enough(seed, disjoint):
    """Each normaliser outside what is left has a bound ≤ target; what is left begins where it ends."""
    dual, span, at = some_signs(np.random.default_rng(seed), 40, disjoint)
    grid = np.geomspace(*span, 301)
    values = np.array([dual.bound((n, n), *at).value for n in grid])
    profile, cut = dual.bound(span, *at).profile, 0
    for share in (-0.1, 0.02, 0.2, 0.5, 0.9, 1.1):
        target = float(values.min() + share * (values.max() - values.min()))
        left = uncovered(profile, span, target)
        inside = np.any([(low < grid) & (grid < high) for low, high in left], axis=0)
        assert np.all(values[~inside & (grid > span[0]) & (grid < span[1])] <= target)
        assert all(end in span or profile.at(end).value <= target for part in left for end in part)
        # no more is left than a few hundredths beyond what has to be
        assert np.mean(inside) <= np.mean(values > target) + 0.03
        cut += 0 < np.mean(inside) < 1
    assert cut >= 2


def test_a_profile_that_overflows_covers_nothing():
    dual, span, at = some_signs(np.random.default_rng(0), 20)
    profile = dual.bound(span, *at).profile
    for field in ({"slope": -math.inf}, {"constant": math.nan}, {"plus": profile.plus * math.inf}):
        with np.errstate(invalid="ignore"):
            assert uncovered(profile._replace(**field), span, 1e300) == [span]


@pytest.mark.parametrize("kind", [ForgetDual, RetainDual])
@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_the_risks_derivative_is_that_of_differences(kind, scale):
    m = mixture(np.random.default_rng(3), 30)
    dual = kind(reduce_atoms(m, 0.05, 1.5, scale), 0.05)
    c = dual.linearise(dual.atoms.bayes())[1]
    multiplier, step = spend(dual, c)[1], 1e-5
    multiplier += 0.3 * abs(multiplier)
    ends = [_risk(dual.atoms, c, multiplier * (1 + x), dual.worth)[0] for x in (-step, step)]
    risk, slope = _risk(dual.atoms, c, multiplier, dual.worth)
    assert 0 < risk < 0.2
    # 1e-4: the root for s ≠ 1 is found to 1e-9, the step is 1e-5
    assert slope == pytest.approx((ends[1] - ends[0]) / (2 * step * multiplier), rel=1e-4)


def test_boxes_hold_what_any_budget_allows():
    """kl at the floor is no less than the budget, in 400 digits: f* and budgets far below rounding."""
    rng = np.random.default_rng(0)
    log_odds = rng.choice([-1, 1], 400) * 10.0 ** rng.uniform(-3, 2.8, 400)
    share, other = 1 / (1 + np.exp(-log_odds)), 1 / (1 + np.exp(log_odds))
    part = np.where(rng.random(400) < 0.5, 1.0, np.minimum(share, other))
    budget = 10.0 ** rng.uniform(-40, 2, 400) * part
    floor = budget_floor(share, other, budget)
    with mpmath.workdps(400):
        for x, allowed, u in zip(log_odds, budget, floor, strict=True):
            a, b = 1 / (1 + mpmath.exp(-mpmath.mpf(x))), 1 / (1 + mpmath.exp(mpmath.mpf(x)))
            f = mpmath.exp(mpmath.mpf(float(u)))
            assert f < a
            assert a * mpmath.log(a / f) + b * mpmath.log(b / (1 - f)) >= allowed


def exact_lagrangian(dual, n, multiplier, price):
    """The Lagrangian of one normaliser at the float64 maximisers, in 50 digits."""
    x, forget = dual.atoms, isinstance(dual, ForgetDual)
    with mpmath.workdps(50):
        best, t, worth = [], 1 / mpmath.mpf(n), mpmath.mpf(dual.worth)
        for sign in (-1.0, 1.0) if forget else (0.0,):
            c = rewards(x, sign, price) if forget else -price * x.slope
            point = maximise(x, c, multiplier, multiplier + dual.worth)
            terms = [
                _term(dual, i, mpmath.mpf(float(point.power[i])), sign, t, multiplier, price)
                for i in range(x.size)
            ]
            best = [max(pair) for pair in zip(best, terms, strict=True)] if best else terms
        total = mpmath.fsum(best)
        if forget:
            return total + price + t * multiplier * dual.delta
        at = mpmath.mpf(n)
        constant = mpmath.mpf(dual.constant[0])
        return total + constant + (multiplier + worth) * dual.delta + mpmath.log(at) + price * at


def _term(dual, i, f, sign, t, multiplier, price):
    x = dual.atoms
    a, b = (
        mpmath.exp(mpmath.mpf(float(x.log_oracle[i]))),
        mpmath.exp(mpmath.mpf(float(x.log_co_oracle[i]))),
    )
    kl = a * mpmath.log(a / f) + b * mpmath.log(b / (1 - f))
    p = mpmath.mpf(float(x.probability[i]))
    if isinstance(dual, ForgetDual):
        held = mpmath.mpf(float(x.forget[i])) * mpmath.mpf(float(x.retain_density[i]))
        moved = sign * mpmath.mpf(float(x.forget[i])) * mpmath.mpf(float(x.base[i]))
        moved += price * mpmath.mpf(float(x.weight[i]))
        return sign * held - t * (moved * f + multiplier * p * kl)
    gain = -mpmath.mpf(float(x.retain[i])) * mpmath.log(f)
    risk = (mpmath.mpf(multiplier) + mpmath.mpf(dual.worth)) * p * kl
    return gain - risk - price * mpmath.mpf(float(x.weight[i])) * f


def test_a_sketch_keeps_every_total():
    m = mixture(np.random.default_rng(2), 9000)
    fine = reduce_atoms(m, 0.01, 2.0, 1.0)
    few, group = coarsen(fine, 0.01)
    assert few.size <= nodes.SPLIT_ATOMS
    for name in ("probability", "retain", "forget", "weight"):
        # 1e-12: another order of summation.
        sums = np.bincount(group, weights=getattr(fine, name))
        assert np.allclose(getattr(few, name), sums, rtol=1e-12, atol=0)


@pytest.mark.parametrize("quantity", ["forget_error", "retain_error"])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_the_sketched_search_agrees_with_the_direct_one(monkeypatch, temperature, quantity):
    m = mixture(np.random.default_rng(1), 6000)
    sketched = worst_case(m, 0.01, temperature, quantity)
    monkeypatch.setattr(nodes, "SPLIT_ATOMS", 10_000)
    direct = worst_case(m, 0.01, temperature, quantity)
    assert float(excess_risk_of_log_odds(m, sketched.log_odds)) <= 0.01
    assert sketched.gap < 1e-3
    assert sketched.lower <= direct.upper
    assert direct.lower <= sketched.upper


@pytest.mark.parametrize("gamma", [0.999, 1 - 1e-6, 1 - 1e-12])
@pytest.mark.parametrize("temperature", [1.0, 8.0])
def test_all_mass_on_one_atom_closes_the_gap_where_gamma_is_near_one(gamma, temperature):
    m = mixture(np.random.default_rng(0), 5, gamma)
    assert worst_case(m, 0.01, temperature).gap < 1e-3
    # Here log f must fall to −1e4 and below: that it is valid and no error is all there is to ask.
    retain = worst_case(m, 0.01, temperature, "retain_error", nodes=2)
    assert retain.lower <= retain.upper


def test_an_error_never_exceeds_that_of_all_mass_on_one_atom():
    m = mixture(np.random.default_rng(6), 3, 0.5)
    vertices = [
        float(np.sum(m.forget * np.abs(m.retain / m.reference - np.eye(3)[z] / m.reference[z])))
        for z in range(3)
    ]
    # A budget so large that the mass can go almost anywhere: the bound is the vertex itself.
    c = worst_case(m, 50.0, nodes=2)
    assert c.upper == pytest.approx(max(vertices), rel=1e-3)
    assert c.upper <= max(vertices) * (1 + 1e-11)


def test_branching_on_an_atom_closes_a_duality_gap():
    # Two atoms: the Lagrangian rewards a heavy fall of f on one and a light fall alike, and a
    # mixture of the two, which no classifier is, beats both by a quarter.
    m = Mixture([0.36, 0.64], [0.99, 0.01], 0.9, [1.0, 0.22])
    assert worst_case(m, 0.01, 1.0, "retain_error", nodes=0).gap > 0.1
    assert worst_case(m, 0.01, 1.0, "retain_error").gap < 1e-3


@pytest.mark.parametrize("guess", [-5.0, 0.0, 20.0])
def test_the_multiplier_is_found_where_most_of_the_risk_is_pinned(guess):
    """log(risk/δ) falls to log 0.97 only; secant steps of the log's usual slope took 42 to 48."""
    seen = []

    def excess(x):
        seen.append(x)
        free = 1 / (1 + math.exp(2 * (x - 3)))
        risk = 0.97 + 0.53 * free
        return math.log(risk), -2 * 0.53 * free * (1 - free) / risk

    assert -2e-6 <= excess(_root(excess, guess))[0] <= 0
    assert len(seen) <= 25


@pytest.mark.parametrize("guess", [-5.0, 1.0, 20.0])
def test_a_jump_past_the_budget_is_left_at_its_higher_side(guess):
    def excess(x):
        return (0.5 - 0.01 * x, -0.01) if x < math.e else (-0.4 - 0.01 * x, -0.01)

    assert math.e <= _root(excess, guess) <= math.e + 1e-6
    assert math.e <= _root(excess, guess, jump=0.1) <= math.e + 0.1


def test_the_budget_is_met_where_some_atoms_have_no_forget_mass_to_speak_of():
    """1 − f* = 1e-300 there: f − f* is lost in 1 − 1, and its square over 1 − f passed 1e266."""
    x = np.linspace(-4, 4, 10_000)
    wide, narrow = np.exp(-(x**2) / 2), np.exp(-((x - 1) ** 2) / 0.02)
    m = Mixture(wide / wide.sum(), narrow / narrow.sum(), 0.5)
    dual = ForgetDual(coarsen(reduce_atoms(m, 1e-4, 1.0, 1.0), 1e-4)[0], 1e-4)
    assert np.any((dual.atoms.co_oracle > 0) & (dual.atoms.co_oracle < 1e-290))
    for c in dual.pushes():
        point = spend(dual, c)[0]
        assert 1e-4 * (1 - 1e-5) <= dual.atoms.risk(point) <= 1e-4 * (1 + 1e-5)


def test_a_slope_without_bound_ends_no_search_for_the_multiplier():
    def excess(x):
        return 1.0 - x, -1e266 if x < 0.5 else -1.0

    assert -2e-6 <= excess(_root(excess, 0.25))[0] <= 0


def test_threads_keep_the_callers_way_with_floating_point_errors(monkeypatch):
    monkeypatch.setattr(atoms, "_BLOCK", 8)
    few = reduce_atoms(mixture(np.random.default_rng(0), 30), 0.01, 2.0, 1.0)
    with np.errstate(invalid="raise"), pytest.raises(FloatingPointError):
        few.map(lambda _: np.inf * np.zeros(1))
    with np.errstate(invalid="ignore"):  # warnings are errors in these tests
        assert len(few.map(lambda _: np.inf * np.zeros(1))) == 4


def test_several_levels_of_a_fallen_atom_are_tried():
    """Its ascents have two fixed points at one level: a search of one interval lost a thousandth."""
    x = np.linspace(-4, 4, 1000)
    wide, narrow = np.exp(-(x**2) / 2), np.exp(-((x - 1) ** 2) / 0.02)
    m = Mixture(wide / wide.sum(), narrow / narrow.sum(), 0.1)
    assert worst_case(m, 0.5, 1.5, "retain_error").gap < 5e-4
