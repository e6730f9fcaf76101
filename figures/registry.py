"""The figures there are, by name, loaded when asked for."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import figures
from t3theory.exceptions import InputError

__all__ = ["FIGURES", "FigureModule"]


class FigureModule(Protocol):
    """What a `fig_<name>.py` offers."""

    KIND: str
    """The kind of records it reads."""

    @staticmethod
    def build(records: Sequence[Mapping[str, Any]]) -> Any:
        """The figure, a matplotlib Figure."""

    @staticmethod
    def caption(records: Sequence[Mapping[str, Any]]) -> str:
        """What is seen, with its numbers."""


class _Registry(Mapping[str, FigureModule]):
    def __init__(self) -> None:
        found = (module.name for module in pkgutil.iter_modules(figures.__path__))
        self._names = sorted(name[4:] for name in found if name.startswith("fig_"))

    def __getitem__(self, name: str) -> FigureModule:
        if name not in self._names:
            raise InputError(f"figure {name!r}: expected one of {', '.join(self._names)}")
        module: Any = importlib.import_module(f"figures.fig_{name}")
        return module

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


FIGURES: Mapping[str, FigureModule] = _Registry()
"""Figure name -> module, for every `figures/fig_<name>.py`."""
