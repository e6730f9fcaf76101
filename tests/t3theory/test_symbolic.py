"""The identities A, F, M and O, proved by a computer algebra system."""

from __future__ import annotations

import sympy as sp


def positive(names: str) -> tuple[sp.Symbol, ...]:
    return sp.symbols(names, positive=True)


def test_chain_rule_identity():
    """A, on two atoms with free masses: the joint P_r, P_f need not even be normalised there."""
    r1, r2, q1, q2, a1, a2, b1, b2 = positive("r1 r2 q1 q2 a1 a2 b1 b2")
    # r = (1−γ)P_r and q = γP_f as masses; a = f and b = 1−f; P = r + q
    r, q, a, b = (r1, r2), (q1, q2), (a1, a2), (b1, b2)
    p = [x + y for x, y in zip(r, q, strict=True)]
    keep, drop = (
        sum(x * y for x, y in zip(p, a, strict=True)),
        sum(x * y for x, y in zip(p, b, strict=True)),
    )
    total_r, total_q = sum(r), sum(q)
    risk = sum(
        x * sp.log(x / (z * f)) + y * sp.log(y / (z * g))
        for x, y, z, f, g in zip(r, q, p, a, b, strict=True)
    )
    retain = sum(x * sp.log(x / total_r / (z * f / keep)) for x, z, f in zip(r, p, a, strict=True))
    forget = sum(y * sp.log(y / total_q / (z * g / drop)) for y, z, g in zip(q, p, b, strict=True))
    normaliser = total_r * sp.log(total_r / keep) + total_q * sp.log(total_q / drop)
    difference = sp.expand_log(risk - retain - forget - normaliser, force=True)
    assert sp.simplify(sp.expand(difference)) == 0
    wrong = sp.expand_log(risk - retain - forget - 2 * normaliser, force=True)
    assert sp.simplify(sp.expand(wrong)) != 0


def test_necessity():
    """F: the forget error of the two-atom family, and of T3 on it, from the definitions."""
    gamma, h, epsilon, t = positive("gamma h epsilon T")
    # atom 0: retain, μ = 1, density 1−γ, f = 1; atom 1: forget, μ = 1/h, density γh, f = ε
    score = ((1 - gamma) ** (1 / t), (gamma * h) ** (1 / t) * epsilon)
    normaliser = score[0] + score[1] / h
    error = score[1] / normaliser
    at_one = error.subs(t, 1)
    assert sp.simplify(at_one - gamma * epsilon * h / (1 - gamma * (1 - epsilon))) == 0
    delta = positive("delta")[0] if isinstance(positive("delta"), tuple) else positive("delta")
    claimed = gamma * (1 - sp.exp(-delta / gamma)) * h / (1 - gamma * sp.exp(-delta / gamma))
    assert sp.simplify(at_one.subs(epsilon, 1 - sp.exp(-delta / gamma)) - claimed) == 0
    # δ = γ·kl(0‖ε)
    assert sp.simplify(-gamma * sp.log(1 - (1 - sp.exp(-delta / gamma))) - delta) == 0


def test_class_prior():
    """M: the posterior odds at share γ, from those at share π."""
    gamma, pi, dr, df = positive("gamma pi d_r d_f")
    learnt = sp.log((1 - pi) * dr / (pi * df))
    shift = sp.log((1 - gamma) / gamma) - sp.log((1 - pi) / pi)
    wanted = sp.log((1 - gamma) * dr / (gamma * df))
    assert sp.simplify(sp.expand_log(learnt + shift - wanted, force=True)) == 0


def test_greedy_decoding_sees_the_product():
    """O: T times one score is the other, so they have the same order."""
    p, f, s, t = positive("p f s T")
    first, second = sp.log(p) / t + s * sp.log(f), sp.log(p) + s * t * sp.log(f)
    assert sp.simplify(t * first - second) == 0
