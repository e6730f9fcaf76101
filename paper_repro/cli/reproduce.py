"""`t3 reproduce`: the whole paper, from nothing or from where it stopped."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["reproduce"]


def reproduce(
    scale: str = "mini",
    data: str = "mini",
    out: str | None = None,
    jobs: int | None = None,
    only: list[str] | None = None,
    dry_run: bool = False,
) -> int:
    """Run what is not up to date, draw the figures, judge the claims, write the report.

    Args:
        scale: mini, small or full, or a TOML file of one's own.
        data: mini, a folder with TOFU's files, or a Hub name (locuslab/TOFU).
        out: the run's folder; default runs/SCALE-DATA.
        jobs: cells at a time; default one for each core.
        only: names (or their beginnings) of cells; what they need runs too.
        dry_run: say what would run and how long it took last time.
    """
    from rich.console import Console

    from paper_repro.pipeline.execute import execute
    from paper_repro.pipeline.plan import default_out, paper
    from paper_repro.pipeline.screen import Progressing, show_plan, show_result

    folder = Path(out) if out else default_out(scale, data)
    graph = paper(folder.resolve(), scale, data)
    if only:
        graph = graph.only(only)
    console = Console()
    if dry_run:
        show_plan(console, graph, folder)
        return 0
    with Progressing(console, len(graph)) as screen:
        outcome = execute(graph, folder, jobs or os.cpu_count() or 1, screen)
    show_result(console, folder, outcome)
    return 1 if outcome.missing else 0
