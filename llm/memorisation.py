"""How concentrated the forget law is as the full model memorises it: h, errors and bounds by epoch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from llm.experiment import ExperimentConfig
from llm.fit_head import fit_head
from llm.pretrain import build_model, pretrain
from llm.spike import forget_contexts, measure_spike
from llm.stages.files import about, device, encode_rows, load_data, load_model
from llm.stages.heads import head_config, head_features
from t3theory.records import Stopwatch, make_record, write_records

__all__ = ["TEMPERATURES", "measure_memorisation"]

TEMPERATURES = (1.0, 2.0)


def measure_memorisation(
    config: ExperimentConfig,
    source: str | Path,
    seed: int,
    tokenizer: str | Path,
    retain: str | Path,
    out: str | Path,
) -> None:
    """Train the full model once more, from the same seed, and stop to look at some epochs.

    At each of `config.memorisation` a head is trained until the middle one of its stops, and the
    world of `llm.spike` is measured with the model as it is, its spike left alone.

    Args:
        tokenizer: folder from `train_tokenizer`. retain: folder of the retain model.
        out: JSON Lines file of records of kind "llm.spike", `config.epochs` each.
    """
    data, watch = load_data(config, source), Stopwatch()
    tokens = AutoTokenizer.from_pretrained(tokenizer)
    target, _ = load_model(retain)
    model: Any = build_model(config.base, tokens, seed)
    model.to(device())
    rows, lost = encode_rows(tokens, data.full + data.knowledge), encode_rows(tokens, data.forget)
    stops = sorted(config.head.stops)
    wanted = replace(head_config(config, seed), stop_at_risk=stops[len(stops) // 2])
    gamma, size = len(data.forget) / len(data.full), config.evaluation.batch_size
    records = []

    def look(done: int) -> None:
        if done not in config.memorisation:
            return
        model.eval()
        kept, forgotten = head_features(model, tokens, data, size)
        head = fit_head(kept, forgotten, len(tokens), wanted).head
        contexts = forget_contexts(model, target, lost, head, size)
        for t in TEMPERATURES:
            described = about(config, data, spike=1.0, temperature=t, epochs=done)
            described["vocabulary"] = len(tokens)
            values = measure_spike(contexts, gamma, 1.0, t) | {"gamma": gamma}
            records.append(make_record("llm.spike", described, seed, values, watch.seconds))

    pretrain(model, rows, config.base, seed, on_epoch=look)
    write_records(out, records)
