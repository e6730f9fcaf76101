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


def claims(run: Path | None = None, out: Path | None = None) -> None:
    """Judge every claim from the records of a run, and say how to regenerate its evidence.

    Args:
        run: its folder, or one file of records; default runs/mini-mini.
        out: the same under the name it has in t3 reproduce.
    """
    from rich.console import Console

    from paper_repro.claims import judge_all
    from paper_repro.pipeline.stamps import products_in
    from paper_repro.results import command_of, read_results, unsaid

    if run is not None and out is not None:
        raise InputError(f"t3 claims {run} --out {out}: expected one of both")
    run = run or out or Path("runs/mini-mini")
    records = read_results(run, products_in(run))
    if not records:
        raise InputError(f"{run}: no records; expected a run (see t3 reproduce) or its records")
    command = command_of(records)
    console = Console()
    console.print(table([v.as_dict() for v in judge_all(records, command)]))
    for word, meaning in unsaid(command).items():
        console.print(f"{word}: {meaning}", highlight=False)


def table(verdicts: Sequence[Mapping[str, Any]]) -> Table:
    """The verdicts, as `Verdict.as_dict` gives them, for the screen."""
    from rich.table import Table

    shown = Table(title="Claims", title_justify="left", show_lines=False)
    for heading in ("claim", "verdict", "evidence", "figure", "regenerate"):
        shown.add_column(heading, overflow="fold")
    for v in verdicts:
        evidence = v["evidence"].replace("[", "\\[")
        figures = ", ".join(v["figures"])
        shown.add_row(v["statement"], _MARKS[v["verdict"]], evidence, figures, v["command"])
    return shown
