"""`t3 simulate`: one study, to records."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from t3theory.exceptions import InputError

__all__ = ["parse_settings", "simulate"]


def simulate(
    study: str,
    scale: str = "mini",
    set: Sequence[str] = (),
    out: str | None = None,
    jobs: int = 1,
    dask: str | None = None,
    figure: str | None = None,
) -> None:
    """Run one study, write its records and, if asked, draw them.

    Args:
        study: its name; a wrong one lists those there are.
        scale: mini, small or full.
        set: settings to change, each KEY=VALUE or KEY=VALUE,VALUE,…
        out: record file; default runs/simulations/STUDY-SCALE.jsonl.
        jobs: processes on this machine.
        dask: address of a Dask scheduler whose workers compute instead.
        figure: where to draw the study, without suffix: a .png and an .svg, and two of FIGURE_settings where
            other settings vary; their captions are told.
    """
    from rich.console import Console

    from sims.run import run_study
    from t3theory.records import check_place

    if figure is not None:
        for suffix in (".png", ".svg", "_settings.png", "_settings.svg"):
            check_place(f"{figure}{suffix}")
    target = out or f"runs/simulations/{study}-{scale}.jsonl"
    records = run_study(study, scale, target, jobs, parse_settings(set), dask)
    console = Console(stderr=True)
    console.print(f"{len(records)} records in {target}")
    if figure is not None:
        from figures.gallery import draw

        console.print(draw(study, records, figure), highlight=False, markup=False)


def parse_settings(settings: Sequence[str]) -> dict[str, Any]:
    """KEY=VALUE words as a mapping; several values, divided by commas, vary.

    >>> parse_settings(["h=1,10,1e2", "learner=tabular"])
    {'h': [1, 10, 100.0], 'learner': 'tabular'}
    """
    parsed: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not (key and equals and text):
            raise InputError(f"--set {setting}: expected KEY=VALUE or KEY=VALUE,VALUE,…")
        if key in parsed:
            raise InputError(f"--set {setting}: {key} is given twice, expected KEY=VALUE,VALUE,…")
        values = [_value(word) for word in text.strip("[]").split(",")]
        parsed[key] = values[0] if len(values) == 1 else values
    return parsed


def _value(word: str) -> Any:
    try:
        return json.loads(word)
    except (ValueError, RecursionError):  # a word, or a number beyond all that is read
        return word.strip()
