"""TOFU's data, from the embedded mini-TOFU, a folder or the Hub, checked before use."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from llm.tofu.mini import LAYOUT_FILE, ROWS_PER_AUTHOR, mini_files
from t3theory.exceptions import InputError
from t3theory.records import config_hash

__all__ = ["TofuData", "load_tofu", "mini_tofu", "read_rows"]

Row = dict[str, Any]

_PAIR = ("question", "answer")
_PERTURBED = (*_PAIR, "perturbed_answer")
_PARAPHRASED = (*_PERTURBED, "paraphrased_answer")
_COMPLEMENT = {"forget01": "retain99", "forget05": "retain95", "forget10": "retain90"}
_TOFU_ROWS_PER_AUTHOR = 20


@dataclass(frozen=True)
class TofuData:
    """The rows of one forget split; rows are mappings with TOFU's field names.

    Symbols: `full` = `retain` + `forget`; `holdout` rows are in no training set;
    `forget_perturbed[i]` is `forget[i]` with its paraphrases and wrong answers;
    `retain_perturbed` rows stand in `retain`, in its order.
    """

    name: str
    full: list[Row]
    forget: list[Row]
    retain: list[Row]
    holdout: list[Row]
    forget_perturbed: list[Row]
    retain_perturbed: list[Row]
    real_authors_perturbed: list[Row]
    world_facts_perturbed: list[Row]
    rows_per_author: int = _TOFU_ROWS_PER_AUTHOR

    @property
    def knowledge(self) -> list[Row]:
        """The plain pairs about real authors and the world, for models that start knowing nothing."""
        rows = self.real_authors_perturbed + self.world_facts_perturbed
        return [{key: row[key] for key in _PAIR} for row in rows]

    @cached_property
    def content_hash(self) -> str:
        """Sixteen hex digits that change whenever any row does: a part of cache keys."""
        return config_hash({f.name: getattr(self, f.name) for f in fields(self)})


def _pair(row: Row) -> tuple[str, str]:
    return row["question"], row["answer"]


def _check_row(row: object, required: Sequence[str], where: str) -> Row:
    if not isinstance(row, dict):
        raise InputError(f"{where}: expected a JSON object, got {type(row).__name__}")
    for field in required:
        value = row.get(field)
        if field not in row:
            raise InputError(f"{where}: no field {field!r}, expected {', '.join(required)}")
        if field == "perturbed_answer":
            good = isinstance(value, list) and value and all(isinstance(v, str) for v in value)
            if not good:
                raise InputError(f"{where}: {field!r} is not a list of strings")
        elif not isinstance(value, str) or not value.strip():
            raise InputError(f"{where}: {field!r} is not a text: {value!r}")
    return row


def read_rows(path: str | Path, required: Sequence[str] = _PAIR) -> list[Row]:
    """The rows of a JSON Lines file, each with the `required` fields.

    Raises:
        InputError: the file is missing or empty, a line is not a JSON object, or a field is
            missing or not a text.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise InputError(f"{path}: expected a JSON Lines file, {reason}") from error
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(
                f"{path}:{number}: expected one JSON object a line, {error.msg}"
            ) from error
        rows.append(_check_row(row, required, f"{path}:{number}"))
    if not rows:
        raise InputError(f"{path}: no rows, expected at least one question and answer")
    return rows


Reader = Callable[[str, Sequence[str]], list[Row]]
"""From a file's name without suffix and its required fields to its rows."""


def _mini_reader(seed: int) -> Reader:
    files = mini_files(seed)

    def read(name: str, required: Sequence[str]) -> list[Row]:
        if name not in files:
            raise InputError(f"mini: no split {name!r}, expected one of {', '.join(files)}")
        return files[name]

    return read


def _folder_reader(folder: Path) -> Reader:
    def read(name: str, required: Sequence[str]) -> list[Row]:
        for suffix in (".jsonl", ".json"):  # the Hub's repository calls its JSON Lines .json
            if (path := folder / f"{name}{suffix}").is_file():
                return read_rows(path, required)
        raise InputError(f"{folder}: no file {name}.jsonl (expected TOFU's files)")

    return read


def _hub_reader(source: str) -> Reader:
    def read(name: str, required: Sequence[str]) -> list[Row]:
        try:
            from datasets import load_dataset
        except ImportError as error:
            raise InputError(
                f"{source}: reading from the Hub needs the package datasets (the extra 'hub')"
            ) from error
        try:
            dataset = load_dataset(source, name, split="train")
        except (OSError, ValueError) as error:
            reason = str(error).split("\n")[0]
            raise InputError(
                f"{source}: neither a folder nor a Hub dataset with {name!r}, {reason}"
            ) from error
        return [
            _check_row(dict(row), required, f"{source}/{name}:{i}")
            for i, row in enumerate(dataset, start=1)
        ]

    return read


def _rows_per_author(folder: Path) -> int:
    path = folder / LAYOUT_FILE
    if not path.is_file():
        return _TOFU_ROWS_PER_AUTHOR
    try:
        value = json.loads(path.read_text(encoding="utf-8"))["rows_per_author"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: expected a JSON object with rows_per_author") from error
    if not isinstance(value, int) or value < 1:
        raise InputError(f"{path}: rows_per_author is {value!r}, expected a whole number ≥ 1")
    return value


def _reader(source: str | Path, seed: int) -> tuple[Reader, int]:
    if str(source) == "mini":
        return _mini_reader(seed), ROWS_PER_AUTHOR
    if Path(source).is_dir():
        return _folder_reader(Path(source)), _rows_per_author(Path(source))
    if re.fullmatch(r"[\w.-]+/[\w.-]+", str(source)):
        return _hub_reader(str(source)), _TOFU_ROWS_PER_AUTHOR
    raise InputError(f"data {str(source)!r}: expected 'mini', a folder, or a Hub name (owner/name)")


def _check(data: TofuData) -> TofuData:
    """The data, if its splits fit together."""
    if not data.forget:
        raise InputError(f"{data.name}: the forget set is empty")
    retain = {_pair(row) for row in data.retain}
    both = [row["question"] for row in data.forget if _pair(row) in retain]
    if both:
        raise InputError(
            f"{data.name}: {len(both)} forget rows also stand in retain, first {both[0]!r}"
        )
    if [_pair(r) for r in data.forget] != [_pair(r) for r in data.forget_perturbed]:
        raise InputError(
            f"{data.name}: forget and forget_perturbed are not the same pairs in order"
        )
    for row in data.retain_perturbed:
        if _pair(row) not in retain:
            raise InputError(
                f"{data.name}: the retain_perturbed row {row['question']!r} is not in retain"
            )
    return data


def _choose(
    rows: list[Row],
    size: int,
    count: int,
    first: set[tuple[str, str]],
    rng: random.Random,
    what: str,
) -> list[Row]:
    """The rows of `count` authors; those with a pair in `first` are drawn before the others."""
    authors = [rows[i : i + size] for i in range(0, len(rows), size)]
    if not 1 <= count <= len(authors):
        raise InputError(f"{what} {count}: expected between 1 and {len(authors)}")
    order = rng.sample(range(len(authors)), len(authors))
    order.sort(key=lambda i: all(_pair(row) not in first for row in authors[i]))
    return [row for i in sorted(order[:count]) for row in authors[i]]


def _subset(
    data: TofuData, forget_authors: int | None, retain_authors: int | None, seed: int
) -> TofuData:
    """The rows of some authors, whole, in the files' order."""
    rng = random.Random(seed)
    size = data.rows_per_author
    forget, retain = data.forget, data.retain
    if forget_authors is not None:
        forget = _choose(forget, size, forget_authors, set(), rng, "forget_authors")
    if retain_authors is not None:
        measured = {_pair(row) for row in data.retain_perturbed}
        retain = _choose(retain, size, retain_authors, measured, rng, "retain_authors")
    kept = {_pair(row) for row in forget + retain}
    return replace(
        data,
        full=retain + forget,
        forget=forget,
        retain=retain,
        holdout=data.holdout[: len(forget)],
        forget_perturbed=[r for r in data.forget_perturbed if _pair(r) in kept],
        retain_perturbed=[r for r in data.retain_perturbed if _pair(r) in kept],
    )


def load_tofu(
    source: str | Path,
    forget: str = "forget10",
    forget_authors: int | None = None,
    retain_authors: int | None = None,
    seed: int = 0,
) -> TofuData:
    """The data of one forget split, checked; optionally of a subset of authors.

    Args:
        source: "mini", a folder with TOFU's files, or a Hub name ("locuslab/TOFU").
        forget: "forget01", "forget05" or "forget10".
        forget_authors: keep this many authors to forget, chosen by `seed`.
        retain_authors: keep this many authors to retain, chosen by `seed`; those with
            perturbed rows come first, so that retain quality can be measured.
        seed: of the choice of authors; for "mini" also of the generator.

    Raises:
        InputError: the source, a file, a split or a field is missing; the forget set is
            empty; a forget row also stands in retain; the perturbed rows do not match.

    >>> data = load_tofu("mini", forget_authors=2, retain_authors=4)
    >>> len(data.full), len(data.forget), len(data.retain_perturbed)
    (60, 20, 40)
    """
    if forget not in _COMPLEMENT:
        raise InputError(f"split {forget!r}: expected one of {', '.join(_COMPLEMENT)}")
    read, size = _reader(source, seed)
    data = _check(
        TofuData(
            name=f"{Path(source).name}:{forget}",
            full=read("full", _PAIR),
            forget=read(forget, _PAIR),
            retain=read(_COMPLEMENT[forget], _PAIR),
            holdout=read(forget.replace("forget", "holdout"), _PAIR),
            forget_perturbed=read(f"{forget}_perturbed", _PARAPHRASED),
            retain_perturbed=read("retain_perturbed", _PARAPHRASED),
            real_authors_perturbed=read("real_authors_perturbed", _PERTURBED),
            world_facts_perturbed=read("world_facts_perturbed", _PERTURBED),
            rows_per_author=size,
        )
    )
    if forget_authors is None and retain_authors is None:
        return data
    return _subset(data, forget_authors, retain_authors, seed)


def mini_tofu(seed: int = 0, forget: str = "forget10") -> TofuData:
    """Mini-TOFU in memory.

    >>> mini_tofu().forget[0].keys() == {"question", "answer"}
    True
    """
    return load_tofu("mini", forget, seed=seed)
