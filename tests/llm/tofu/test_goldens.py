"""The metrics reproduce what the original TOFU code made of four published models' logs."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm.tofu.metrics import (
    closeness_to_one,
    forget_quality,
    model_utility,
    normalised_probability,
    probability,
    rouge,
    true_better,
    truth_ratio,
)
from llm.tofu.metrics.forget_quality import log_ks_tail

MODELS = ("full", "retain90", "retain95", "retain99")
SETS = ("retain", "forget", "real_authors", "world_facts")

# The goldens were computed in float64 from the same float64 losses; only the order of the
# operations may differ.
COMPONENT = 1e-12
# The exact test multiplies hundreds of factors.
P_VALUE = 1e-9

Logs = dict[str, dict[str, dict[str, Any]]]


@pytest.fixture(scope="session")
def goldens(shared: Path) -> dict[str, Any]:
    return json.loads((shared / "tofu_goldens" / "goldens.json").read_text())


@pytest.fixture(scope="session")
def logs(shared: Path) -> dict[str, Logs]:
    def read(model: str) -> Logs:
        with gzip.open(shared / "tofu_goldens" / f"phi_{model}.json.gz", "rt") as file:
            return json.load(file)

    return {model: read(model) for model in MODELS}


def column(log: Logs, name: str, field: str) -> np.ndarray:
    return np.array(list(log[name][field].values()))


def components(log: Logs, name: str, variant: str) -> dict[str, float]:
    answer = column(log, name, "avg_gt_loss")
    wrong = column(log, name, "average_perturb_loss")
    ratio = truth_ratio(column(log, name, "avg_paraphrased_loss"), wrong, variant)
    plain = name in ("retain", "forget")
    chance = probability(answer) if plain else normalised_probability(answer, wrong, epsilon=0)
    return {
        "probability": float(chance.mean()),
        "rougeL_recall": float(column(log, name, "rougeL_recall").mean()),
        "truth_ratio": closeness_to_one(ratio) if name == "forget" else true_better(ratio),
    }


@pytest.mark.parametrize(
    ("ours", "theirs"), [("tofu", "aggregate_eval_stat"), ("arithmetic", "utils")]
)
@pytest.mark.parametrize("model", MODELS)
def test_components_and_utility(
    model: str, ours: str, theirs: str, goldens: dict[str, Any], logs: dict[str, Logs]
) -> None:
    golden = goldens["models"][model][theirs]
    measured = {name: components(logs[model], name, ours) for name in SETS}
    for name in SETS:
        expected = {key: golden["components"][name][key] for key in measured[name]}
        assert measured[name] == pytest.approx(expected, rel=COMPONENT)
    nine = {f"{s}/{k}": v for s in SETS if s != "forget" for k, v in measured[s].items()}
    assert len(nine) == 9
    assert model_utility(nine) == pytest.approx(golden["model_utility"], rel=COMPONENT)


def test_forget_quality(goldens: dict[str, Any], logs: dict[str, Logs]) -> None:
    ratios = {
        model: truth_ratio(
            column(log, "forget", "avg_paraphrased_loss"),
            column(log, "forget", "average_perturb_loss"),
            "tofu",
        )
        for model, log in logs.items()
    }
    checked = 0
    for pair, golden in goldens["forget_quality"].items():
        a, b = pair.split("_vs_")
        result = forget_quality(ratios[a], ratios[b])
        assert result.p_value == pytest.approx(golden["ks_p_value"], rel=P_VALUE)
        assert result.statistic == pytest.approx(golden["ks_statistic_D"], rel=COMPONENT)
        assert result.log10_p == pytest.approx(golden["log10_p"], rel=P_VALUE)
        tail = log_ks_tail(golden["n_first"], golden["n_second"], result.statistic)
        assert tail / math.log(10) == pytest.approx(golden["log10_p"], rel=P_VALUE, abs=P_VALUE)
        checked += 1
    assert checked >= 4


def test_rouge_of_generated_texts(logs: dict[str, Logs]) -> None:
    checked = 0
    for name in SETS:
        for i, (_, generated, truth) in logs["full"][name]["generated_text"].items():
            score = rouge(generated, truth)
            assert score.rougeL_recall == logs["full"][name]["rougeL_recall"][i]
            assert score.rouge1_recall == logs["full"][name]["rouge1_recall"][i]
            checked += 1
    assert checked == 240
