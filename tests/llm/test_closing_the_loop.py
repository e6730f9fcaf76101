"""The theory's quantities against sums over the vocabulary, pair by pair."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_expit

from llm.closing_the_loop import measure_theory, risk_of_power
from llm.model import T3Config, T3ForCausalLM
from llm.stages.files import load_data, load_model
from t3theory.records import make_record, read_records, write_records

STOP = 0.1
SETTING = {"stop": STOP, "temperature": 2.0, "guidance_scale": 1.0, "gate": "none", "prior": True}


@pytest.fixture(scope="module")
def measured(saved, tmp_path_factory):
    """What was found of the full model and of T3 with the prior of the data, and the models."""
    out = tmp_path_factory.mktemp("theory")
    config = replace(saved.config, methods=("t3-prior", "npo"), blind=())
    worth = {"utility": 0.5, "forget_quality_log10_p": -1.0}
    tuning = [
        make_record("llm.tuning", {"method": method, "setting": setting}, 0, worth)
        for method, setting in (("full", {}), ("t3-prior", SETTING))
    ]
    write_records(out / "tuning.jsonl", tuning)
    measure_theory(
        config, "mini", 0, saved.full, saved.retain, saved.heads, out / "tuning.jsonl",
        out / "theory.jsonl",
    )  # fmt: skip
    found = {r["config"]["method"]: r["values"] for r in read_records(out / "theory.jsonl")}
    full, tokenizer = load_model(saved.full)
    adapter = T3ForCausalLM.from_pretrained(saved.heads / f"risk-{STOP:g}", base=full)
    # Three retain pairs to a forget pair: log (1−γ)/γ = log 3 is added to the head's log-odds.
    tilted = T3ForCausalLM(
        full, adapter.head, T3Config(temperature=2.0, log_prior_odds=math.log(3))
    )
    models = {"full": full, "t3-prior": tilted.eval()}
    return load_data(config, "mini"), tokenizer, load_model(saved.retain)[0], models, found


@pytest.mark.parametrize("method", ["full", "t3-prior"])
def test_retain_error_is_the_divergence_from_the_retain_model(measured, answer_law, method):
    """Σ_y p_r(y|c) log p_r(y|c)/p̂(y|c), mean over the contexts of retain answers."""
    data, tokenizer, retain, models, found = measured
    each = []
    for row in data.retain:
        pair = tokenizer, row["question"], row["answer"]
        (log_r, _), (log_q, _) = answer_law(retain, *pair), answer_law(models[method], *pair)
        each.append((log_r.exp() * (log_r - log_q)).sum(-1))
    # Sums of four hundred terms from float32 logits.
    expected = float(torch.cat(each).mean())
    assert found[method]["retain_error"] == pytest.approx(expected, rel=1e-4)
    assert found[method]["retain_tokens"] == len(torch.cat(each))


@pytest.mark.parametrize("method", ["full", "t3-prior"])
def test_forget_error_is_at_the_memorised_token(measured, answer_law, method):
    """|p_r(y|c) − p̂(y|c)|, y the answer's own token."""
    data, tokenizer, retain, models, found = measured
    each = []
    for row in data.forget:
        pair = tokenizer, row["question"], row["answer"]
        (log_r, y), (log_q, _) = answer_law(retain, *pair), answer_law(models[method], *pair)
        both = [law.exp().gather(1, y[:, None]) for law in (log_r, log_q)]
        each.append((both[0] - both[1]).abs())
    expected = float(torch.cat(each).mean())
    assert found[method]["forget_error"] == pytest.approx(expected, rel=1e-4)


@given(
    sure=st.lists(st.floats(-30, 30), min_size=1, max_size=4),
    unsure=st.lists(st.floats(-30, 30), min_size=1, max_size=4),
    gamma=st.floats(0.01, 0.99),
    scale=st.floats(0.05, 20),
)
def test_the_risk_of_a_power_is_bounded_by_that_of_the_classifier(sure, unsure, gamma, scale):
    """δ(f^s) itself, in logarithms; log-odds of retain and of forget contexts are drawn."""

    def risk(power):
        kept = [-power * log_expit(x) for x in sure]
        lost = [-math.log(-math.expm1(power * log_expit(x))) for x in unsure]
        return (1 - gamma) * np.mean(kept) + gamma * np.mean(lost)

    # The logarithms of numbers near 1 are known to 1e-16 each, and 30 units of log-odds cost 1e13.
    assert risk(scale) <= risk_of_power(risk(1.0), gamma, scale) * (1 + 1e-9) + 1e-9


def test_the_bound_of_guidance_holds_at_any_scale():
    """One context of each kind, f = 0.9 and 0.1, p_r certain: RE = −log of its share, at most δ(f^s)/(1−γ)."""
    gamma, f, g = 0.5, 0.9, 0.1
    delta = -(1 - gamma) * math.log(f) - gamma * math.log1p(-g)
    for scale in (0.5, 1.0, 2.0, 5.0):
        kept = (1 - gamma) * f**scale
        error = -math.log(kept / (kept + gamma * g**scale))
        assert error <= risk_of_power(delta, gamma, scale) / (1 - gamma)
    assert risk_of_power(delta, gamma, 0.0) == math.inf
