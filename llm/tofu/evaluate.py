"""The TOFU evaluation of a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llm.encoding import encode_prompt
from llm.scoring import check_fit, greedy_answers, pad_id, score_rows
from llm.tofu.data import TofuData
from llm.tofu.entries import Entry, Evaluation, all_metrics, encoded_pairs, questions
from llm.tofu.logs import evaluation_key, read_retain_logs, stored_evaluation, write_logs

__all__ = ["check", "evaluate", "read_retain_logs", "stored_evaluation", "write_logs"]


def evaluate(
    model: Any,
    tokenizer: Any,
    data: TofuData,
    retain_logs: str | Path | Mapping[str, Entry] | None = None,
    batch_size: int = 32,
    max_new_tokens: int = 200,
    progress: bool = True,
) -> Evaluation:
    """Every TOFU metric of `model` on `data`, as {metric: {"agg_value", "value_by_index"}}.

    Args:
        model: a causal language model of transformers, T3 included; evaluated on its device.
        tokenizer: the model's.
        data: from `load_tofu`.
        retain_logs: the retain model's evaluation, or its TOFU_EVAL.json (open-unlearning's
            own will do). Without it `forget_quality` and `privleak` are absent.
        batch_size: changes speed and memory, not results beyond rounding.
        max_new_tokens: of the greedy answers that ROUGE is computed of.

    Returns:
        The metrics, and "provenance" with the `key` that this evaluation is cached under.

    Raises:
        InputError: before anything is scored, if the retain logs are missing, unreadable, or of
            another number of rows, or the model has no room for the answers; else if it gives
            no finite losses.
    """
    retain = check(model, tokenizer, data, retain_logs, max_new_tokens)
    messages = ("Scoring answers", "Generating answers") if progress else (None, None)
    pairs = encoded_pairs(tokenizer, data)
    found = score_rows(model, list(pairs.values()), pad_id(tokenizer), batch_size, messages[0])
    scores = dict(zip(pairs, found, strict=True))
    answers = greedy_answers(
        model, tokenizer, questions(data), batch_size, max_new_tokens, messages[1]
    )
    key = evaluation_key(model, tokenizer, data, retain, max_new_tokens)
    return all_metrics(
        data, scores, answers, retain, {"key": key, "max_new_tokens": max_new_tokens}
    )


def check(
    model: Any,
    tokenizer: Any,
    data: TofuData,
    retain_logs: str | Path | Mapping[str, Entry] | None,
    max_new_tokens: int,
) -> Mapping[str, Entry] | None:
    """The retain model's evaluation, if any.

    Raises:
        InputError: the logs are no such evaluation, or the model has no room for the answers.
    """
    count = len(data.forget_perturbed)
    retain = None if retain_logs is None else read_retain_logs(retain_logs, count)
    prompts = [encode_prompt(tokenizer, question) for question in questions(data)]
    check_fit(model, prompts, max_new_tokens)
    return retain
