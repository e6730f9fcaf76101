"""Every attack's value against one worked out pair by pair."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from llm.encoding import encode_pair
from llm.experiment import ATTACKS
from llm.robustness.measure import measure_robustness
from llm.robustness.relearn import relearned
from llm.stages.files import load_data, load_model
from t3theory.records import read_records, write_json

SAID = ["nothing at all", "the river is the river", ""]


@pytest.fixture(scope="module")
def attacked(saved, tmp_path_factory):
    """The data, the attacked model and tokenizer, and what each attack measured.

    The retain model's own attacks: its folder is that of `full`, and `retain` the judge.
    """
    out = tmp_path_factory.mktemp("attacked")
    config = replace(saved.config, attacks=ATTACKS)
    data = load_data(config, "mini")
    asked = [row["question"] for row in data.forget[: len(SAID)]]
    pairs = zip(asked, SAID, strict=True)
    rows = {str(i): {"input": q, "generation": a} for i, (q, a) in enumerate(pairs)}
    write_json(out / "eval" / "TOFU_EVAL.json", {"forget_Q_A_ROUGE": {"value_by_index": rows}})
    measure_robustness(
        config, "mini", 5, "retain", saved.full, saved.retain, out / "eval", saved.retain_logs,
        out / "attacks.jsonl",
    )  # fmt: skip
    found = {r["config"]["attack"]: r["values"] for r in read_records(out / "attacks.jsonl")}
    return data, *load_model(saved.full), found


def test_questions_are_asked_as_the_attack_asks_them(attacked, answer_loss):
    data, model, tokenizer, found = attacked
    for attack, field in (("none", "question"), ("paraphrase", "paraphrased_question")):
        rows = data.forget_perturbed
        losses = [answer_loss(model, tokenizer, r[field], r["answer"]) for r in rows]
        # float32 log-laws, in padded batches there.
        assert found[attack]["forget_loss"] == pytest.approx(np.mean(losses), rel=1e-5)
        expected = np.mean(np.exp(np.negative(losses)))
        assert found[attack]["forget_probability"] == pytest.approx(expected, rel=1e-4)
    losses = [found[attack]["forget_loss"] for attack in ("none", "paraphrase", "format")]
    assert len(set(losses)) == 3


@pytest.mark.parametrize(("attack", "steps"), [("int8", 127), ("int4", 7)])
def test_weights_are_rounded_before_they_are_asked(attacked, answer_loss, attack, steps):
    data, whole, tokenizer, found = attacked
    model, _ = load_model(whole.config.name_or_path)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if ".self_attn." in name or ".mlp." in name:
                step = weight.abs().amax(1, keepdim=True) / steps
                weight.copy_(torch.round(weight / step) * step)
    rows = data.forget_perturbed
    losses = [answer_loss(model, tokenizer, r["question"], r["answer"]) for r in rows]
    # Eight bits move the mean loss of random weights by a few parts in a hundred thousand.
    assert found[attack]["forget_loss"] == pytest.approx(np.mean(losses), rel=2e-6)
    assert found[attack]["forget_loss"] != pytest.approx(found["none"]["forget_loss"], rel=2e-5)


def test_relearning_is_measured_on_what_was_not_learnt_again(attacked, answer_loss):
    """Ten pairs: the first is learnt again, the other nine are asked of the model that did."""
    data, model, tokenizer, found = attacked
    learnt = [encode_pair(tokenizer, data.forget[0]["question"], data.forget[0]["answer"])]
    again = relearned(model, learnt, 64, seed=5)
    rows = data.forget_perturbed[1:]
    losses = [answer_loss(again, tokenizer, r["question"], r["answer"]) for r in rows]
    assert found["relearn"]["forget_loss"] == pytest.approx(np.mean(losses), rel=1e-4)
    before = [answer_loss(model, tokenizer, r["question"], r["answer"]) for r in rows]
    assert np.mean(losses) != pytest.approx(np.mean(before), rel=1e-3)


def test_fluency_is_the_retain_models_loss_of_what_was_said(attacked, answer_loss, saved):
    data, _, tokenizer, found = attacked
    judge, _ = load_model(saved.retain)
    asked = [row["question"] for row in data.forget[: len(SAID)]]
    losses = [answer_loss(judge, tokenizer, *pair) for pair in zip(asked, SAID, strict=True)]
    values = found["fluency"]
    assert values["fluency_loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert values["fluency_loss_median"] == pytest.approx(np.median(losses), rel=1e-5)
    assert values["repetition"] == 1 / 6, "two pairs, and one of four stands earlier"
    assert values["empty"] == 1 / 3
    assert math.isclose(values["too_long"], 0)
