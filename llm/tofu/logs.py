"""Evaluation logs in open-unlearning's files, keyed by what made them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from llm.bases import digest_weight
from llm.scoring import end_ids
from llm.tofu.data import TofuData
from t3theory.exceptions import InputError
from t3theory.records import config_hash, source_hash, write_json

__all__ = [
    "EVAL_FILE",
    "SUMMARY_FILE",
    "content_hash",
    "evaluation_key",
    "model_hash",
    "read_log",
    "read_retain_logs",
    "stored_evaluation",
    "summary",
    "write_logs",
]

EVAL_FILE = "TOFU_EVAL.json"
SUMMARY_FILE = "TOFU_SUMMARY.json"

_COMPUTING = ("torch", "transformers", "tokenizers", "rouge-score")

Evaluation = dict[str, dict[str, Any]]


def model_hash(model: Any) -> str:
    """Sixteen hex digits of the model's configuration, settings and every weight."""
    digest = hashlib.sha256()
    settings = getattr(model, "t3_config", None)
    described = asdict(settings) if is_dataclass(settings) else None  # type: ignore[arg-type]
    described = getattr(model, "uld_config", described)
    config = json.loads(model.config.to_json_string(use_diff=False))
    for name in ("_name_or_path", "transformers_version"):  # where it lies is not what it is
        config.pop(name, None)
    digest.update(config_hash(type(model).__name__, config, described).encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest_weight(digest, name, tensor)
    return digest.hexdigest()[:16]


def evaluation_key(
    model: Any,
    tokenizer: Any,
    data: TofuData,
    retain_logs: Mapping[str, Any] | None,
    max_new_tokens: int,
) -> str:
    """What an evaluation is cached under: it changes whenever anything that shaped it does.

    That is the model's weights and settings, the tokenizer, the rows, the retain model's
    evaluation, the length of the greedy answers, the project's own code, and the versions of
    what computes beside it.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    written = backend.to_str() if backend is not None else sorted(tokenizer.get_vocab().items())
    retain = None if retain_logs is None else _compared(retain_logs)
    return config_hash(
        model_hash(model),
        written,
        getattr(tokenizer, "chat_template", None),
        [tokenizer.bos_token_id, *end_ids(model, tokenizer)],
        data.content_hash,
        retain,
        max_new_tokens,
        source_hash("llm", "t3theory"),
        [version(name) for name in _COMPUTING],
    )


def _compared(logs: Mapping[str, Any]) -> Any:
    """What of the retain model's evaluation others are compared with."""
    attack = logs.get("mia_min_k") or {}
    return [logs["forget_truth_ratio"]["value_by_index"], attack.get("agg_value")]


def summary(evaluation: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """{metric: agg_value} of all entries that have one."""
    return {
        name: entry["agg_value"]
        for name, entry in evaluation.items()
        if entry.get("agg_value") is not None
    }


def write_logs(evaluation: Evaluation, folder: str | Path) -> None:
    """Write TOFU_EVAL.json and TOFU_SUMMARY.json to `folder`, each all or nothing."""
    write_json(Path(folder) / SUMMARY_FILE, summary(evaluation))
    write_json(Path(folder) / EVAL_FILE, evaluation)


def _read_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: expected a TOFU_EVAL.json, {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path}: expected a TOFU_EVAL.json, not readable as JSON") from error
    if not isinstance(value, dict):
        raise InputError(f"{path}: expected a JSON object of metrics, got {type(value).__name__}")
    return value


def read_log(path: str | Path) -> Evaluation:
    """A TOFU_EVAL.json, or the one in a folder.

    Raises:
        InputError: the file is missing or cut short.
    """
    path = Path(path)
    return _read_object(path / EVAL_FILE if path.is_dir() else path)


def read_retain_logs(
    source: str | Path | Mapping[str, Any], rows: int | None = None
) -> Mapping[str, Any]:
    """The evaluation of a retain model, this project's or open-unlearning's own, checked.

    Args:
        source: a TOFU_EVAL.json, the folder it is in, or its content.
        rows: of the forget set that it is compared on; default any number.

    Raises:
        InputError: the file is missing or cut short, what others are compared with is not
            usable (`forget_truth_ratio`, and `mia_min_k` where it has one), or it is of another
            number of rows.
    """
    where, logs = (
        ("retain logs", source) if isinstance(source, Mapping) else (str(source), read_log(source))
    )
    try:
        scores = [row["score"] for row in logs["forget_truth_ratio"]["value_by_index"].values()]
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{where}: expected forget_truth_ratio with a score for each row; a summary has none"
        ) from error
    if not scores:
        raise InputError(f"{where}: forget_truth_ratio has no rows")
    if bad := [score for score in scores if not _is_number(score, math.inf)]:
        raise InputError(
            f"{where}: forget_truth_ratio: expected a score for each row, a number ≥ 0, "
            f"got {bad[0]!r}"
        )
    if rows is not None and len(scores) != rows:
        raise InputError(
            f"{where}: forget_truth_ratio has {len(scores)} rows, expected {rows}, "
            "those of the same forget set"
        )
    return _with_attack(logs, where)


def _with_attack(logs: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """The logs, `mia_min_k` checked, or left out where it is nothing."""
    attack = logs.get("mia_min_k")
    if attack is None:
        return {name: entry for name, entry in logs.items() if name != "mia_min_k"}
    value = attack.get("agg_value") if isinstance(attack, dict) else attack
    if not isinstance(attack, dict) or not _is_number(value, 1):
        raise InputError(f"{where}: mia_min_k: expected an agg_value in [0, 1], got {value!r}")
    return logs


def _is_number(value: object, top: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= top


def content_hash(evaluation: Mapping[str, Any]) -> str:
    """Sixteen hex digits of all entries but `provenance`, which holds it."""
    return config_hash({k: v for k, v in evaluation.items() if k != "provenance"})


def stored_evaluation(folder: str | Path, key: str) -> Evaluation | None:
    """The evaluation in `folder`, if it is whole and was made under this very `key`."""
    try:
        logs = read_log(Path(folder) / EVAL_FILE)
    except InputError:
        return None
    made: object = logs.get("provenance")
    if not isinstance(made, dict) or made.get("key") != key:
        return None
    return logs if made.get("content") == content_hash(logs) else None
