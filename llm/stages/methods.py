"""A method ready to run, from what other stages left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from llm.experiment import BASELINES, TILTS, ExperimentConfig
from llm.model import T3ForCausalLM
from llm.selection import chosen
from llm.stages.files import given, load_model
from llm.stages.heads import stop_name, t3_config
from llm.stages.unlearning import TRAINED
from llm.tofu.data import TofuData
from llm.tofu.logs import read_retain_logs

__all__ = ["Decoded", "load_method", "truth_ratios"]


class Decoded(NamedTuple):
    """A method ready to run, the setting that was chosen for it, how many parameters it trained."""

    model: Any
    tokenizer: Any
    setting: dict[str, Any]
    trained_parameters: int
    total_parameters: int


def load_method(
    config: ExperimentConfig,
    data: TofuData,
    method: str,
    model: str | Path,
    heads: str | Path | None,
    tuning: str | Path | None,
) -> Decoded:
    """A method of `METHODS` from what the stages left; arguments as for `evaluate_method`."""
    found, tokenizer = load_model(model)
    total = sum(p.numel() for p in found.parameters())
    tuned = method in TILTS + BASELINES
    setting = chosen(given(tuning, "tuning", method), method, config) if tuned else {}
    trained = total
    if (note := Path(model) / TRAINED).is_file():
        trained = json.loads(note.read_text(encoding="utf-8"))["trained_parameters"]
    if method in TILTS:
        adapter = Path(given(heads, "heads", method)) / stop_name(setting["stop"])
        head = T3ForCausalLM.from_pretrained(adapter, base=found).head
        unused = setting["guidance_scale"] == 0  # tempering alone: whatever the head says
        trained = 0 if unused else sum(p.numel() for p in head.parameters())
        found = T3ForCausalLM(found, head, t3_config(config, setting, data)).eval()
    return Decoded(found, tokenizer, setting, trained, total)


def truth_ratios(retain_logs: str | Path) -> list[float]:
    """The retain model's truth ratios on the forget set, row by row, from its evaluation."""
    rows = read_retain_logs(retain_logs)["forget_truth_ratio"]["value_by_index"]
    return [row["score"] for row in rows.values()]
