"""The claims of the paper, each judged from records alone."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from figures.statistics import Estimate, geometric_mean, group, loglog_slope, mean, proportion
from t3theory.exceptions import RecordError

__all__ = ["JUDGES", "Finding", "Verdict", "judge_all", "read_claims"]

Records = Sequence[Mapping[str, Any]]
Claim = Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """What the records say: whether the claim holds, and the numbers, with intervals, in words."""

    holds: bool
    evidence: str


@dataclass(frozen=True)
class Verdict:
    """A claim and what became of it."""

    name: str
    statement: str
    theory: str
    figures: tuple[str, ...]
    command: str
    verdict: Literal["true", "false", "not measured"]
    evidence: str

    def as_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self) | {"figures": list(self.figures)}


@cache
def read_claims() -> dict[str, Claim]:
    """The claims of `claims.toml`, by name."""
    path = Path(__file__).with_name("claims.toml")
    return tomllib.loads(path.read_text(encoding="utf-8"))


def judge_all(records: Records) -> list[Verdict]:
    """The verdict on every claim, in the order of `claims.toml`.

    Raises:
        RecordError: a record lacks a value that its kind has.

    >>> {v.verdict for v in judge_all([])}
    {'not measured'}
    """
    return [_judge(name, claim, records) for name, claim in read_claims().items()]


def _judge(name: str, claim: Claim, records: Records) -> Verdict:
    try:
        finding = JUDGES[name](records, claim)
    except KeyError as error:
        raise RecordError(f"claim {name}: a record has no {error}; run its study again") from error
    verdict: Literal["true", "false", "not measured"] = "not measured"
    if finding is not None:
        verdict = "true" if finding.holds else "false"
    return Verdict(
        name,
        claim["statement"],
        claim["theory"],
        tuple(claim["figures"]),
        claim["command"],
        verdict,
        "no records of it" if finding is None else finding.evidence,
    )


def _of(records: Records, kind: str, **config: Any) -> list[Mapping[str, Any]]:
    return [
        r
        for r in records
        if r["kind"] == kind and all(r["config"][k] == v for k, v in config.items())
    ]


def _values(records: Records, name: str) -> list[float]:
    return [float(r["values"][name]) for r in records]


def _learnt(records: Records) -> list[Mapping[str, Any]]:
    """One learner and one n, that a slope does not mix several curves."""
    found = _of(records, "sims.forget_error_vs_concentration")
    if not found:
        return []
    learner = max(r["config"]["learner"] for r in found)
    n = max(r["config"]["n"] for r in found if r["config"]["learner"] == learner)
    return [r for r in found if r["config"]["learner"] == learner and r["config"]["n"] == n]


def _slope(records: Records, steep: float) -> Estimate:
    high = [r for r in records if r["config"]["h"] >= steep]
    return loglog_slope([r["config"]["h"] for r in high], _values(high, "forget_error"))


def _guidance_succeeds(records: Records, claim: Claim) -> Finding | None:
    guided = [r for r in _learnt(records) if r["config"]["temperature"] == 1]
    if not guided:
        return None
    least = min(r["config"]["h"] for r in guided)
    easy = [r for r in guided if r["config"]["h"] == least]
    forget, retain = (mean(_values(easy, q)) for q in ("forget_error", "retain_error"))
    holds = max(forget.high, retain.high) <= claim["at_most"]
    return Finding(
        holds, f"at h = {least:g}: forget error {forget:.2g}, retain error {retain:.2g} nats"
    )


def _linear(chosen: Records, claim: Claim) -> Finding:
    slope = _slope(chosen, claim["steep"])
    holds = max(abs(slope.low - 1), abs(slope.high - 1)) <= claim["within"]
    return Finding(holds, f"forget error ∝ h^b with b = {slope:.3f}")


def _fails_linearly(records: Records, claim: Claim) -> Finding | None:
    guided = [r for r in _learnt(records) if r["config"]["temperature"] == 1]
    return _linear(guided, claim) if guided else None


def _t3_rate(records: Records, claim: Claim) -> Finding | None:
    tempered = [r for r in _learnt(records) if r["config"]["temperature"] > 1]
    if not tempered:
        return None
    slopes = {
        t: _slope(rs, claim["steep"])
        for t, rs in group(tempered, lambda r: r["config"]["temperature"]).items()
    }
    holds = all(s.high <= 1 / t + claim["within"] for t, s in slopes.items())
    return Finding(holds, "; ".join(f"T = {t:g}: b = {s:.3f}" for t, s in slopes.items()))


def _necessary(records: Records, claim: Claim) -> Finding | None:
    found = _of(records, "sims.necessity", temperature=1.0)
    if not found:
        return None
    by_risk = group(found, lambda r: r["config"]["delta"])
    findings = {delta: _linear(rs, claim) for delta, rs in by_risk.items()}
    evidence = "; ".join(f"δ = {delta:g}: {f.evidence}" for delta, f in findings.items())
    return Finding(all(f.holds for f in findings.values()), evidence)


def _controls(records: Records, claim: Claim) -> Finding | None:
    compared = violated = 0
    for record in records:
        if not record["kind"].startswith("sims."):
            continue
        values = record["values"]
        for name, bound in values.items():
            quantity, _, letter = name.partition("_upper_")
            # A worst case or a guarantee in probability is another statement.
            if len(letter) == 1 and quantity in values:
                compared += 1
                violated += not values[quantity] <= bound * (1 + claim["rounding"])
    if not compared:
        return None
    share = proportion(violated, compared)
    return Finding(violated == 0, f"{violated} of {compared:,} violated; share {share:.2g}")


def _evaluations(records: Records, method: str) -> dict[int, Mapping[str, Any]]:
    """Seed -> values of a method.

    Raises:
        RecordError: a value is not a number; no comparison with it means anything.
    """
    for record in _of(records, "llm.evaluation", method=method):
        for name, value in record["values"].items():
            if isinstance(value, float) and math.isnan(value):
                raise RecordError(f"{method}, seed {record['seed']}: {name} is not a number")
    return {r["seed"]: r["values"] for r in _of(records, "llm.evaluation", method=method)}


def _forgets(records: Records, claim: Claim) -> Finding | None:
    t3, full = _evaluations(records, "t3"), _evaluations(records, "full")
    if not t3 or not full:
        return None
    ours, theirs = ([v["forget_quality"] for v in m.values()] for m in (t3, full))
    holds = min(ours) > claim["p_value"] > max(theirs)
    seeds = f"{len(ours)} seed{'s' * (len(ours) != 1)}"
    return Finding(
        holds,
        f"forget quality {min(ours):.2g} to {max(ours):.2g} over {seeds}; "
        f"full model at most {max(theirs):.2g}",
    )


def _beats(records: Records, claim: Claim) -> Finding | None:
    t3, full = _evaluations(records, "t3"), _evaluations(records, "full")
    words, holds = [], True
    for method in claim["against"]:
        other = _evaluations(records, method)
        seeds = sorted(t3.keys() & other.keys())
        if not seeds:
            return None
        key = "forget_quality_log10_p"
        gain = mean([t3[s][key] - other[s][key] for s in seeds])
        # One seed has no interval: nothing is shown by it.
        holds = holds and len(seeds) > 1 and gain.low > 0
        words.append(f"Δ log₁₀ p against {method}: {gain:.2f}")
    common = sorted(t3.keys() & full.keys())
    if not common:
        return None
    kept = mean([t3[s]["model_utility"] / full[s]["model_utility"] for s in common])
    words.append(f"utility kept: {kept:.3f}")
    return Finding(holds and kept.low >= claim["utility_share"], "; ".join(words))


def _few_parameters(records: Records, claim: Claim) -> Finding | None:
    t3 = _evaluations(records, "t3")
    if not t3:
        return None
    shares = [v["trained_parameters"] / v["total_parameters"] for v in t3.values()]
    return Finding(max(shares) <= claim["at_most"], f"{max(shares):.3%} of the parameters")


def _little_time(records: Records, claim: Claim) -> Finding | None:
    heads = {
        r["seed"]: r["provenance"]["seconds"] for r in _of(records, "llm.stage", stage="fit_heads")
    }
    runs = group(_of(records, "llm.stage", stage="train_baseline"), lambda r: r["config"]["method"])
    words, holds = [], True
    for method, found in runs.items():
        ratios = [
            heads[r["seed"]] / r["provenance"]["seconds"] for r in found if r["seed"] in heads
        ]
        if ratios:
            ratio = geometric_mean(ratios)
            holds = holds and ratio.high < claim["at_most"]
            words.append(f"{ratio:.2f} of {method}'s time")
    return Finding(holds, "; ".join(words)) if words else None


def _predicts(records: Records, claim: Claim) -> Finding | None:
    by_method = group(_of(records, "llm.theory"), lambda r: r["config"]["method"])
    guided = {r["seed"]: r["values"] for r in by_method.get("guidance", [])}
    t3 = {r["seed"]: r["values"] for r in by_method.get("t3", [])}
    common = sorted(guided.keys() & t3.keys())
    if not common:
        return None
    used = [guided[s]["retain_error"] / guided[s]["retain_error_bound"] for s in common]
    errors = [t3[s]["forget_error"] / guided[s]["forget_error"] for s in common]
    share, ratio = mean(used), geometric_mean(errors)
    return Finding(
        max(used) <= 1 and max(errors) < 1,
        f"guidance's retain error is {share:.2g} of its bound; T3's forget error {ratio:.2g} of "
        f"guidance's",
    )


JUDGES: dict[str, Callable[[Records, Claim], Finding | None]] = {
    "guidance-succeeds": _guidance_succeeds,
    "guidance-fails-linearly": _fails_linearly,
    "t3-rate": _t3_rate,
    "tempering-necessary": _necessary,
    "risk-controls-errors": _controls,
    "t3-forgets": _forgets,
    "t3-beats-guidance": _beats,
    "t3-beats-baselines": _beats,
    "theory-predicts": _predicts,
    "few-parameters": _few_parameters,
    "little-time": _little_time,
}
"""Claim -> its judge: records in, a finding out, None where no record bears on it."""
