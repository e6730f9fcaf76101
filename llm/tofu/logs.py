"""Evaluation logs in open-unlearning's files, keyed by what made them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from llm.tofu.data import TofuData
from t3theory.exceptions import InputError
from t3theory.records import config_hash, source_hash, write_json

__all__ = [
    "EVAL_FILE",
    "SUMMARY_FILE",
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
    import torch

    digest = hashlib.sha256()
    settings = getattr(model, "t3_config", None)
    described = asdict(settings) if is_dataclass(settings) else None  # type: ignore[arg-type]
    described = getattr(model, "uld_config", described)
    config = json.loads(model.config.to_json_string(use_diff=False))
    for name in ("_name_or_path", "transformers_version"):  # where it lies is not what it is
        config.pop(name, None)
    digest.update(config_hash(type(model).__name__, config, described).encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
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
        [tokenizer.bos_token_id, tokenizer.eos_token_id],
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


def read_retain_logs(path: str | Path) -> Evaluation:
    """The evaluation of a retain model, this project's or open-unlearning's own.

    Args:
        path: a TOFU_EVAL.json, or the folder it is in.

    Raises:
        InputError: the file is missing, cut short, or has no usable forget_truth_ratio.
    """
    path = Path(path)
    if path.is_dir():
        path = path / EVAL_FILE
    logs = _read_object(path)
    try:
        rows = logs["forget_truth_ratio"]["value_by_index"]
        numbers = [float(row["score"]) for row in rows.values()]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path}: expected forget_truth_ratio with a score for each row; a summary has none"
        ) from error
    if not numbers:
        raise InputError(f"{path}: forget_truth_ratio has no rows")
    return logs


def stored_evaluation(folder: str | Path, key: str) -> Evaluation | None:
    """The evaluation in `folder`, if it is whole and was made under this very `key`."""
    try:
        logs = _read_object(Path(folder) / EVAL_FILE)
    except InputError:
        return None
    return logs if logs.get("provenance", {}).get("key") == key else None
