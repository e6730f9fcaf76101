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
    """What the records say: whether the claim holds, and the numbers, with intervals, in words.

    `holds` is None where the numbers settle nothing, as those of a single seed.
    """

    holds: bool | None
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
    if finding is not None and finding.holds is not None:
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


def _number(where: Mapping[str, Any], name: str, record: Mapping[str, Any]) -> float:
    """A number of a record; no comparison with anything else means something."""
    value = where[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise RecordError(
            f"a record of kind {record['kind']!r}, seed {record['seed']}: {name} is {value!r}, "
            "expected a number"
        )
    return float(value)


def _values(records: Records, name: str) -> list[float]:
    return [_number(r["values"], name, r) for r in records]


def _settle(holds: bool, *estimates: Estimate) -> bool | None:
    """`holds`, or None where an estimate has no interval to judge by."""
    return holds if all(e.has_interval for e in estimates) else None


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
        _settle(holds, forget, retain),
        f"at h = {least:g}: forget error {forget:.2g}, retain error {retain:.2g} nats",
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
        for name in values:
            quantity, _, letter = name.partition("_upper_")
            # A worst case or a guarantee in probability is another statement.
            if len(letter) == 1 and quantity in values:
                error, bound = (_number(values, key, record) for key in (quantity, name))
                compared += 1
                violated += error > bound * (1 + claim["rounding"])
    if not compared:
        return None
    share = proportion(violated, compared)
    return Finding(violated == 0, f"{violated} of {compared:,} violated; share {share:.2g}")


def _evaluations(records: Records, method: str) -> dict[int, Mapping[str, Any]]:
    """Seed -> values of a method.

    Raises:
        RecordError: a value is not a number; no comparison with it means anything.
    """
    found = _of(records, "llm.evaluation", method=method)
    for record in found:
        for name, value in record["values"].items():
            if isinstance(value, float) and math.isnan(value):
                raise RecordError(f"{method}, seed {record['seed']}: {name} is not a number")
    return {r["seed"]: r["values"] for r in found}


def _for_every_seed(holds: bool, seeds: int) -> bool | None:
    """A statement about every seed: refuted by one, not shown by one."""
    return holds if seeds > 1 or not holds else None


def _forgets(records: Records, claim: Claim) -> Finding | None:
    t3, full = _evaluations(records, "t3"), _evaluations(records, "full")
    if not t3 or not full:
        return None
    ours, theirs = ([v["forget_quality"] for v in m.values()] for m in (t3, full))
    holds = min(ours) > claim["p_value"] > max(theirs)
    seeds = f"{len(ours)} seed{'s' * (len(ours) != 1)}"
    return Finding(
        _for_every_seed(holds, len(ours)),
        f"forget quality {min(ours):.2g} to {max(ours):.2g} over {seeds}; "
        f"full model at most {max(theirs):.2g}",
    )


def _beats(records: Records, claim: Claim) -> Finding | None:
    t3, full = _evaluations(records, "t3"), _evaluations(records, "full")
    words, gains, key = [], [], "forget_quality_log10_p"
    for method in claim["against"]:
        other = _evaluations(records, method)
        seeds = sorted(t3.keys() & other.keys())
        if not seeds:
            return None
        gain = mean([t3[s][key] - other[s][key] for s in seeds])
        gains.append(gain)
        words.append(f"Δ log₁₀ p against {method}: {gain:.2f}")
    common = sorted(t3.keys() & full.keys())
    if not common:
        return None
    kept = mean([t3[s]["model_utility"] / full[s]["model_utility"] for s in common])
    words.append(f"utility kept: {kept:.3f}")
    holds = kept.low >= claim["utility_share"] and all(gain.low > 0 for gain in gains)
    return Finding(_settle(holds, kept, *gains), "; ".join(words))


def _few_parameters(records: Records, claim: Claim) -> Finding | None:
    t3 = _evaluations(records, "t3")
    if not t3:
        return None
    shares = [v["trained_parameters"] / v["total_parameters"] for v in t3.values()]
    return Finding(max(shares) <= claim["at_most"], f"{max(shares):.3%} of the parameters")


def _little_time(records: Records, claim: Claim) -> Finding | None:
    heads = {r["seed"]: _seconds(r) for r in _of(records, "llm.stage", stage="fit_heads")}
    runs = group(_of(records, "llm.stage", stage="train_baseline"), lambda r: r["config"]["method"])
    words, ratios = [], []
    for method, found in runs.items():
        common = [heads[r["seed"]] / _seconds(r) for r in found if r["seed"] in heads]
        if common:
            ratios.append(geometric_mean(common))
            words.append(f"{ratios[-1]:.2f} of {method}'s time")
    if not ratios:
        return None
    holds = all(ratio.high < claim["at_most"] for ratio in ratios)
    return Finding(_settle(holds, *ratios), "; ".join(words))


def _caching_saves(records: Records, claim: Claim) -> Finding | None:
    found = _of(records, "llm.cost", stage="fit_heads")
    if not found:
        return None
    saved = geometric_mean(
        [_number(r["provenance"]["timings"], "uncached", r) / _seconds(r) for r in found]
    )
    return Finding(_settle(saved.low >= claim["at_least"], saved), f"{saved:.1f} times faster")


def _seconds(record: Mapping[str, Any]) -> float:
    return _number(record["provenance"], "seconds", record)


def _predicts(records: Records, claim: Claim) -> Finding | None:
    guided, t3 = (
        {r["seed"]: r for r in _of(records, "llm.theory", method=m)} for m in ("guidance", "t3")
    )
    common = sorted(guided.keys() & t3.keys())
    if not common:
        return None
    ours, theirs = ([found[s] for s in common] for found in (t3, guided))
    used = _ratios(theirs, "retain_error", theirs, "retain_error_bound")
    errors = _ratios(ours, "forget_error", theirs, "forget_error")
    share, ratio = mean(used), geometric_mean(errors)
    return Finding(
        _for_every_seed(max(used) <= 1 and max(errors) < 1, len(common)),
        f"guidance's retain error is {share:.2g} of its bound; T3's forget error {ratio:.2g} of "
        f"guidance's",
    )


def _ratios(above: Records, name: str, below: Records, other: str) -> list[float]:
    return [a / b for a, b in zip(_values(above, name), _values(below, other), strict=True)]


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
    "caching-saves": _caching_saves,
    "little-time": _little_time,
}
"""Claim -> its judge: records in, a finding out, None where no record bears on it."""
