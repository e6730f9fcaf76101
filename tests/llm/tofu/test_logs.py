"""Evaluations in files: what is taken, what is refused, and when."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm.tofu.data import TofuData
from llm.tofu.evaluate import evaluate
from llm.tofu.logs import read_retain_logs, stored_evaluation, write_logs
from t3theory.exceptions import InputError


@pytest.fixture
def found(tiny_llama: Any, tiny_tokenizer: Any, tiny_data: TofuData) -> dict[str, Any]:
    return evaluate(tiny_llama, tiny_tokenizer, tiny_data, max_new_tokens=2, progress=False)


def test_only_a_whole_evaluation_is_taken(found: dict[str, Any], tmp_path: Path) -> None:
    write_logs(found, tmp_path)
    key = found["provenance"]["key"]
    assert stored_evaluation(tmp_path, key) == found
    for damaged in (
        found | {"provenance": 5},
        found | {"provenance": None},
        found | {"provenance": {"key": key}},
        found | {"forget_truth_ratio": 3},
        found | {"model_utility": {"agg_value": 0.99}},
        {name: entry for name, entry in found.items() if name != "model_utility"},
    ):
        (tmp_path / "TOFU_EVAL.json").write_text(json.dumps(damaged))
        assert stored_evaluation(tmp_path, key) is None


RATIOS = {"forget_truth_ratio": {"value_by_index": {"0": {"score": 0.5}, "1": {"score": 2.0}}}}


@pytest.mark.parametrize(
    ("metric", "entry", "message"),
    [
        ("mia_min_k", 5, r"mia_min_k: expected an agg_value in \[0, 1\], got 5"),
        ("mia_min_k", {"auc": 0.5}, r"mia_min_k: expected an agg_value in \[0, 1\], got None"),
        ("mia_min_k", {"agg_value": "half"}, "mia_min_k: .*got 'half'"),
        ("mia_min_k", {"agg_value": 1.5}, r"mia_min_k: .*got 1\.5"),
        ("forget_truth_ratio", {"value_by_index": {"0": {"score": -1}}}, "number ≥ 0, got -1"),
        ("forget_truth_ratio", {"value_by_index": {"0": {"score": "1"}}}, "number ≥ 0, got '1'"),
        ("forget_truth_ratio", {"value_by_index": {"0": {"score": True}}}, "≥ 0, got True"),
        ("forget_truth_ratio", {"value_by_index": {"0": {"score": float("nan")}}}, "≥ 0, got nan"),
        ("forget_truth_ratio", {"value_by_index": [{"score": 1.0}]}, "a score for each row"),
    ],
)
def test_retain_logs_with_a_wrong_value(
    metric: str, entry: Any, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "logs.json"
    path.write_text(json.dumps(RATIOS | {metric: entry}))
    with pytest.raises(InputError, match=rf"logs\.json: .*{message}"):
        read_retain_logs(path)


def test_retain_logs_may_lack_the_attack(tmp_path: Path) -> None:
    path = tmp_path / "logs.json"
    for logs in (RATIOS, RATIOS | {"mia_min_k": None}):
        path.write_text(json.dumps(logs))
        assert read_retain_logs(path, rows=2) == RATIOS


def short(found: dict[str, Any]) -> dict[str, Any]:
    found = copy.deepcopy(found)
    del found["forget_truth_ratio"]["value_by_index"]["0"]
    return {"retain_logs": found}


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (short, "has 9 rows, expected 10"),
        (lambda found: {"retain_logs": found | {"mia_min_k": 5}}, "mia_min_k: expected"),
        (lambda _: {"max_new_tokens": 250}, "tokens and 250 new ones: expected at most"),
    ],
)
def test_nothing_is_scored_before_all_is_checked(
    how: Callable[[dict[str, Any]], dict[str, Any]],
    message: str,
    found: dict[str, Any],
    tiny_llama: Any,
    tiny_tokenizer: Any,
    tiny_data: TofuData,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("llm.tofu.evaluate.score_rows", None)
    with pytest.raises(InputError, match=message):
        evaluate(tiny_llama, tiny_tokenizer, tiny_data, progress=False, **how(found))
