"""B, C, D, G, H, N and Q in ball arithmetic, so that no rounding can hide a violation.

D's pointwise lemma is proved over a region. All else here is checked at random points with
balls of relative radius 1e-6 around them, on two to four atoms: a claim certified there holds
for every parameter inside, which is no region. test_balls_boxes.py has regions, on two atoms.
"""

from __future__ import annotations

import numpy as np
import pytest
from boxes import largest, total
from flint import arb

from t3theory.bounds.pinsker import kl_inverse

BOXES = 150


def kl(p, q) -> arb:
    return total(a * (a / b).log() for a, b in zip(p, q, strict=True) if a != 0)


class Instance:
    """Two to four atoms as balls of relative radius 1e-6, with everything the bounds name."""

    def __init__(
        self, rng: np.random.Generator, atoms: int, temperature: float = 1.0, apart: bool = False
    ) -> None:
        def ball(value: float) -> arb:
            return arb(float(value), float(value) * 1e-6)

        self.t = arb(temperature)
        self.gamma = ball(rng.uniform(0.05, 0.95))
        raw = [[ball(x) for x in rng.uniform(0.02, 1, atoms)] for _ in "rf"]
        if apart:  # no forget data on the first atom
            raw[1][0] = arb(0)
        # normalised in balls: whatever the weights, the laws sum to 1
        self.retain, self.forget = ([x / total(w) for x in w] for w in raw)
        self.mu = [ball(x) for x in 10 ** rng.uniform(-2, 0, atoms)]
        self.f = [ball(x) for x in rng.uniform(0.02, 0.98, atoms)]
        self.kept = [(1 - self.gamma) * x for x in self.retain]
        self.p = [k + self.gamma * x for k, x in zip(self.kept, self.forget, strict=True)]
        self.best = [k / p for k, p in zip(self.kept, self.p, strict=True)]
        if apart:
            self.best[0] = arb(1)
        self.delta = total(
            p * kl((b, 1 - b), (f, 1 - f))
            for p, b, f in zip(self.p, self.best, self.f, strict=True)
        )
        self.overlap = total(p * b * (1 - b) for p, b in zip(self.p, self.best, strict=True))
        self.density = [p / m for p, m in zip(self.p, self.mu, strict=True)]
        self.q = [m * (d.log() / self.t).exp() for m, d in zip(self.mu, self.density, strict=True)]
        self.normaliser = total(q * f for q, f in zip(self.q, self.f, strict=True))
        self.oracle = total(q * b for q, b in zip(self.q, self.best, strict=True))
        self.sup = self.forget[0] / self.mu[0]
        for x, m in zip(self.forget, self.mu, strict=True):
            self.sup = self.sup.max(x / m)

    @property
    def gap(self) -> arb:
        return (self.delta / 2).sqrt().min((2 * self.overlap * self.delta).sqrt() + self.delta)

    def estimate(self, f) -> list[arb]:
        weights = [q * x for q, x in zip(self.q, f, strict=True)]
        return [w / total(weights) for w in weights]

    def retain_error(self, f) -> arb:
        return kl(self.retain, self.estimate(f))

    def forget_error(self, f) -> arb:
        return total(
            x * abs(r - e) / m
            for x, r, e, m in zip(self.forget, self.retain, self.estimate(f), self.mu, strict=True)
        )


def certify(claims: list[tuple[arb, arb]]) -> None:
    """Each error ≤ its bound: none certified false, nearly all certified true."""
    assert not any(error > bound for error, bound in claims)
    certain = sum(bool(error <= bound) for error, bound in claims)
    # a ball so near f = f* that both sides are 0 to its width may stay undecided
    assert certain >= 0.97 * len(claims)


@pytest.mark.parametrize("atoms", [2, 3, 4])
def test_retain_error_of_guidance(atoms):
    rng = np.random.default_rng(atoms)
    made = [Instance(rng, atoms) for _ in range(BOXES)]
    certify([(i.retain_error(i.f), i.delta / (1 - i.gamma)) for i in made])


@pytest.mark.parametrize("atoms", [2, 3, 4])
def test_slow_rate(atoms):
    rng = np.random.default_rng(10 + atoms)
    made = [Instance(rng, atoms) for _ in range(BOXES)]
    certify([(i.forget_error(i.f), i.sup * (2 * i.delta / (1 - i.gamma)).sqrt()) for i in made])


def holds_on(a: tuple[float, float], d: tuple[float, float], depth: int = 0) -> bool:
    """D on the box a × d, b = a + d, by halving until each part is certified."""
    x, gap = (arb((u + v) / 2, (v - u) / 2) for u, v in (a, d))
    y = x + gap
    if y > arb("0.99"):  # outside the region
        return True
    low = y.min(arb("0.995"))
    k = kl((x, 1 - x), (low, 1 - low))
    bound = (2 * x * (1 - x) * k).sqrt() + k
    if gap <= bound:
        return True
    if depth == 18 or gap > bound:
        return False
    first, second = (a, d) if (a[1] - a[0]) > (d[1] - d[0]) else (d, a)
    middle = sum(first) / 2
    halves = ((first[0], middle), (middle, first[1]))
    pairs = [(h, second) if first is a else (second, h) for h in halves]
    return all(holds_on(*pair, depth + 1) for pair in pairs)


def test_local_pinsker():
    """D for all a ≥ 0.02, b ≤ 0.99, b − a ≥ 0.05 (a > b by symmetry): a proof there."""
    edges = np.arange(0.02, 0.95, 0.02)
    gaps = np.arange(0.05, 0.98, 0.02)
    for a in edges:
        for d in gaps:
            if a + d < 0.99:
                assert holds_on((a, a + 0.02), (d, d + 0.02)), (a, d)


def test_local_pinsker_constants_are_least():
    """1 % off either constant is certified false at a point."""
    a, b = arb("1e-12"), arb("0.001")
    k = kl((a, 1 - a), (b, 1 - b))
    assert (2 * a * (1 - a) * k).sqrt() + arb("0.99") * k < b - a
    a, b = arb("0.3"), arb("0.3001")
    k = kl((a, 1 - a), (b, 1 - b))
    assert arb("0.99") * (2 * a * (1 - a) * k).sqrt() + k < b - a


@pytest.mark.parametrize("temperature", [1.0, 1.5, 2.0, 5.0])
@pytest.mark.parametrize("atoms", [2, 4])
def test_tempered_bounds(atoms, temperature):
    """G and H with Δ and Hölder's D_N."""
    rng = np.random.default_rng(100 + atoms)
    forget, retain = [], []
    for _ in range(BOXES // 2):
        i = Instance(rng, atoms, temperature)
        power, mass = 1 - 1 / i.t, total(i.mu)
        d_n = (mass.log() * power).exp() * ((i.delta / 2).log() / max(2.0, temperature)).exp()
        leak = (i.sup.log() / i.t - i.gamma.log() * power).exp() * i.gap
        share = total(x * e / m for x, e, m in zip(i.forget, i.estimate(i.f), i.mu, strict=True))
        bound = i.forget_error(i.best) + (leak + share * d_n) / i.oracle
        forget.append((i.forget_error(i.f), bound))
        bias = i.retain_error(i.best)
        bound = bias + (i.delta + i.gap) / (1 - i.gamma) + (1 + d_n / i.oracle).log()
        retain.append((i.retain_error(i.f), bound))
        assert not abs(i.normaliser - i.oracle) > d_n
    certify(forget)
    certify(retain)


def weighted_gap(i, w) -> arb:
    """D's weighted sum."""
    second = total(p * x * x for p, x in zip(i.p, w, strict=True))
    inner = total(p * x * x * b * (1 - b) for p, x, b in zip(i.p, w, i.best, strict=True))
    return (second * i.delta / 2).sqrt().min((2 * inner * i.delta).sqrt() + i.delta * largest(w))


@pytest.mark.parametrize("temperature", [1.5, 2.0, 5.0])
@pytest.mark.parametrize("atoms", [2, 4])
def test_slow_and_weighted_forms(atoms, temperature):
    """G slow and weighted (with N* − D_N, and with the exponential floor), H slow and weighted."""
    rng = np.random.default_rng(400 + atoms)
    forget, retain = [], []
    for _ in range(BOXES // 2):
        i = Instance(rng, atoms, temperature)
        power, slow = 1 - 1 / i.t, (i.delta / 2).sqrt()
        d_n = (total(i.mu).log() * power).exp()
        d_n *= ((i.delta / 2).log() / max(2.0, temperature)).exp()
        v = [(d.log() * -power).exp() for d in i.density]
        w = [x / m * y for x, m, y in zip(i.forget, i.mu, v, strict=True)]
        bias, error = i.forget_error(i.best), i.forget_error(i.f)
        on_forget = [
            total(x * e / m for x, e, m in zip(i.forget, i.estimate(f), i.mu, strict=True))
            for f in (i.f, i.best)
        ]
        leak = (i.sup.log() / i.t - i.gamma.log() * power).exp() * slow
        forget.append((error, bias + (leak + on_forget[0] * d_n) / i.oracle))
        moved, leak = weighted_gap(i, v), weighted_gap(i, w) + on_forget[1] * weighted_gap(i, v)
        cold, kept = i.retain_error(i.best), 1 - i.gamma
        spent = cold + (i.delta + i.gap.min(kept)) / kept
        floor = (i.oracle - moved).max(i.oracle * (-spent).exp())
        forget.append((error, bias + leak / floor))
        retain.append((i.retain_error(i.f), cold + (i.delta + slow) / kept + d_n / i.oracle))
        joined = weighted_gap(i, [abs(x / i.oracle - 1 / kept) for x in v])
        retain.append((i.retain_error(i.f), cold + i.delta / kept + joined))
    certify(forget)
    certify(retain)


@pytest.mark.parametrize("temperature", [1.0, 1.5, 5.0])
@pytest.mark.parametrize("atoms", [2, 4])
def test_centred_and_through_the_retain_error(atoms, temperature):
    """G's other two forms: the mean m as eight balls that cover [0, M], and Pinsker on RE."""
    rng = np.random.default_rng(200 + atoms)
    centred, through = [], []
    for _ in range(BOXES // 2):
        i = Instance(rng, atoms, temperature)
        v = [(d.log() * (1 / i.t - 1)).exp() for d in i.density]
        w = [x / m * y for x, m, y in zip(i.forget, i.mu, v, strict=True)]
        variance = [p * b * (1 - b) for p, b in zip(i.p, i.best, strict=True)]
        a, k, c = (
            total(s * x * y for s, x, y in zip(variance, left, right, strict=True))
            for left, right in ((w, w), (w, v), (v, v))
        )
        rho = i.oracle * largest([y * (1 - b) for y, b in zip(v, i.best, strict=True)])
        ideal = i.estimate(i.best)
        mass = total(x * e / m for x, e, m in zip(i.forget, ideal, i.mu, strict=True))
        values = []
        for cell in range(8):
            m = mass * arb((cell + 0.5) / 8, 0.5 / 8)
            phi = arb(0).max((a - 2 * m * (k - rho * (mass - m)) + m * m * c).upper())
            values.append((2 * phi * i.delta).sqrt() + i.delta * (largest(w) + m * largest(v)))
        moved = total(
            x * abs(e - b) / u
            for x, e, b, u in zip(i.forget, i.estimate(i.f), ideal, i.mu, strict=True)
        )
        centred.append((moved, largest(values).upper() / i.normaliser))
        through.append((i.forget_error(i.f), i.sup * (2 * i.retain_error(i.f)).sqrt()))
    certify(centred)
    certify(through)


def leak(i, theta: float, out: int = 0) -> arb:
    """Q's bound on E_{P_f}[p̂] over a share θ of the forget data; atom `out` has none of them."""
    inside = slice(out + 1, None)
    prior = total(x * b for x, b in zip(i.forget[inside], i.best[inside], strict=True)) / theta
    prior = prior.min(largest(i.best[inside]))
    gamma, c = i.gamma * theta, i.kept[out]
    # a little beyond the root of kl(ā‖b) = δ/γ where that is certified, else 1
    root = kl_inverse(float(prior.mid()), float((i.delta / gamma).upper()))
    high = arb(1 - (1 - root) * 0.999)
    if not kl((prior, 1 - prior), (high, 1 - high)) > i.delta / gamma:
        high = arb(1)
    b = high.min((c + gamma * prior) / (c + gamma))
    rest = arb(0).max(i.delta - gamma * kl((prior, 1 - prior), (b, 1 - b)))
    top = largest([(d.log() / i.t).exp() for d in i.density[inside]])
    most = theta * b * top
    return most / (most / i.sup + i.q[out] * (-rest / c).exp())


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
@pytest.mark.parametrize("atoms", [2, 4])
def test_leakage_and_its_split(atoms, temperature):
    """Q where one atom has retain data only; θ covered by eight cells, as leak increases in it."""
    rng = np.random.default_rng(300 + atoms)
    whole, split = [], []
    for _ in range(BOXES // 2):
        i = Instance(rng, atoms, temperature, apart=True)
        truth = [r / m for r, m in zip(i.retain, i.mu, strict=True)]
        least = -largest([-x for x in truth[1:]])
        mean = total(x * r for x, r in zip(i.forget, truth, strict=True))
        cells = [leak(i, (k + 1) / 8) - 2 * least * k / 8 for k in range(8)]
        whole.append((i.forget_error(i.f), mean + leak(i, 1.0)))
        split.append((i.forget_error(i.f), mean + largest(cells)))
    certify(whole)
    certify(split)


def test_gate_signal():
    """N on two contexts of two outcomes: the signal's error and its three corollaries."""
    rng = np.random.default_rng(7)
    claims = []
    for _ in range(BOXES):
        i = Instance(rng, 4)
        moved, missed, gated, alike, bias, mixed = (arb(0) for _ in range(6))
        tau, low = (arb(float(x)) for x in sorted(rng.uniform(0.1, 0.9, 2), reverse=True))
        cooling = 1 - 1 / arb(float(rng.uniform(1.1, 6)))
        for c in (slice(0, 2), slice(2, 4)):
            mass, kept = total(i.p[c]), total(i.retain[c])
            seen = total(p * (1 - f) for p, f in zip(i.p[c], i.f[c], strict=True))
            true = total(p * (1 - b) for p, b in zip(i.p[c], i.best[c], strict=True))
            moved += abs(seen - true)
            mixed -= kept * (1 - true / mass).log()
            alike += kept if true / mass > low else 0
            if not seen / mass > tau:
                missed += total(i.forget[c])
                continue
            gated += kept
            law, own = [p / mass for p in i.p[c]], [r / kept for r in i.retain[c]]
            flat = total(r * (p.log() * -cooling).exp() for r, p in zip(own, law, strict=True))
            heat = total(r * p.log() for r, p in zip(own, law, strict=True))
            bias += kept * (flat.log() + cooling * heat)
        claims += [(moved, i.gap), (missed, (tau + i.gap) / i.gamma)]
        claims.append((gated, alike + i.gap / ((1 - i.gamma) * (tau - low))))
        claims.append((bias, cooling * (gated * arb(2).log() + mixed)))
    certify(claims)
