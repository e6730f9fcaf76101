"""What a study is: what varies, at which scale, and what is measured in a cell."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sims.fields import Scalar, checked
from sims.network import available
from t3theory.exceptions import AssumptionError, InputError
from t3theory.records import config_hash

__all__ = ["SCALES", "Cell", "Config", "Probe", "Study", "hash_field"]

SCALES = ("mini", "small", "full")

Config = Mapping[str, Any]
Probe = Callable[..., dict[str, Any]]
"""What a cell prepares: the values of a record, given its fields measured within the cell."""
_MOST_CELLS = 10**6
"""Cells of a study; they are listed before the first is computed, at about 1 kB each."""


def hash_field(name: str) -> str:
    """The field of a record that holds the hash of what the files named by another hold."""
    return f"{name}_hash"


@dataclass(frozen=True)
class Cell:
    """One configuration and one seed: the unit of work, of caching and of randomness.

    Args:
        config: its fields; one that names a folder has that folder's last name only, and beside
            it, as `<field>_hash`, the hash of what it holds.
        within: fields measured within the cell, whose value is the list of them.
        inputs: fields that name files -> the hash of what they hold.
        paths: fields that name files -> where these lie; nothing computed depends on it.
    """

    study: str
    config: dict[str, Any]
    seed: int
    within: tuple[str, ...] = ()
    inputs: dict[str, str] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)

    def generator(self) -> np.random.Generator:
        """The cell's own random numbers.

        They depend on the study's name, on the value of every field in `config` that is not in
        `within` (of files: what they hold), and on the seed; not on the order of cells nor on
        who computes them. Another temperature, measured within the cell, is thus measured on
        the same draws.
        """
        named = {*self.within, *map(hash_field, self.inputs)}
        outer = {k: v for k, v in self.config.items() if k not in named} | self.inputs
        digest = int(config_hash(self.study, outer), 16)
        words = (digest >> 32, digest & 0xFFFFFFFF)
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=words))

    def key(self, source: str) -> str:
        """What the cell's cached records are filed under."""
        return config_hash(self.study, self.config | self.inputs, self.seed, source)

    def own(self) -> Iterator[dict[str, Scalar]]:
        """For each of its records, in order, the values of the fields measured within it."""
        for values in itertools.product(*(self.config[name] for name in self.within)):
            yield dict(zip(self.within, values, strict=True))


@dataclass(frozen=True)
class Study:
    """A question, a grid for each scale, and the measurement of one cell.

    Args:
        name: also its file's name; records have the kind `sims.<name>`.
        question: what the study answers, in one sentence.
        scales: for "mini", "small" and "full" the fields and their values: a list varies,
            a scalar is fixed. `seeds` counts repetitions.
        prepare: (configuration, generator) -> what measures one record of the cell.
        check: refuses a configuration that makes no sense or does not fit; called with each
            before any work. To build the cell's mixture is the usual check.
        common: fields and values of every scale that does not say otherwise.
        within: fields whose whole list one cell measures on the same draws, the first of them
            the slowest to change.
        rehearse: (configuration, generator) -> refuses what only a cell's own draws can tell,
            with the generator that `prepare` will see; called for each cell before any work.
        inputs: for each field of a configuration that names files, the hash of what they hold.
    """

    name: str
    question: str
    scales: Mapping[str, Mapping[str, Any]]
    prepare: Callable[[Config, np.random.Generator], Probe]
    check: Callable[[Config], object]
    common: Mapping[str, Any] = field(default_factory=dict)
    within: tuple[str, ...] = ("temperature",)
    rehearse: Callable[[Config, np.random.Generator], object] | None = None
    inputs: Callable[[Config], dict[str, str]] = lambda config: {}

    @property
    def kind(self) -> str:
        """The kind of its records."""
        return f"sims.{self.name}"

    def measure(self, cell: Cell) -> Iterator[tuple[dict[str, Scalar], dict[str, Any]]]:
        """For each record of a cell, its own settings and its values."""
        probe = self.prepare(cell.config | cell.paths, cell.generator())
        for own in cell.own():
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
        """Every cell of the study, in the order its records are written.

        Raises:
            InputError, AssumptionError: as `settings`; too many cells, or a configuration that
                `check` refuses.
        """
        settings = self.settings(scale, overrides)
        seeds = settings.pop("seeds")
        if len(seeds) != 1:
            raise InputError(f"seeds: expected one number, got {seeds}")
        count = math.prod(len(v) for name, v in settings.items() if name not in self.within)
        if count * int(seeds[0]) > _MOST_CELLS:
            most = f"must be at most {_MOST_CELLS // count:,} with {count:,} configurations"
            raise AssumptionError("seeds", most, seeds[0])
        if "network" in settings.get("learner", ()):
            available()
        configs = list(self._configs(settings))
        for config in configs:
            self.check(config)
        return [
            Cell(self.name, config | names, seed, self.within, held, paths)
            for config, held, names, paths in map(self._filed, configs)
            for seed in range(int(seeds[0]))
        ]

    def _filed(
        self, config: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, str], dict[str, str], dict[str, str]]:
        """A configuration, its inputs' hashes, what records say of them, and where they lie."""
        held = self.inputs(config)
        paths = {name: config[name] for name in held}
        names = {k: Path(os.path.abspath(p)).name for k, p in paths.items()}
        return config, held, names | {hash_field(k): v for k, v in held.items()}, paths

    def _configs(self, settings: Mapping[str, list[Scalar]]) -> Iterator[dict[str, Any]]:
        outer = [name for name in settings if name not in self.within]
        inner = {name: settings[name] for name in self.within if name in settings}
        for values in itertools.product(*(settings[name] for name in outer)):
            yield dict(zip(outer, values, strict=True)) | inner


def _values(name: str, value: object) -> list[Scalar]:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    listed = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    if not listed:
        raise InputError(f"{name}: expected at least one value, got none")
    typed = [checked(name, v) for v in listed]
    if len(set(typed)) != len(typed):
        raise InputError(f"{name}: expected distinct values, got {typed}")
    return typed
