"""The theory's world from a language model's distributions."""

from __future__ import annotations

import numpy as np
import pytest

from llm.encoding import encode_pair
from llm.head import LowRankHead
from llm.spike import SPIKES, Contexts, forget_contexts, measure_spike


@pytest.fixture(scope="module")
def contexts():
    rng = np.random.default_rng(0)

    def law(scale):
        logits = scale * rng.normal(size=(5, 40))
        return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))

    retain, full = law(1.0), law(6.0)
    # A head that knows something: retain where the retain model's probability is the higher.
    return Contexts(retain, full, retain - full + rng.normal(size=(5, 40)))


@pytest.mark.parametrize("temperature", [1.0, 1.5, 3.0])
@pytest.mark.parametrize("spike", SPIKES)
def test_no_mean_error_is_above_its_mean_bound(contexts, spike, temperature):
    values = measure_spike(contexts, 0.2, spike, temperature)
    compared = [name for name in values if "_upper_" in name]
    assert {name[-1] for name in compared} >= ({"B", "C"} if temperature == 1 else {"G", "H"})
    for name in compared:
        # Sums of forty terms in double precision.
        assert values[name.split("_upper_")[0]] <= values[name] * (1 + 1e-9)


def test_a_hotter_spike_is_flatter(contexts):
    heights = [measure_spike(contexts, 0.2, spike, 1.0)["h"] for spike in SPIKES]
    assert heights == sorted(heights, reverse=True)
    assert 1 < heights[-1] < heights[0] <= 40


def test_the_bayes_classifier_recovers_the_retain_law(contexts):
    """Log-odds at balanced classes log p_r/p_f: after the prior's correction f is f*, and T = 1 exact."""
    bayes = Contexts(*contexts[:2], contexts.log_retain - contexts.log_full)
    values = measure_spike(bayes, 0.2, 1.0, 1.0)
    # Rounding of forty-term sums, times densities of at most 40.
    assert values["excess_risk"] == pytest.approx(0, abs=1e-12)
    assert values["retain_error"] == pytest.approx(0, abs=1e-12)
    assert values["forget_error"] == pytest.approx(0, abs=1e-10)


def test_contexts_are_normalised_and_few(tiny_llama, other_llama, tiny_tokenizer, tiny_data):
    rows = [encode_pair(tiny_tokenizer, r["question"], r["answer"]) for r in tiny_data.forget]
    found = forget_contexts(tiny_llama, other_llama, rows, LowRankHead(32, 2, 400), 8)
    assert all(part.shape == (64, 400) for part in found)
    for part in found[:2]:
        # float64 sums of 400 terms.
        assert np.exp(part).sum(axis=1) == pytest.approx(np.ones(64), rel=1e-12)
