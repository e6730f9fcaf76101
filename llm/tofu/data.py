"""The rows of one TOFU forget split, checked to fit together, whole or of some authors."""

from __future__ import annotations

import random
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path

from llm.pairs import words_of
from llm.tofu.rows import PAIR, TOFU_ROWS_PER_AUTHOR, Row, open_source, read_rows
from t3theory.exceptions import InputError
from t3theory.records import config_hash

__all__ = ["TofuData", "load_tofu", "mini_tofu", "read_rows"]

_PERTURBED = (*PAIR, "perturbed_answer")
_PARAPHRASED = (*_PERTURBED, "paraphrased_answer")
_COMPLEMENT = {"forget01": "retain99", "forget05": "retain95", "forget10": "retain90"}


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
    rows_per_author: int = TOFU_ROWS_PER_AUTHOR

    @property
    def knowledge(self) -> list[Row]:
        """The plain pairs about real authors and the world, for models that start knowing nothing."""
        rows = self.real_authors_perturbed + self.world_facts_perturbed
        return [{key: row[key] for key in PAIR} for row in rows]

    @cached_property
    def content_hash(self) -> str:
        """Sixteen hex digits that change whenever any row does: a part of cache keys."""
        return config_hash({f.name: getattr(self, f.name) for f in fields(self)})


def _pair(row: Row) -> tuple[str, str]:
    return words_of(row["question"], row["answer"])


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
    full = {_pair(row) for row in data.full}
    for part, whole, pairs in (
        ("forget", "full", full),
        ("retain", "full", full),
        ("retain_perturbed", "retain", retain),
    ):
        for row in getattr(data, part):
            if _pair(row) not in pairs:
                raise InputError(
                    f"{data.name}: the {part} row {row['question']!r} is not in {whole}"
                )
    seen = [row["question"] for row in data.holdout if _pair(row) in full]
    if seen:
        raise InputError(f"{data.name}: {len(seen)} holdout rows stand in full, first {seen[0]!r}")
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
    read, size = open_source(source, seed)
    data = _check(
        TofuData(
            name=f"{Path(source).name}:{forget}",
            full=read("full", PAIR),
            forget=read(forget, PAIR),
            retain=read(_COMPLEMENT[forget], PAIR),
            holdout=read(forget.replace("forget", "holdout"), PAIR),
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
