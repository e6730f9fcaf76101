"""The whole evaluation on a tiny random model."""

from __future__ import annotations

import copy
import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import hmean, ks_2samp

from llm.head import LowRankHead
from llm.model import T3Config, T3ForCausalLM
from llm.tofu import metrics
from llm.tofu.data import TofuData
from llm.tofu.evaluate import evaluate
from llm.tofu.logs import (
    evaluation_key,
    model_hash,
    read_retain_logs,
    stored_evaluation,
    summary,
    write_logs,
)
from t3theory.exceptions import InputError

# open-unlearning's names, as its own evaluation files have them.
NAMES = {
    *(f"{p}_Q_A_{k}" for p in ("forget", "retain") for k in ("Prob", "PARA_Prob", "PERT_Prob")),
    *(f"{p}_Q_A_{k}" for p in ("ra", "wf") for k in ("Prob", "PERT_Prob", "Prob_normalised")),
    *(f"{p}_Q_A_ROUGE" for p in ("forget", "retain", "ra", "wf")),
    *(f"{p}_Truth_Ratio" for p in ("retain", "ra", "wf")),
    *("forget_truth_ratio", "model_utility", "extraction_strength", "exact_memorization"),
    "mia_min_k",
}
COMPARED = {"forget_quality", "forget_quality_statistic", "forget_quality_log10_p", "privleak"}

# Results are means of float32 losses summed in another order when batches differ.
ROUNDING = 1e-4


def run(model: Any, tokenizer: Any, data: TofuData, **kwargs: Any) -> dict[str, Any]:
    return evaluate(model, tokenizer, data, max_new_tokens=4, progress=False, **kwargs)


@pytest.fixture
def retain(other_llama: Any, tiny_tokenizer: Any, tiny_data: TofuData) -> dict[str, Any]:
    return run(other_llama, tiny_tokenizer, tiny_data)


@pytest.fixture
def found(
    tiny_llama: Any, tiny_tokenizer: Any, tiny_data: TofuData, retain: dict[str, Any]
) -> dict[str, Any]:
    return run(tiny_llama, tiny_tokenizer, tiny_data, retain_logs=retain)


def test_layout(found: dict[str, Any], tiny_data: TofuData) -> None:
    assert set(found) == NAMES | COMPARED | {"provenance"}
    n = len(tiny_data.forget)
    for name in ("forget_Q_A_Prob", "forget_truth_ratio", "forget_Q_A_ROUGE", "exact_memorization"):
        assert list(found[name]["value_by_index"]) == [str(i) for i in range(n)]
    assert len(found["forget_Q_A_PERT_Prob"]["value_by_index"]["0"]["avg_loss"]) == 5
    assert found["forget_Q_A_ROUGE"]["value_by_index"]["0"].keys() == {
        *("rouge1_recall", "rougeL_f1", "rougeL_recall", "input", "ground_truth", "generation")
    }
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_aggregates_follow_from_the_rows(found: dict[str, Any], retain: dict[str, Any]) -> None:
    rows = found["forget_truth_ratio"]["value_by_index"].values()
    ratios = np.array([row["score"] for row in rows])
    para = [r["avg_loss"] for r in found["forget_Q_A_PARA_Prob"]["value_by_index"].values()]
    pert = [r["avg_loss"] for r in found["forget_Q_A_PERT_Prob"]["value_by_index"].values()]
    assert ratios == pytest.approx(
        np.exp(-np.mean(pert, axis=1)) / (np.exp(-np.array(para)) + 1e-10)
    )
    assert found["forget_truth_ratio"]["agg_value"] == pytest.approx(
        np.minimum(ratios, 1 / (ratios + 1e-10)).mean()
    )
    theirs = [row["score"] for row in retain["forget_truth_ratio"]["value_by_index"].values()]
    assert found["forget_quality"]["agg_value"] == pytest.approx(ks_2samp(ratios, theirs).pvalue)
    nine = [
        found[f"{p}_{k}"]["agg_value"]
        for p in ("retain", "ra", "wf")
        for k in (
            "Q_A_Prob" if p == "retain" else "Q_A_Prob_normalised",
            "Q_A_ROUGE",
            "Truth_Ratio",
        )
    ]
    assert found["model_utility"]["agg_value"] == pytest.approx(hmean(nine))


def test_a_model_against_itself(
    retain: dict[str, Any], other_llama: Any, tiny_tokenizer: Any, tiny_data: TofuData
) -> None:
    same = run(other_llama, tiny_tokenizer, tiny_data, retain_logs=retain)
    assert same["forget_quality"]["agg_value"] == 1.0
    assert same["forget_quality_statistic"]["agg_value"] == 0.0
    assert same["privleak"]["agg_value"] == 0.0


def test_without_retain_logs(
    tiny_llama: Any, tiny_tokenizer: Any, tiny_data: TofuData, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="llm.tofu.evaluate"):
        found = run(tiny_llama, tiny_tokenizer, tiny_data)
    assert not COMPARED & set(found)
    assert "forget_quality and privleak are not reported" in caplog.text


def test_batch_size_changes_nothing(
    tiny_llama: Any, tiny_tokenizer: Any, tiny_data: TofuData, retain: dict[str, Any]
) -> None:
    small, large = (
        run(tiny_llama, tiny_tokenizer, tiny_data, retain_logs=retain, batch_size=b)
        for b in (3, 64)
    )
    assert summary(small) == pytest.approx(summary(large), rel=ROUNDING)
    assert small["provenance"]["key"] == large["provenance"]["key"]


def test_logs_round_trip(found: dict[str, Any], tmp_path: Path) -> None:
    write_logs(found, tmp_path / "deep" / "folder")
    folder = tmp_path / "deep" / "folder"
    assert {p.name for p in folder.iterdir()} == {"TOFU_EVAL.json", "TOFU_SUMMARY.json"}
    assert read_retain_logs(folder) == read_retain_logs(folder / "TOFU_EVAL.json") == found
    said = json.loads((folder / "TOFU_SUMMARY.json").read_text())
    assert said == {name: found[name]["agg_value"] for name in NAMES | COMPARED}
    key = found["provenance"]["key"]
    assert stored_evaluation(folder, key) == found
    assert stored_evaluation(folder, "another") is None
    (folder / "TOFU_EVAL.json").write_text('{"provenance": {"key"')
    assert stored_evaluation(folder, key) is None


def test_retain_logs_of_open_unlearning(
    tiny_llama: Any, tiny_tokenizer: Any, tiny_data: TofuData, tmp_path: Path
) -> None:
    """Its files have indices as text, metrics of other benchmarks, and no provenance."""
    ratios = {str(i): {"score": 0.5 + i / 100} for i in range(len(tiny_data.forget))}
    theirs = {
        "forget_truth_ratio": {"agg_value": 0.6, "value_by_index": ratios},
        "forget_Q_A_gibberish": {"agg_value": 0.9, "value_by_index": {}},
        "mia_min_k": {"agg_value": 0.4, "auc": 0.4, "forget": {}, "holdout": {}},
    }
    path = tmp_path / "TOFU_EVAL.json"
    path.write_text(json.dumps(theirs, indent=4))
    found = run(tiny_llama, tiny_tokenizer, tiny_data, retain_logs=path)
    expected = metrics.privacy_leakage(found["mia_min_k"]["agg_value"], 0.4)
    assert found["privleak"]["agg_value"] == expected
    assert 0 <= found["forget_quality"]["agg_value"] <= 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "No such file"),
        ("{", "not readable as JSON"),
        ("[1]", "expected a JSON object of metrics, got list"),
        ('{"forget_truth_ratio": 0.6}', "with a score for each row; a summary has none"),
        ('{"forget_truth_ratio": {"value_by_index": {"0": {"score": null}}}}', "score for each"),
        ('{"forget_truth_ratio": {"value_by_index": {}}}', "has no rows"),
    ],
)
def test_unusable_retain_logs(text: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "TOFU_EVAL.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_retain_logs(path)
    assert "\n" not in str(caught.value)


def test_no_holdout_no_membership_inference(
    tiny_llama: Any, tiny_tokenizer: Any, tiny_data: TofuData
) -> None:
    found = run(tiny_llama, tiny_tokenizer, replace(tiny_data, holdout=[]))
    assert "mia_min_k" not in found
    assert "exact_memorization" in found


def test_uneven_wrong_answers(tiny_llama: Any, tiny_tokenizer: Any, tiny_data: TofuData) -> None:
    rows = copy.deepcopy(tiny_data.forget_perturbed)
    rows[2]["perturbed_answer"].pop()
    uneven = replace(tiny_data, forget_perturbed=rows)
    with pytest.raises(InputError, match=r"equally many in every row, got \[4, 5\]"):
        run(tiny_llama, tiny_tokenizer, uneven)


def test_key_follows_everything_that_shapes_the_result(
    tiny_llama: Any,
    tiny_tokenizer: Any,
    tiny_data: TofuData,
    retain: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def key(**changed: Any) -> str:
        args = {
            "model": tiny_llama,
            "tokenizer": tiny_tokenizer,
            "data": tiny_data,
            "retain_logs": None,
            "max_new_tokens": 4,
        } | changed
        return evaluation_key(**args)

    base = key()
    assert key() == base
    moved = copy.deepcopy(tiny_llama)
    with torch.no_grad():
        moved.lm_head.weight[0, 0] += 1e-6
    rows = copy.deepcopy(tiny_data.world_facts_perturbed)
    rows[0]["answer"] += "!"
    others = [
        key(model=moved),
        key(data=replace(tiny_data, world_facts_perturbed=rows)),
        key(retain_logs=retain),
        key(max_new_tokens=5),
    ]
    monkeypatch.setattr("llm.tofu.logs.version", lambda name: f"{name} of tomorrow")
    assert len({base, *others, key()}) == 6


def test_model_hash_is_of_the_content(tiny_llama: Any, tmp_path: Path) -> None:
    tiny_llama.save_pretrained(tmp_path)
    loaded = type(tiny_llama).from_pretrained(tmp_path)
    assert model_hash(loaded) == model_hash(tiny_llama)


def t3(base: Any, **settings: Any) -> T3ForCausalLM:
    torch.manual_seed(5)
    head = LowRankHead(32, 4, 400)
    with torch.no_grad():
        for weight in head.parameters():
            weight.normal_()
    return T3ForCausalLM(base, head, T3Config(**settings)).eval()


def test_t3_without_temper_and_tilt_is_its_base(
    tiny_llama: Any, tiny_tokenizer: Any, tiny_data: TofuData, retain: dict[str, Any]
) -> None:
    neutral = t3(tiny_llama, temperature=1.0, guidance_scale=0.0)
    args = (tiny_tokenizer, tiny_data)
    ours = summary(run(neutral, *args, retain_logs=retain))
    assert ours == pytest.approx(summary(run(tiny_llama, *args, retain_logs=retain)), rel=ROUNDING)
    other = summary(run(t3(tiny_llama, temperature=2.0), *args, retain_logs=retain))
    assert other["forget_Q_A_Prob"] != pytest.approx(ours["forget_Q_A_Prob"], rel=0.01)


def test_key_sees_the_settings_of_t3(tiny_llama: Any) -> None:
    hashes = {
        model_hash(m)
        for m in (
            tiny_llama,
            t3(tiny_llama, temperature=2.0),
            t3(tiny_llama, temperature=2.5),
            t3(tiny_llama, temperature=2.0, gate="hard"),
        )
    }
    assert len(hashes) == 4


def test_a_diverged_model(tiny_llama: Any, tiny_tokenizer: Any, tiny_data: TofuData) -> None:
    with torch.no_grad():
        tiny_llama.lm_head.weight[7] = torch.nan
    with pytest.raises(InputError, match="answers have no finite loss"):
        run(tiny_llama, tiny_tokenizer, tiny_data)
