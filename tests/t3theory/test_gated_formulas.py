"""N's bounds on both errors against their formulas in docs/theory.md, in plain numbers."""

from __future__ import annotations

import math
from functools import partial

import array_api_strict
import numpy as np
import pytest
import torch

from t3theory.contexts import ContextMixture
from t3theory.gated_errors import gated_error_bounds

# retain and forget laws, (contexts, outcomes), γ
CASES = {
    "all mixed": ([[0.3, 0.2, 0.05, 0.05], [0.1, 0.1, 0.1, 0.1], [0, 0, 0, 0]],
                  [[0.02, 0.02, 0.03, 0.03], [0.3, 0.2, 0.2, 0.1], [0.05, 0.05, 0, 0]], 0.2),
    "apart": ([[0.6, 0.3, 0.1, 0], [0, 0, 0, 0]], [[0, 0, 0, 0], [0, 0, 0.3, 0.7]], 0.1),
    "nearly apart": ([[0.5, 0.29, 0.2, 0], [0.01, 0, 0, 0]], [[0, 0, 0, 0], [0, 0, 0.3, 0.7]], 0.3),
    # an impossible context besides, and one that only retain data have
    "some empty": ([[0.5, 0.1, 0.1], [0.05, 0.05, 0], [0, 0, 0], [0, 0.2, 0]],
                   [[0.1, 0, 0], [0, 0.1, 0.7], [0, 0, 0], [0, 0, 0.1]], 0.6),
}  # fmt: skip


def kl(p: np.ndarray, q: np.ndarray) -> float:
    return float(np.sum(p[p > 0] * np.log(p[p > 0] / q[p > 0])))


class Plain:
    """Each context's laws, shares and tempered oracle, from the definitions."""

    def __init__(self, retain, forget, gamma: float, temperature: float) -> None:
        self.gamma, self.t = gamma, temperature
        joint = (1 - gamma) * retain + gamma * forget
        self.p_c = joint.sum(1)
        self.kept, self.lost = retain.sum(1), forget.sum(1)
        self.mixed = self.kept > 0
        safe = np.where(joint > 0, joint, 1.0)
        self.f = np.where(joint > 0, (1 - gamma) * retain / safe, 0.0)
        self.p = [row / s if s > 0 else row for row, s in zip(joint, self.p_c, strict=True)]
        self.r = [row / s if s > 0 else row for row, s in zip(retain, self.kept, strict=True)]
        self.q = [row / s if s > 0 else row for row, s in zip(forget, self.lost, strict=True)]
        self.shares = [
            gamma * b / s if s > 0 else 0.0 for b, s in zip(self.lost, self.p_c, strict=True)
        ]
        self.size = retain.shape[1]

    def norm(self, c: int, t: float) -> float:
        return float(np.sum(np.where(self.p[c] > 0, self.p[c], 1) ** (1 / t) * self.f[c]))

    def oracle(self, c: int) -> np.ndarray:
        whole = np.where(self.p[c] > 0, self.p[c], 1) ** (1 / self.t) * self.f[c]
        return whole / whole.sum()

    @property
    def contexts(self) -> list[int]:
        return [int(c) for c in np.flatnonzero(self.mixed)]

    def of_risk(self, delta: float, t: float) -> float:
        """R_t."""
        r = max(2.0, t)
        dual = r / (r - 1)
        first = second = 0.0
        for c in self.contexts:
            peak = max(self.q[c]) * self.shares[c]
            first += self.p_c[c] * (peak ** (1 / t) / self.norm(c, t)) ** 2
            second += self.p_c[c] * (peak * self.size ** (1 - 1 / t) / self.norm(c, t)) ** dual
        whole = math.sqrt(delta / 2 * first) + (delta / 2) ** (1 / r) * second ** (1 / dual)
        return whole / self.gamma

    def errors(self, delta: float, tau: float, below: float) -> tuple[float, float]:
        mixed, gamma, t = self.contexts, self.gamma, self.t
        star = np.concatenate(
            [self.p_c[c] * self.p[c] * self.f[c] * (1 - self.f[c]) for c in mixed]
        )
        gap = min(math.sqrt(delta / 2), math.sqrt(2 * star.sum() * delta) + delta)
        gated = sum(self.kept[c] for c in mixed if self.shares[c] > below)
        gated = min(1.0, gated + gap / ((1 - gamma) * (tau - below)))
        spread = sum(self.kept[c] * math.log(1 / (1 - self.shares[c])) for c in mixed)
        cheap = (1 - 1 / t) * (gated * math.log(self.size) + spread)
        bias = sum(self.kept[c] * kl(self.r[c], self.oracle(c)) for c in mixed)
        variance = 0.0
        for c in mixed:
            p = self.p[c][self.p[c] > 0]
            u = (1 - self.shares[c]) * p ** (1 / t - 1) / self.norm(c, t)
            variance += self.p_c[c] * float(np.sum(p * (u - 1) ** 2)) / (1 - gamma) ** 2
        retain = min(cheap, bias) + delta / (1 - gamma) + math.sqrt(variance * delta / 2)
        tempered = sum(
            self.lost[c] * float(np.sum(self.q[c] * np.abs(self.r[c] - self.oracle(c))))
            for c in mixed
        )
        peaks = [max(q) for q in self.q]
        pure = sum(self.lost[c] * peaks[c] for c in range(len(peaks)) if c not in mixed)
        missed = min(self.of_risk(delta, 1.0), 2 * max(peaks) * min(1.0, (tau + gap) / gamma))
        return retain, min(1.0, pure + tempered + self.of_risk(delta, t) + missed)


@pytest.mark.parametrize("temperature", [1.0, 1.5, 2.0, 4.0])
@pytest.mark.parametrize("name", CASES)
def test_both_errors_are_those_of_the_formulas(name, temperature):
    retain, forget, gamma = CASES[name]
    retain, forget = np.asarray(retain, float), np.asarray(forget, float)
    plain, m = Plain(retain, forget, gamma, temperature), ContextMixture(retain, forget, gamma)
    for delta in (0.0, 1e-6, 1e-3, 0.02, 1.0):
        for tau, below in ((0.5, 0.0), (0.5, 0.4), (0.02, 0.0), (0.9, 0.89)):
            found = gated_error_bounds(m, delta, temperature, tau, below)
            # sums of a dozen terms and differences of numbers of order one
            wanted = pytest.approx(plain.errors(delta, tau, below), rel=1e-12, abs=1e-15)
            assert tuple(found) == wanted, (delta, tau, below)


def test_each_part_is_the_least_somewhere():
    """So that the test above sees all of them: the minima of both sides, and the cap at 1."""
    cheaper = crude = capped = 0
    for retain, forget, gamma in CASES.values():
        m = ContextMixture(retain, forget, gamma)
        few = [gated_error_bounds(m, 1e-6, 2.0, 0.5, below).retain_error for below in (0.0, 0.499)]
        cheaper += few[0] != few[1]
        crude += gated_error_bounds(m, 1e-3, 2.0, 0.02) != gated_error_bounds(m, 1e-3, 2.0, 0.5)
        capped += gated_error_bounds(m, 1.0, 2.0).forget_error == 1.0
    assert min(cheaper, crude, capped) > 0


def tensor(x, **options):
    return torch.tensor(x, dtype=torch.float64, **options)


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad")
@pytest.mark.parametrize(
    "array", [array_api_strict.asarray, tensor, partial(tensor, requires_grad=True)]
)
def test_other_libraries_give_the_same(array):
    retain, forget, gamma = CASES["some empty"]
    theirs = ContextMixture(array(retain), array(forget), gamma)
    ours = ContextMixture(retain, forget, gamma)
    found = gated_error_bounds(theirs, 0.001, 3.0)
    # another library's exponentials and sums: a few roundings
    assert tuple(found) == pytest.approx(tuple(gated_error_bounds(ours, 0.001, 3.0)), rel=1e-13)
