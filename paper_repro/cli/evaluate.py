"""`t3 evaluate`: the TOFU evaluation of an unlearned or a plain model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from t3theory.exceptions import AssumptionError, InputError
from t3theory.records import check_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["evaluate"]

_SHOWN = (
    ("forget_quality", "p-value against the retain model, high is good"),
    ("forget_quality_statistic", "Kolmogorov–Smirnov distance behind it"),
    ("model_utility", "harmonic mean of nine, high is good"),
    ("forget_truth_ratio", "1: wrong answers as likely as the true one"),
    ("forget_Q_A_Prob", "probability of the forget answers"),
    ("forget_Q_A_ROUGE", "of what is said to forget questions"),
    ("retain_Q_A_Prob", "probability of the retain answers"),
    ("retain_Q_A_ROUGE", "of what is said to retain questions"),
    ("extraction_strength", "of the forget answers"),
    ("privleak", "percent; 0: as private as the retain model"),
)


def evaluate(
    adapter: str | None = None,
    model: str | None = None,
    data: str = "mini",
    split: str = "forget10",
    retain_logs: str | None = None,
    out: str = "runs/evaluation",
    batch_size: int = 32,
    max_new_tokens: int = 200,
    base: str | None = None,
    device: str | None = None,
    dtype: str = "auto",
) -> None:
    """Evaluate on TOFU and write TOFU_EVAL.json and TOFU_SUMMARY.json.

    An evaluation already in `out` is taken as it is if the same model, data, settings and code
    made it, and replaced otherwise. Under `accelerate launch -m t3theory evaluate …` the
    processes share the rows.

    Args:
        adapter: folder of an unlearned model (a head and its settings).
        model: folder or Hub name of a model to evaluate as it is; beside an adapter, its base.
        data: mini, a folder with TOFU's files, or a Hub name (locuslab/TOFU).
        split: forget01, forget05 or forget10; mini has forget05 and forget10.
        retain_logs: TOFU_EVAL.json of a model trained without the forget set.
        out: folder for the two files; another evaluation there is replaced.
        batch_size: rows at a time.
        max_new_tokens: length of the generated answers.
        base: folder or Hub name of the adapter's base; default the one that it names.
        device: cpu, cuda, …; default cuda where there is one; auto spreads a large model.
        dtype: of the model or the base (auto, float32, bfloat16, float16).
    """
    from rich.console import Console

    from llm import processes
    from llm.tofu import evaluate as tofu
    from llm.tofu.data import load_tofu
    from llm.tofu.logs import evaluation_key

    for name, value in (("batch_size", batch_size), ("max_new_tokens", max_new_tokens)):
        if value < 1:
            raise AssumptionError(name, "must be at least 1", value)
    if adapter is None and model is None:
        raise InputError("t3 evaluate: expected --adapter FOLDER or --model FOLDER|HUB_NAME")
    if base is not None and (adapter is None or model is not None):
        raise InputError("t3 evaluate: --base: expected beside --adapter, without --model")
    check_folder(f"--out {out}", out)
    rows = load_tofu(data, split)
    count = len(rows.forget_perturbed)
    retain = None if retain_logs is None else tofu.read_retain_logs(retain_logs, count)
    loaded, tokenizer = _load(adapter, base or model, device, dtype)
    key = evaluation_key(loaded, tokenizer, rows, retain, max_new_tokens)
    found = tofu.stored_evaluation(out, key)
    if found is None:
        found = tofu.evaluate(loaded, tokenizer, rows, retain, batch_size, max_new_tokens)
    if not processes.is_main():
        return
    tofu.write_logs(found, out)  # both, whichever of the two was already there
    console = Console()
    console.print(_table(found, rows.name))
    if retain is None:
        console.print("No forget quality or privleak: they need --retain-logs TOFU_EVAL.json.")
    console.print(f"Logs: {Path(out) / 'TOFU_EVAL.json'}, {Path(out) / 'TOFU_SUMMARY.json'}")


def _load(
    adapter: str | None, model: str | None, device: str | None, dtype: str
) -> tuple[Any, Any]:
    """The model, or the adapter on it, and its tokenizer."""
    from llm import adapter as adapters
    from llm.loading import load_base, named_base
    from llm.model import T3ForCausalLM

    if adapter is None:
        return load_base(str(model), device, dtype)
    description, _ = adapters.load(Path(adapter))
    with named_base(adapter, description.base, model) as name:
        base, tokenizer = load_base(name, device, dtype)
    return T3ForCausalLM.from_pretrained(adapter, base), tokenizer


def _table(found: Mapping[str, Mapping[str, Any]], title: str) -> Any:
    from rich.table import Table

    table = Table("metric", "value", "meaning", title=f"TOFU evaluation, {title}")
    for name, meaning in _SHOWN:
        if name in found:
            table.add_row(name, f"{found[name]['agg_value']:.4g}", meaning)
    return table
