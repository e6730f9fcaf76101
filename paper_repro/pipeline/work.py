"""What the cells of the paper call, with arguments that JSON can hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from paper_repro.pipeline.memory import PeakMemory
from paper_repro.results import made, read_results
from t3theory.exceptions import InputError
from t3theory.records import Stopwatch, make_record, write_json, write_records

__all__ = ["draw", "judge", "stage"]


def stage(stage: str, scale: str, out: str, **arguments: Any) -> None:
    """One stage of the language-model experiment at a scale, and a record of what it cost.

    Its time and its peak of memory, without the import of what it runs. On a GPU matrix products
    are TensorFloat-32's: three digits of each factor, and the sums float32's.
    """
    import torch

    from llm import stages
    from llm.experiment import load_scale

    config, function = load_scale(scale), getattr(stages, stage)
    torch.backends.cuda.matmul.allow_tf32 = True
    watch, memory = Stopwatch(), PeakMemory()
    function(config, out=out, **arguments)
    torch.cuda.empty_cache()  # for the other workers; nothing without a GPU
    about = {"scale": config.name, "stage": stage, "method": arguments.get("method")}
    about |= {"which": arguments["which"]} if "which" in arguments else {}
    seed, seconds = arguments.get("seed"), watch.seconds
    record = make_record("llm.stage", about, seed, {}, seconds, memory.bytes())
    write_records(f"{out}.cost.jsonl", [record])


def draw(name: str, out: str, products: Sequence[str] | None = None) -> None:
    """One figure of a run, a page and a column wide, its caption and what made its records beside.

    Args:
        products: those that the run's records are read from, as `read_results` takes them.
    """
    import matplotlib as mpl

    mpl.use("agg")
    from figures import save, style
    from figures.registry import FIGURES

    module = FIGURES[name]
    records = [r for r in read_results(out, products) if r["kind"] == module.KIND]
    if not records:
        raise InputError(f"figure {name}: no records of kind {module.KIND!r} in {out}")
    save(module.build(records), Path(out) / "figures" / name)
    with style.column():
        save(module.build(records), Path(out) / "figures" / f"{name}-column")
    about = {
        "caption": module.caption(records),
        "kind": module.KIND,
        "made": made(records),
    }
    write_json(Path(out) / "figures" / f"{name}.json", about)


def judge(out: str, products: Sequence[str] | None = None, run: str = "t3 reproduce") -> None:
    """The verdict on every claim, to `claims.json`; `run` is the command of the run."""
    from paper_repro.claims import judge_all

    verdicts = judge_all(read_results(out, products), run)
    write_json(Path(out) / "claims.json", [v.as_dict() for v in verdicts])
