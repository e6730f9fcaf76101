"""What a person sees while cells run."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

__all__ = ["Progressing", "last_line"]


def last_line(log: Path) -> str:
    """The last line a cell has logged, without control characters; "" when there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 400))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    said = next((line for line in reversed(lines) if line.strip()), "")
    return "".join(c for c in said if c.isprintable()).strip()


class _LastLine(ProgressColumn):
    """How far a cell is, in its own words."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        log = task.fields.get("log")
        return Text(last_line(log) if log else "", style="dim", overflow="ellipsis", no_wrap=True)


class Progressing:
    """A bar over all cells and a spinner for each in work; plain lines where nobody watches."""

    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            _LastLine(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._all = self._bars.add_task("all", total=total)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def started(self, name: str, log: Path) -> None:
        """Show the cell as in work, with the last line of its log."""
        self._tasks[name] = self._bars.add_task(name, total=1, log=log)
        if not self._console.is_terminal:
            self._console.print(f"  …  {name}", highlight=False)

    def ended(self, name: str, how: str, seconds: float | None = None) -> None:
        """Say what became of the cell, unless it was up to date."""
        if name in self._tasks:
            self._bars.remove_task(self._tasks.pop(name))
        self._bars.advance(self._all)
        if how == "done":
            took = "" if seconds is None else f"{seconds:8.1f} s"
            self._console.print(f"  [green]✓[/]  {name:<44}{took}", highlight=False)
        elif how != "current":
            self._console.print(f"  [red]✗[/]  {name}: {escape(how)}", highlight=False)
