"""What a study is: what varies, at which scale, and what is measured in a cell."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sims.fields import Scalar, checked
from t3theory.exceptions import InputError
from t3theory.records import config_hash

__all__ = ["SCALES", "Cell", "Config", "Probe", "Study"]

SCALES = ("mini", "small", "full")

Config = Mapping[str, Any]
Probe = Callable[..., dict[str, Any]]
"""What a cell prepares: the values of a record, given its fields measured within the cell."""


@dataclass(frozen=True)
class Cell:
    """One configuration and one seed: the unit of work, of caching and of randomness."""

    study: str
    config: dict[str, Any]
    seed: int
    within: tuple[str, ...] = ()
    inputs: str = ""

    def generator(self) -> np.random.Generator:
        """The cell's own random numbers.

        They depend on the configuration and the seed alone, not on the order of cells nor on
        who computes them; fields measured within a cell do not enter, so that another
        temperature is measured on the same draws.
        """
        outer = {k: v for k, v in self.config.items() if k not in self.within}
        digest = int(config_hash(self.study, outer), 16)
        words = (digest >> 32, digest & 0xFFFFFFFF)
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=words))

    def key(self, source: str) -> str:
        """What the cell's cached records are filed under."""
        return config_hash(self.study, self.config, self.seed, source, self.inputs)


@dataclass(frozen=True)
class Study:
    """A question, a grid for each scale, and the measurement of one cell.

    Args:
        name: also its file's name; records have the kind `sims.<name>`.
        question: what the study answers, in one sentence.
        scales: for "mini", "small" and "full" the fields and their values: a list varies,
            a scalar is fixed. `seeds` counts repetitions.
        prepare: (configuration, generator) -> what measures one record of the cell.
        common: fields and values of every scale that does not say otherwise.
        within: fields whose whole list one cell measures on the same draws, the first of them
            the slowest to change.
        check: refuses combinations of fields that make no sense, before any work.
        inputs: hash of the files a configuration names; cells are computed anew when it changes.
    """

    name: str
    question: str
    scales: Mapping[str, Mapping[str, Any]]
    prepare: Callable[[Config, np.random.Generator], Probe]
    common: Mapping[str, Any] = field(default_factory=dict)
    within: tuple[str, ...] = ("temperature",)
    check: Callable[[Config], object] = lambda config: None
    inputs: Callable[[Config], str] = lambda config: ""

    @property
    def kind(self) -> str:
        """The kind of its records."""
        return f"sims.{self.name}"

    def measure(self, cell: Cell) -> Iterator[tuple[dict[str, Scalar], dict[str, Any]]]:
        """For each record of a cell, its own settings and its values."""
        probe = self.prepare(cell.config, cell.generator())
        for values in itertools.product(*(cell.config[name] for name in self.within)):
            own = dict(zip(self.within, values, strict=True))
            yield own, probe(**own)

    def settings(self, scale: str, overrides: Config | None = None) -> dict[str, list[Scalar]]:
        """The values of every field, as lists, checked.

        Raises:
            InputError, AssumptionError: an unknown scale or field, or a wrong value.
        """
        if scale not in self.scales:
            raise InputError(f"scale {scale!r}: expected one of {', '.join(self.scales)}")
        given = dict(self.common) | dict(self.scales[scale])
        for name, value in (overrides or {}).items():
            if name not in given:
                known = ", ".join(sorted(given))
                raise InputError(
                    f"study {self.name} has no field {name!r}: expected one of {known}"
                )
            given[name] = value
        return {name: _values(name, value) for name, value in given.items()}

    def cells(self, scale: str, overrides: Config | None = None) -> list[Cell]:
        """Every cell of the study, in the order its records are written."""
        settings = self.settings(scale, overrides)
        seeds = settings.pop("seeds")
        if len(seeds) != 1:
            raise InputError(f"seeds: expected one number, got {seeds}")
        configs = list(self._configs(settings))
        for config in configs:
            self.check(config)
        return [
            Cell(self.name, config, seed, self.within, self.inputs(config))
            for config in configs
            for seed in range(int(seeds[0]))
        ]

    def _configs(self, settings: Mapping[str, list[Scalar]]) -> Iterator[dict[str, Any]]:
        outer = [name for name in settings if name not in self.within]
        inner = {name: settings[name] for name in self.within if name in settings}
        for values in itertools.product(*(settings[name] for name in outer)):
            yield dict(zip(outer, values, strict=True)) | inner


def _values(name: str, value: object) -> list[Scalar]:
    listed = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    if not listed:
        raise InputError(f"{name}: expected at least one value, got none")
    typed = [checked(name, v) for v in listed]
    if len(set(typed)) != len(typed):
        raise InputError(f"{name}: expected distinct values, got {typed}")
    return typed
