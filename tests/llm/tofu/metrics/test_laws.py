"""Small cases computed by hand, and laws that hold for all inputs."""

from __future__ import annotations

import math
import warnings
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import ks_2samp

from llm.tofu.metrics import (
    closeness_to_one,
    exact_memorization,
    extraction_strength,
    forget_quality,
    membership_auc,
    min_k_score,
    model_utility,
    normalised_probability,
    privacy_leakage,
    probability,
    rouge,
    true_better,
    truth_ratio,
)
from llm.tofu.metrics.forget_quality import log_ks_tail
from t3theory.exceptions import AssumptionError, InputError

losses = st.floats(0.0, 20.0)
shares = st.floats(0.0, 1.0)
hits = st.lists(st.booleans(), min_size=1, max_size=12)
# A handful of float64 operations on numbers of moderate size.
ROUNDING = 1e-12


def loss_table(k: int) -> st.SearchStrategy[tuple[np.ndarray, np.ndarray]]:
    return st.integers(1, 6).flatmap(
        lambda n: st.tuples(
            arrays(float, n, elements=losses), arrays(float, (n, k), elements=losses)
        )
    )


# ---- truth ratio and probability ------------------------------------------------------------


def test_truth_ratio_by_hand() -> None:
    correct, wrong = [math.log(2)], [[math.log(4), math.log(16)]]  # 1/2 against 1/4 and 1/16
    assert truth_ratio(correct, wrong, "tofu") == pytest.approx([1 / 4])  # geometric mean 1/8
    assert truth_ratio(correct, wrong, "arithmetic") == pytest.approx([5 / 16])
    assert truth_ratio(correct, wrong) == pytest.approx([1 / 8 / (1 / 2 + 1e-10)], rel=1e-15)
    assert truth_ratio(correct, wrong, "prob-mean") == pytest.approx([4 / 5])


@given(loss_table(4))
def test_variants_are_ordered(table: tuple[np.ndarray, np.ndarray]) -> None:
    tofu, own, mean = (truth_ratio(*table, v) for v in ("tofu", "open-unlearning", "arithmetic"))
    assert np.all(own <= tofu)  # the 1e-10 only lowers it
    assert np.all(tofu <= mean * (1 + ROUNDING))  # geometric ≤ arithmetic


@given(loss_table(1))
def test_variants_agree_on_one_wrong_answer(table: tuple[np.ndarray, np.ndarray]) -> None:
    tofu, mean, share = (truth_ratio(*table, v) for v in ("tofu", "arithmetic", "prob-mean"))
    assert mean == pytest.approx(tofu, rel=ROUNDING)
    epsilon = 1e-10 / (np.exp(-table[0]) + np.exp(-table[1][:, 0]))
    assert share * (1 + tofu) == pytest.approx(1 / (1 + epsilon), rel=1e-9)


@given(loss_table(3), st.floats(-5.0, 5.0))
def test_ratio_does_not_see_a_common_shift(
    table: tuple[np.ndarray, np.ndarray], shift: float
) -> None:
    correct, wrong = table
    moved = truth_ratio(correct + shift, wrong + shift, "tofu")
    assert moved == pytest.approx(truth_ratio(correct, wrong, "tofu"), rel=1e-11)


def test_an_impossible_answer_is_infinitely_wrong_without_epsilon() -> None:
    assert truth_ratio([1000.0], [[0.0]], "tofu") == [np.inf]
    assert truth_ratio([1000.0], [[0.0]]) == pytest.approx([1e10])
    assert closeness_to_one([np.inf, 0.0]) == 0.0


@given(arrays(float, 5, elements=st.floats(1e-6, 1e6)))
def test_closeness_is_symmetric(ratios: np.ndarray) -> None:
    assert closeness_to_one(ratios) == pytest.approx(closeness_to_one(1 / ratios), rel=ROUNDING)
    assert 0 < closeness_to_one(ratios) <= 1
    assert 0 <= true_better(ratios) < 1


def test_unknown_variant() -> None:
    unknown: Any = "geometric"
    with pytest.raises(InputError, match="truth ratio variant 'geometric': expected open-unl"):
        truth_ratio([1.0], [[1.0]], unknown)


@given(loss_table(3))
def test_normalised_probability_is_a_share(table: tuple[np.ndarray, np.ndarray]) -> None:
    correct, wrong = table
    everyone = np.column_stack([correct, wrong])
    others = [np.delete(everyone, j, axis=1) for j in range(4)]
    shares_ = [normalised_probability(everyone[:, j], others[j], 0.0) for j in range(4)]
    assert np.sum(shares_, axis=0) == pytest.approx(np.ones(len(correct)), rel=ROUNDING)
    assert np.all(normalised_probability(correct, wrong) <= shares_[0])


@given(arrays(float, 4, elements=losses))
def test_probability_inverts_the_loss(loss: np.ndarray) -> None:
    assert -np.log(probability(loss)) == pytest.approx(loss, abs=ROUNDING)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: probability([]), r"loss must be a list of at least one number, got \(0,\)"),
        (lambda: probability([1.0, math.nan]), r"loss\[1\] must be a number, got nan"),
        (lambda: truth_ratio([1.0], [1.0]), r"must have the shape \(1, k\)"),
        (lambda: truth_ratio([1.0, 2.0], [[1.0]]), r"must have the shape \(2, k\)"),
        (lambda: normalised_probability([1.0], [[math.nan]]), r"wrong_losses\[0, 0\]"),
        (lambda: forget_quality([1.0], []), "retain_truth_ratios must be a list"),
        (lambda: model_utility({}), "parts must be a list of at least one"),
        (lambda: model_utility({"a": 0.5, "b": -1.0}), r"parts\['b'\] must be ≥ 0, got -1"),
        (lambda: min_k_score([-1.0], k=0.0), r"k must lie in \(0, 1\], got 0"),
        (lambda: privacy_leakage(1.5, 0.5), r"auc must lie in \[0, 1\], got 1.5"),
        (lambda: privacy_leakage(0.5, math.nan), "retain_auc must lie in"),
    ],
)
def test_wrong_arguments(call: Any, message: str) -> None:
    with pytest.raises(AssumptionError, match=message):
        call()


# ---- forget quality -------------------------------------------------------------------------


def enumerated_tail(n: int, m: int, statistic: float) -> float:
    """P(D ≥ statistic) by going through every interleaving."""
    count = total = 0
    for places in combinations(range(n + m), n):
        first = np.isin(np.arange(n + m), places)
        gap = np.abs(np.cumsum(first) / n - np.cumsum(~first) / m).max()
        count += gap >= statistic - 1e-9  # gaps are fractions with denominators up to nm
        total += 1
    return count / total


@pytest.mark.parametrize(("n", "m"), [(1, 1), (3, 3), (4, 6), (5, 3), (2, 7)])
def test_tail_is_the_share_of_interleavings(n: int, m: int) -> None:
    reachable = sorted({abs(i / n - j / m) for i in range(n + 1) for j in range(m + 1)})
    for statistic in reachable:
        expected = math.log(enumerated_tail(n, m, statistic))
        assert log_ks_tail(n, m, statistic) == pytest.approx(expected, abs=ROUNDING)


def test_complete_separation_at_the_size_of_tofu() -> None:
    result = forget_quality(np.arange(400.0), np.arange(400.0) + 1000)
    exact = 2 / math.comb(800, 400)
    assert result.statistic == 1.0
    # scipy multiplies 400 factors
    assert result.p_value == pytest.approx(exact, rel=1e-9)
    assert result.log10_p == pytest.approx(math.log10(2) - math.log10(math.comb(800, 400)))


@pytest.mark.parametrize(("n", "m"), [(2000, 2000), (700, 900)])
def test_where_float64_ends_the_logarithm_goes_on(n: int, m: int) -> None:
    result = forget_quality(np.arange(float(n)), np.arange(float(m)) + 1e6)
    expected = math.log10(2) - math.log10(math.comb(n + m, n))
    assert expected < -308
    assert result.log10_p == pytest.approx(expected, rel=1e-10)
    assert result.p_value == pytest.approx(0.0, abs=1e-300)


@given(st.integers(0, 2**32 - 1), st.integers(2, 60), st.integers(2, 60), st.floats(0.0, 3.0))
def test_quality_is_the_exact_test(seed: int, n: int, m: int, shift: float) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.lognormal(size=n), rng.lognormal(shift, size=m)
    result = forget_quality(x, y)
    with warnings.catch_warnings(record=True) as gave_up:
        warnings.simplefilter("always", RuntimeWarning)
        theirs = ks_2samp(x, y, method="exact").pvalue
    if not gave_up:
        assert result.p_value == pytest.approx(theirs, rel=1e-12)
    assert 10**result.log10_p == pytest.approx(result.p_value, rel=1e-10)
    tail = log_ks_tail(n, m, result.statistic)
    # scipy's own sum for unequal sizes is good to about ten digits
    assert tail == pytest.approx(math.log(result.p_value), abs=1e-9)


def test_the_exact_value_where_scipy_gives_up() -> None:
    """At n = m = 5, D = 1/5 scipy's exact p exceeds 1 by rounding, and it turns to asymptotics."""
    x, y = [1.0, 3.0, 5.0, 7.0, 9.0], [2.0, 4.0, 6.0, 8.0, 10.0]
    assert forget_quality(x, y) == pytest.approx((1.0, 0.2, 0.0), abs=ROUNDING)


@given(st.integers(0, 2**32 - 1))
def test_quality_depends_on_ranks_alone(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.lognormal(size=30), rng.lognormal(0.7, size=40)
    base = forget_quality(x, y)
    for change in (np.log, np.reciprocal):
        moved = forget_quality(change(x), change(y))
        assert moved == pytest.approx(base, rel=ROUNDING)
    assert forget_quality(y, x).p_value == pytest.approx(base.p_value, rel=1e-9)


# ---- model utility --------------------------------------------------------------------------


@given(st.lists(st.floats(1e-3, 1.0), min_size=1, max_size=9))
def test_utility_lies_between_the_least_and_the_mean(values: list[float]) -> None:
    utility = model_utility({str(i): v for i, v in enumerate(values)})
    assert min(values) * (1 - ROUNDING) <= utility <= np.mean(values) * (1 + ROUNDING)


def test_utility_by_hand() -> None:
    assert model_utility({"a": 1.0, "b": 0.5, "c": 0.25}) == pytest.approx(3 / 7)
    assert model_utility({"a": 1.0, "b": 0.0}) == 0.0


# ---- what the model would say itself --------------------------------------------------------


def brute_force_strength(matches: list[bool]) -> float:
    kept = matches[:-1]
    if not kept:
        return 0.0
    k = next(k for k in range(len(kept) + 1) if all(kept[k:]))
    return 1 - k / len(kept)


@given(hits)
def test_extraction_strength_is_the_shortest_prefix(matches: list[bool]) -> None:
    exact = extraction_strength(matches, floor=False)
    assert exact == brute_force_strength(matches)
    n = len(matches) - 1
    assert extraction_strength(matches) == (max(exact, 1 - (n - 1) / n) if n else 0.0)


@given(hits)
def test_strength_never_exceeds_memorization(matches: list[bool]) -> None:
    assume(len(matches) > 1)
    strength = extraction_strength(matches, floor=False)
    assert strength <= exact_memorization(matches) + ROUNDING
    assert (strength == 1) == (exact_memorization(matches) == 1)


def test_memorization_of_nothing() -> None:
    assert math.isnan(exact_memorization([True]))
    assert extraction_strength([True]) == 0.0


# ---- membership -----------------------------------------------------------------------------


@given(st.lists(st.floats(-20.0, 0.0), min_size=2, max_size=12), st.floats(0.05, 1.0))
def test_min_k_looks_at_the_worst(log_probs: list[float], k: float) -> None:
    kept = log_probs[:-1]
    score = min_k_score(log_probs, k)
    assert -np.mean(kept) - ROUNDING <= score <= -min(kept) + ROUNDING
    assert min_k_score(log_probs, 1.0) == pytest.approx(-np.mean(kept), abs=ROUNDING)


def test_min_k_by_hand() -> None:
    assert min_k_score([-1.0, -5.0, -3.0, -2.0, -4.0, -100.0]) == 4.5  # 2 of 5: -5, -4
    assert min_k_score([-1.0, -5.0, -100.0], k=0.1) == 5.0  # at least one
    assert min_k_score([-100.0]) == 0.0


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=10),
    st.lists(st.integers(0, 6), min_size=1, max_size=10),
)
def test_auc_is_a_share_of_pairs(forget: list[int], holdout: list[int]) -> None:
    wins = [(a < b) + (a == b) / 2 for a in forget for b in holdout]
    assert membership_auc(forget, holdout) == pytest.approx(np.mean(wins), abs=ROUNDING)
    swapped = membership_auc(holdout, forget)
    assert swapped == pytest.approx(1 - membership_auc(forget, holdout), abs=ROUNDING)


@given(shares, shares)
def test_leakage_has_the_sign_of_the_difference(auc: float, retain_auc: float) -> None:
    leakage = privacy_leakage(auc, retain_auc)
    assert np.sign(leakage) == np.sign(retain_auc - auc)
    assert privacy_leakage(auc, auc) == 0.0


def test_leakage_of_the_extremes() -> None:
    assert privacy_leakage(1.0, 0.5) == pytest.approx(-100)  # remembered
    assert privacy_leakage(0.0, 0.5) == pytest.approx(100)  # forgotten beyond the retain model
    assert privacy_leakage(0.0, 0.99) == pytest.approx(9900)  # why a retain AUC near 1 explodes


def test_tensors_will_do() -> None:
    loss = torch.tensor([1.0, 2.0], dtype=torch.bfloat16, requires_grad=True)
    wrong = torch.tensor([[1.0], [3.0]])
    assert truth_ratio(loss, wrong) == pytest.approx(truth_ratio([1.0, 2.0], [[1.0], [3.0]]))
    assert forget_quality(loss, loss).p_value == 1.0
    hits_ = torch.tensor([True, False, True, True])
    assert exact_memorization(hits_) == 2 / 3
    assert extraction_strength(hits_) == pytest.approx(1 / 3)


# ---- rouge ----------------------------------------------------------------------------------

words = st.lists(
    st.sampled_from(["river", "stone", "lamp", "seven", "walked", "writes"]), max_size=8
)


@given(words, words)
def test_rouge_is_recall(prediction: list[str], target: list[str]) -> None:
    score = rouge(" ".join(prediction), " ".join(target))
    assert 0 <= score.rougeL_recall <= score.rouge1_recall <= 1
    longer = rouge(" ".join([*prediction, "and", "more"]), " ".join(target))
    assert longer.rougeL_recall >= score.rougeL_recall  # running on is not punished


def test_rouge_by_hand() -> None:
    score = rouge("the cats walked home", "a cat walks home")
    assert score == pytest.approx((3 / 4, 3 / 4, 3 / 4))  # the stemmer joins cats, walked
    assert rouge("home walked", "walked home").rougeL_recall == 0.5
    assert rouge("home walked", "walked home").rouge1_recall == 1.0
    assert rouge("", "walked") == (0.0, 0.0, 0.0)
