"""`t3 reproduce`: the whole paper, from nothing or from where it stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from t3theory.exceptions import InputError
from t3theory.records import Stopwatch

if TYPE_CHECKING:
    from rich.console import Console

    from paper_repro.pipeline.execute import Outcome
    from paper_repro.pipeline.graph import Cell, Graph

__all__ = ["reproduce"]

FAILED = 1


def reproduce(
    scale: str = "mini",
    data: str = "mini",
    out: Path | None = None,
    jobs: int | None = None,
    only: Sequence[str] = (),
    dask: str | None = None,
    dry_run: bool = False,
) -> int:
    """Run what is not up to date, draw the figures, judge the claims, write the report.

    With `--only`, the claims that the cells' records settle are judged and printed.

    Args:
        scale: mini, small or full (small-forget01, … of the other splits), or a TOML file of
            settings for the language models.
        data: mini (embedded), a folder in TOFU's layout, or a Hub name (locuslab/TOFU).
        out: folder of the run; default runs/SCALE-DATA.
        jobs: cells at a time; default one for each core.
        only: cells to run with what they need, by the beginnings of their names.
        dask: address of a Dask scheduler (tcp://…) whose workers compute the studies.
        dry_run: say what would run, and how long it took last time, and run nothing.
    """
    from rich.console import Console

    from paper_repro.pipeline.plan import default_out, paper
    from paper_repro.results import command
    from t3theory.records import check_folder

    if jobs is not None and jobs < 1:
        raise InputError(f"--jobs {jobs}: expected at least 1")
    out = out or default_out(scale, data)
    check_folder(f"--out {out}", out)
    console = Console()
    graph = paper(scale, data, dask)
    if only:
        graph = graph.only(only)
    if dry_run:
        return _foretell(graph, out, console)
    return _run(graph, out, jobs or os.cpu_count() or 1, console, command(scale, data))


def _foretell(graph: Graph, out: Path, console: Console) -> int:
    from paper_repro.pipeline.stamps import is_current, last_seconds

    keys, known = graph.keys(), 0.0
    stale: set[str] = set()
    after: set[str] = set()
    for cell in graph:
        if is_current(out, cell, keys[cell.name]):
            if not (stale | after).isdisjoint(cell.inputs):
                after.add(cell.name)
        else:
            stale.add(cell.name)
            seconds = last_seconds(out, cell)
            known += seconds or 0.0
            before = "" if seconds is None else f"{seconds:8.1f} s last time"
            console.print(f"  would run  {cell.name:<44}{before}", highlight=False)
    took = f", {known:.0f} s of work last time" if known else ""
    more = f"; {len(after)} more if these leave anything else than before" if after else ""
    line = f"{len(stale)} of {len(graph)} cells would run, in {out}{took}{more}"
    console.print(line, highlight=False)
    _tell_versions(out, [cell for cell in graph if cell.name not in stale], console)
    return 0


def _tell_versions(out: Path, current: Sequence[Cell], console: Console) -> None:
    """A line about results that are up to date but for the libraries that made them."""
    from paper_repro.pipeline.stamps import other_versions

    count, others = other_versions(out, current)
    if count:
        console.print(
            f"{count} of {len(current)} cells up to date were made under other versions: "
            f"{', '.join(others)}; another --out makes all anew",
            highlight=False,
        )


def _run(graph: Graph, out: Path, jobs: int, console: Console, run: str) -> int:
    from paper_repro.pipeline.execute import execute
    from paper_repro.pipeline.screen import Progressing

    watch = Stopwatch()
    with Progressing(console, len(graph)) as screen:
        outcome = execute(graph, out, jobs, screen)
    _conclude(outcome, graph, out, console, run)
    console.print(
        f"{len(outcome.done)} cells run, {len(outcome.current)} up to date, "
        f"{len(outcome.failed)} failed, {len(outcome.blocked)} waiting for those; "
        f"{watch.seconds:.0f} s",
        highlight=False,
    )
    _tell_versions(out, [graph.cells[name] for name in outcome.current], console)
    for name, why in outcome.failed.items():
        console.print(f"  ✗  {name}: {why}", style="red", highlight=False, markup=False)
    return FAILED if outcome.missing else 0


def _conclude(outcome: Outcome, graph: Graph, out: Path, console: Console, run: str) -> None:
    """What the report shows, and where it is; of a part of the paper, the claims it settles."""
    from paper_repro.claims import judge_all
    from paper_repro.cli.claims import table
    from paper_repro.results import read_results

    if "report" not in graph.cells:
        records = read_results(out, [product for cell in graph for product in cell.products])
        verdicts = [v.as_dict() for v in judge_all(records, run)]
        if settled := [v for v in verdicts if v["verdict"] != "not measured"]:
            console.print(table(settled))
    elif "report" not in outcome.missing:
        console.print(table(json.loads((out / "claims.json").read_text(encoding="utf-8"))))
        console.print(f"Report: {out / 'report.html'}", highlight=False)
