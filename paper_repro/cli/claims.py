"""`t3 claims`: what a run shows, claim by claim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from t3theory.exceptions import InputError

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["claims", "table"]

_MARKS = {
    "true": "[green]true[/]",
    "false": "[red]false[/]",
    "undecided": "[yellow]undecided[/]",
    "not measured": "[dim]not measured[/]",
}


def claims(run: Path = Path("runs/mini-mini")) -> None:
    """Judge every claim from the records of a run, and say how to regenerate its evidence.

    Args:
        run: its folder, or one file of records.
    """
    from rich.console import Console

    from paper_repro.claims import judge_all
    from paper_repro.results import read_results

    records = read_results(run)
    if not records:
        raise InputError(f"{run}: no records; expected a run (see t3 reproduce) or its records")
    Console().print(table([v.as_dict() for v in judge_all(records)]))


def table(verdicts: Sequence[Mapping[str, Any]]) -> Table:
    """The verdicts, as `Verdict.as_dict` gives them, for the screen."""
    from rich.table import Table

    shown = Table(title="Claims", title_justify="left", show_lines=False)
    for heading in ("claim", "verdict", "evidence", "regenerate"):
        shown.add_column(heading, overflow="fold")
    for v in verdicts:
        evidence = v["evidence"].replace("[", "\\[")
        shown.add_row(v["statement"], _MARKS[v["verdict"]], evidence, v["command"])
    return shown
