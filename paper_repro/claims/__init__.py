"""The claims of the paper, each judged from records alone."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from paper_repro.claims import language_models, simulations
from paper_repro.claims.evidence import Claim, Records
from t3theory.exceptions import T3Error
from t3theory.records import config_hash

__all__ = ["JUDGES", "Verdict", "judge_all", "read_claims"]

JUDGES = simulations.JUDGES | language_models.JUDGES
"""Claim -> its judge."""


Word = Literal["true", "false", "undecided", "not measured"]
"""Undecided: measured, but an interval has the limit within it, or one seed gave none."""

_WORDS: dict[bool | None, Word] = {True: "true", False: "false", None: "undecided"}


@dataclass(frozen=True)
class Verdict:
    """A claim and what became of it."""

    name: str
    statement: str
    theory: str
    figures: tuple[str, ...]
    command: str
    """What makes its records anew and prints the verdict."""
    verdict: Word
    evidence: str

    def as_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self) | {"figures": list(self.figures)}


@cache
def read_claims() -> dict[str, Claim]:
    """The claims of `claims.toml`, by name."""
    path = Path(__file__).with_name("claims.toml")
    return tomllib.loads(path.read_text(encoding="utf-8"))


def judge_all(records: Records, run: str = "t3 reproduce") -> list[Verdict]:
    """The verdict on every claim, in the order of `claims.toml`.

    Args:
        run: the command of the run that the records are of; each claim's own adds `--only`.

    A claim whose records lack a value, or hold one that cannot be, is not measured: its evidence
    says why, and the other claims are judged. A record that is there twice counts once.

    >>> {v.verdict for v in judge_all([])}
    {'not measured'}
    """
    once = {_identity(record): record for record in reversed(records)}
    records = list(reversed(once.values()))
    return [_judge(name, claim, records, run) for name, claim in read_claims().items()]


def _identity(record: Mapping[str, Any]) -> str:
    """The same for two copies of one measurement, whenever they were read."""
    return config_hash(*(record[part] for part in ("kind", "config", "seed", "values")))


def _judge(name: str, claim: Claim, records: Records, run: str) -> Verdict:
    finding, why = None, "no records of it"
    try:
        finding = JUDGES[name](records, claim)
    except KeyError as error:
        why = f"a record has no {error}; run its study again"
    except (T3Error, ArithmeticError, TypeError, ValueError) as error:
        why = f"its records cannot be judged: {error}"
    verdict: Word = "not measured"
    if finding is not None:
        verdict = _WORDS[finding.holds]
    return Verdict(
        name,
        claim["statement"],
        claim["theory"],
        tuple(claim["figures"]),
        f"{run} --only {claim['only']}",
        verdict,
        why if finding is None else finding.evidence,
    )
