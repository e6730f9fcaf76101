"""Cells: pieces of work that name what they need, and the keys that say what produced them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from paper_repro.pipeline.sources import code_hash, own_hash
from t3theory.exceptions import InputError
from t3theory.records import config_hash

__all__ = ["Cell", "Graph"]


@dataclass(frozen=True)
class Cell:
    """One call of one function whose results lie in files.

    Args:
        name: unique; also the name of its log and its stamp.
        function: "module:name", called as `function(**cell.call(out))`.
        arguments: anything JSON can hold.
        paths: arguments that are paths, relative to the run's folder.
        means: arguments that do not decide the result: where its data lie, who computes it.
        products: files or folders it leaves, relative to the run's folder.
        needs: cells whose products it reads; it cannot run without them.
        wants: cells whose products it reads where there are any.
        sources: modules whose code, with all it imports, decides the result.
        config: whatever else decides the result (a scale's settings, a hash of the data).
    """

    name: str
    function: str
    arguments: Mapping[str, Any]
    products: tuple[str, ...]
    paths: Mapping[str, str] = field(default_factory=dict)
    means: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    wants: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)

    def call(self, out: Path) -> dict[str, Any]:
        """The arguments of one call, for a run in the folder `out`."""
        paths = {name: str(out / path) for name, path in self.paths.items()}
        return {**self.arguments, **paths, **self.means}

    @property
    def inputs(self) -> tuple[str, ...]:
        """All cells that come before it."""
        return self.needs + self.wants


class Graph:
    """Cells in an order in which they can run; `listed` is the order they were given in, which
    decides between cells that are ready at the same time.

    Raises:
        InputError: two cells of one name, a need that is no cell, or a circle.

    >>> a, b = Cell("a", "m:f", {}, ("a",)), Cell("b", "m:f", {}, ("b",), needs=("a",))
    >>> [cell.name for cell in Graph([b, a])]
    ['a', 'b']
    """

    def __init__(self, cells: Iterable[Cell]) -> None:
        listed = list(cells)
        self.listed = [cell.name for cell in listed]
        self.cells = {cell.name: cell for cell in listed}
        if len(self.cells) != len(listed):
            raise InputError("two cells of the pipeline have one name")
        for cell in listed:
            for name in cell.inputs:
                if name not in self.cells:
                    raise InputError(f"cell {cell.name} needs {name}, which is no cell")
        try:
            order = list(self.sorter().static_order())
        except CycleError as error:
            raise InputError(f"cells need each other: {error.args[1]}") from error
        self.cells = {name: self.cells[name] for name in order}

    def __iter__(self) -> Any:
        return iter(self.cells.values())

    def __len__(self) -> int:
        return len(self.cells)

    def sorter(self) -> TopologicalSorter[str]:
        """A fresh sorter over the cells' names."""
        return TopologicalSorter({cell.name: cell.inputs for cell in self.cells.values()})

    def keys(self) -> dict[str, str]:
        """Name -> what its result is filed under.

        A key changes with the function, its arguments and configuration, the code it runs and
        the keys of all its inputs, and with nothing else: it is known before anything runs, and
        a run that is moved or renamed is still up to date.
        """
        keys: dict[str, str] = {}
        for cell in self:
            keys[cell.name] = config_hash(
                cell.function,
                dict(cell.arguments),
                dict(cell.paths),
                dict(cell.config),
                list(cell.products),
                own_hash(cell.function.partition(":")[0]),
                code_hash(cell.sources),
                [keys[name] for name in cell.inputs],
            )
        return keys

    def _advice(self, prefix: str) -> str:
        groups = ", ".join(dict.fromkeys(name.partition(".")[0] for name in self.listed))
        near = get_close_matches(prefix, self.listed, n=3)
        meant = f"; perhaps {' or '.join(near)}" if near else ""
        return f"expected a name that begins with one of {groups}{meant}"

    def only(self, wanted: Iterable[str]) -> Graph:
        """The cells whose names begin with one of `wanted`, and all they need.

        Raises:
            InputError: a name that no cell begins with.
        """
        todo: list[str] = []
        for prefix in wanted:
            found = [name for name in self.cells if prefix and name.startswith(prefix)]
            if not found:
                raise InputError(
                    f"--only {prefix or repr(prefix)}: no cell begins so; {self._advice(prefix)}"
                )
            todo += found
        kept: set[str] = set()
        while todo:
            name = todo.pop()
            if name not in kept:
                kept.add(name)
                todo += self.cells[name].inputs
        return Graph(self.cells[name] for name in self.listed if name in kept)
