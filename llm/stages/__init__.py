"""The stages of the language-model experiment: files in, one file or folder out.

    train_tokenizer ─┬─ train_base(full) ──┬─ fit_heads ─┬─ tune_tilts ──── evaluate_method(t3 …)
                     └─ train_base(retain) │             │
                              │            └─ tune_baseline ─ train_baseline ─ evaluate_method
                              └─ evaluate_method(retain) → the retain logs of all others

`tune_*` run on the tuning seed alone, everything else on each reported seed too. A stage
reads nothing but its arguments; its output appears whole or not at all, and what it draws
follows from `seed`. `source` is "mini", a folder or a Hub name, as `load_tofu` takes it.

Each stage stands in a module of its own, so that the key of what it made depends on no more code
than made it; `llm.stages.<stage>` finds it there.
"""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["MODULES"]

MODULES = {
    "train_tokenizer": "llm.stages.base",
    "train_base": "llm.stages.base",
    "fit_heads": "llm.stages.heads",
    "tune_tilts": "llm.stages.tuning",
    "tune_baseline": "llm.stages.tuning",
    "train_baseline": "llm.stages.unlearning",
    "evaluate_method": "llm.stages.evaluation",
    "measure_blind": "llm.stages.blind",
    "measure_robustness": "llm.robustness.measure",
    "measure_theory": "llm.closing_the_loop",
    "measure_memorisation": "llm.memorisation",
    "measure_cost": "llm.costs",
}
"""Stage -> the module it is in."""


def __getattr__(name: str) -> Any:
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(MODULES[name]), name)
