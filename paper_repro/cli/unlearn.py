"""`t3 unlearn`: an adapter for the user's own model and data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from t3theory.records import check_folder

if TYPE_CHECKING:
    from llm.pairs import Pair
    from llm.tilt import T3Config
    from llm.unlearn import UnlearnConfig, Unlearned

__all__ = ["unlearn"]

Gate = Literal["none", "hard", "soft"]


def unlearn(
    model: str,
    forget: Path,
    retain: Path,
    out: Path,
    temperature: float | None = None,
    gate: Gate | None = None,
    retain_budget: float = 0.1,
    rank: int = 20,
    learning_rate: float = 1e-2,
    weight_decay: float = 1e-2,
    steps: int = 2000,
    stop_at_risk: float = 0.05,
    seed: int = 0,
    cache: Path | None = None,
    device: str | None = None,
    dtype: str = "auto",
) -> None:
    """Train a head for any causal language model on any pairs.

    Under `accelerate launch -m t3theory unlearn …` the processes share the base's pass.

    Args:
        model: a folder or a Hub name of a causal language model with its tokenizer.
        forget: JSON Lines of {"question", "answer"} or {"prompt", "completion"} to forget.
        retain: the same, to retain; a tenth is kept from training, to measure on.
        out: folder for the adapter; one that is there already is replaced.
        temperature: T; default chosen from the data within the retain budget.
        gate: where to temper: none (everywhere), hard or soft; default chosen likewise.
        retain_budget: nats a token that held-out retain pairs may cost.
        rank: width of the head.
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        steps: at most so many.
        stop_at_risk: stop training where the in-sample balanced loss is at most this, in nats.
        seed: of the head and of the order of pairs.
        cache: folder to keep the base's features in, for the next run; default memory.
        device: cpu, cuda, …; default cuda where there is one.
        dtype: of the base (auto, float32, bfloat16, float16).
    """
    from llm.pairs import named_content

    # Bad input is found before the libraries and the model are loaded.
    pairs, notes = _pairs(forget, retain)
    files = {"forget": named_content(forget), "retain": named_content(retain)}
    check_folder(f"--out {out}", out)
    if cache is not None:
        check_folder(f"--cache {cache}", cache)

    from rich.console import Console

    from llm import processes
    from llm.fit_head import HeadConfig
    from llm.unlearn import UnlearnConfig, save_unlearned

    head = HeadConfig(
        rank=rank,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        steps=steps,
        stop_at_risk=stop_at_risk,
        seed=seed,
    )
    config = UnlearnConfig(
        head=head, candidates=_candidates(temperature, gate), retain_budget=retain_budget
    )
    if processes.is_main():
        for note in notes:
            Console(stderr=True).print(note, markup=False, highlight=False, soft_wrap=True)
    result = _run(model, pairs, config, cache, device, dtype)
    if processes.is_main():
        save_unlearned(out, result, files)
        Console().print(_line(out, result), markup=False, highlight=False, soft_wrap=True)


def _pairs(forget: Path, retain: Path) -> tuple[tuple[list[Pair], list[Pair]], list[str]]:
    """The pairs of both files, and a line for each file in which more stands than is read."""
    from llm.pairs import check_disjoint, read_pairs

    found, notes = [], []
    for path in (forget, retain):
        unread: set[str] = set()
        found.append(read_pairs(path, unread))
        if unread:
            notes.append(f"{path}: not read: {', '.join(map(repr, sorted(unread)))}")
    pairs = found[0], found[1]
    check_disjoint(*pairs)
    return pairs, notes


def _candidates(temperature: float | None, gate: Gate | None) -> tuple[T3Config, ...]:
    """The candidates of the user's temperature, of the user's gate, or all of them."""
    from llm.retain_budget import CANDIDATES
    from llm.tilt import T3Config

    if temperature is not None:
        gates = get_args(Gate) if gate is None else (gate,)
        return tuple(T3Config(temperature=temperature, gate=g) for g in gates)
    return tuple(c for c in CANDIDATES if gate is None or c.gate == gate)


def _run(
    model: str,
    pairs: tuple[list[Pair], list[Pair]],
    config: UnlearnConfig,
    cache: Path | None,
    device: str | None,
    dtype: str,
) -> Unlearned:
    from rich.console import Console

    from llm.loading import load_base
    from llm.unlearn import unlearn

    with Console(stderr=True).status("loading the model") as status:
        base, tokenizer = load_base(model, device, dtype)
        return unlearn(base, tokenizer, *pairs, config, cache, lambda what: status.update(what))


def _line(out: Path, result: Unlearned) -> str:
    """What was done, in one line."""
    report = result.report
    chosen, risk = report["chosen"], report["risk"]
    return (
        f"{out}: T = {chosen['config']['temperature']:g}, gate {chosen['config']['gate']}; "
        f"{report['steps']} steps, stopped by {report['stopped_by']}; "
        f"head risk {risk['balanced']:.3f} (at most {risk['balanced_upper']:.3f}) nats; "
        f"held-out retain loss {chosen['retain_cost']:+.3f} {_within(report)}, forget loss "
        f"{report['base_loss']['forget']:.2f} → {chosen['forget_loss']:.2f} nats a token"
    )


def _within(report: Mapping[str, Any]) -> str:
    """How far the retain loss is known, and by how many pairs."""
    margin, pairs = report["chosen"]["retain_margin"], report["pairs"]["heldout_retain"]
    return f"± {margin:.3f} ({pairs} pairs)" if margin is not None else "(one pair, no interval)"
