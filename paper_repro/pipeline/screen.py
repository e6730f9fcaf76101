"""What a person sees while cells run."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

__all__ = ["Progressing"]


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

    def started(self, name: str) -> None:
        """Show the cell as in work."""
        self._tasks[name] = self._bars.add_task(name, total=1)
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
            self._console.print(f"  [red]✗[/]  {name}: ", how, sep="", highlight=False, markup=True)
