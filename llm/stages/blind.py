"""Settings chosen without a retain model, measured on a reported seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llm.experiment import TILTS, ExperimentConfig
from llm.selection import chosen, chosen_blind
from llm.stages.files import about, load_data, load_model, thinned
from llm.stages.heads import load_heads, stop_name, t3_config
from llm.stages.methods import truth_ratios
from llm.stages.tuning import encode_measured, losses_of
from llm.stages.unlearning import unlearned
from llm.sweep import sweep_losses
from llm.worth import worth
from t3theory.records import make_record, write_records

__all__ = ["measure_blind"]


def measure_blind(
    config: ExperimentConfig,
    source: str | Path,
    seed: int,
    method: str,
    base: str | Path,
    tuning: str | Path,
    retain_logs: str | Path,
    out: str | Path,
    heads: str | Path | None = None,
    model: str | Path | None = None,
) -> None:
    """What a method is worth under the setting that `chosen_blind` takes.

    Args:
        method: of `BASELINES`, or "tilts" for all of the scale's `TILTS` in one pass.
        base: folder of the full model. tuning: from `tune_tilts` or `tune_baseline`.
        heads: from `fit_heads`, for "tilts".
        model: folder of the baseline under the setting chosen by forget quality, which is used
            where both choices agree.
        out: JSON Lines file of records of kind "llm.blind", with the values of `worth`.
    """
    data = load_data(config, source)
    full, tokenizer = load_model(base)
    few = thinned(config, data)
    pairs = encode_measured(tokenizer, few)
    size = config.evaluation.batch_size
    names = [m for m in TILTS if m in config.blind] if method == "tilts" else [method]
    settings = {name: chosen_blind(tuning, name) for name in names}
    if method == "tilts":
        by_stop = {stop_name(k): h for k, h in load_heads(config, heads or "", full).items()}
        decoders = [(stop_name(s["stop"]), t3_config(config, s, data)) for s in settings.values()]
        losses: Any = sweep_losses(full, pairs, decoders, by_stop, size)
    else:
        if model is not None and settings[method] == chosen(tuning, method, config):
            found = load_model(model)[0]
        else:
            found = unlearned(config, data, seed, method, base, **settings[method])[0]
        losses = [losses_of(found, tokenizer, pairs, size)]
    ratios = truth_ratios(retain_logs)
    write_records(
        out,
        [
            make_record(
                "llm.blind",
                about(config, data, method=name, **settings[name]),
                seed,
                worth(row, few, ratios),
            )
            for name, row in zip(names, losses, strict=True)
        ],
    )
