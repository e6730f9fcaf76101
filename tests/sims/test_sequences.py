"""Sequence models: their laws are those of their definitions."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from sims.sequences import hidden_markov, memorised, ngram, refuse_large
from t3theory.exceptions import AssumptionError


@pytest.mark.parametrize("order", [2, 3])
def test_ngram_remembers_so_far_and_no_farther(order):
    law = ngram(3, 5, order, np.random.default_rng(0))
    after = law.sum(axis=4)  # prefixes of four
    conditional = law.sum(axis=0) / law.sum(axis=(0, 4))[..., None]
    full = law / after[..., None]
    if order == 2:
        # The last symbol given all before depends on one of them only.
        assert full == pytest.approx(np.broadcast_to(conditional[0, 0], full.shape), rel=1e-12)
    else:
        assert full == pytest.approx(np.broadcast_to(conditional[0], full.shape), rel=1e-12)
        assert np.ptp(conditional[0, :, 0, 0]) > 1e-3, "and on more than one"


def test_hidden_markov_sums_over_its_paths():
    vocabulary, length = 4, 3
    generator = np.random.default_rng(3)
    law = hidden_markov(vocabulary, length, np.random.default_rng(3))
    start = generator.dirichlet(np.ones(2))
    step = generator.dirichlet(np.full(2, 0.3), size=2)
    speak = generator.dirichlet(np.full(vocabulary, 0.3), size=2)
    for word in [(0, 0, 0), (1, 2, 3), (3, 3, 1)]:
        total = 0.0
        for path in product(range(2), repeat=length):
            p = start[path[0]] * speak[path[0], word[0]]
            for t in range(1, length):
                p *= step[path[t - 1], path[t]] * speak[path[t], word[t]]
            total += p
        # Eight paths, a handful of products each.
        assert law[word] == pytest.approx(total, rel=1e-13)


@pytest.mark.parametrize("source", ["bigram", "trigram", "hidden_markov"])
def test_memorised_are_few_and_equal(source):
    text = memorised(4, 4, 5, 0.1, np.random.default_rng(0), source)
    assert sorted(set(text.forget.ravel())) == [0, 0.2]
    assert text.retain.sum() == pytest.approx(1, abs=1e-14)
    assert text.forget_density_sup == pytest.approx(4**4 / 5, rel=1e-15)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((10, 8, 1), "vocabulary.length must be at most"),
        ((2, 10**9, 1), "vocabulary.length must be at most"),
        ((2, 3, 9), "memorised must be at most vocabulary.length = 8"),
        ((2, 3, 0), "memorised must be at least 1"),
        ((0, 3, 1), "vocabulary must be at least 1"),
        ((2, 2.5, 1), "length must be a whole number"),
    ],
)
def test_too_many_are_refused(arguments, words):
    with pytest.raises(AssumptionError, match=words):
        refuse_large(*arguments)


def test_wrong_arguments_of_chains_are_named():
    generator = np.random.default_rng(0)
    for make, symbol in (
        (lambda: ngram(0, 3, 2, generator), "vocabulary"),
        (lambda: ngram(3, 3, 0, generator), "order"),
        (lambda: hidden_markov(3, 0, generator), "length"),
        (lambda: memorised(3, 3, 1, 7.0, generator), "gamma"),
    ):
        with pytest.raises(AssumptionError, match=f"^{symbol} must"):
            make()


def test_unknown_source():
    with pytest.raises(AssumptionError, match="source must be bigram"):
        memorised(2, 2, 1, 0.1, np.random.default_rng(0), "oracle")
