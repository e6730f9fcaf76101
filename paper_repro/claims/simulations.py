"""The claims that studies of the theory settle."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from statistics import median
from typing import Any

from figures.statistics import (
    Estimate,
    geometric_mean,
    geometric_mean_of,
    group,
    proportion,
    share_of,
    slope_of,
)
from paper_repro.claims.evidence import (
    Claim,
    Finding,
    Records,
    at_least,
    at_most,
    checked,
    every,
    number,
    of,
)
from t3theory.records import config_hash

__all__ = ["JUDGES"]


def _learnt(records: Records) -> list[Mapping[str, Any]]:
    """One learner and one n, that a slope does not mix several curves."""
    found = of(records, "sims.forget_error_vs_concentration")
    if not found:
        return []
    learner = max(r["config"]["learner"] for r in found)
    n = max(r["config"]["n"] for r in found if r["config"]["learner"] == learner)
    return [r for r in found if r["config"]["learner"] == learner and r["config"]["n"] == n]


def _slope(records: Records, steep: float) -> Estimate:
    high = [r for r in checked(records, "forget_error") if r["config"]["h"] >= steep]
    return slope_of(high, lambda r: r["config"]["h"], "forget_error")


def _guidance_succeeds(records: Records, claim: Claim) -> Finding | None:
    guided = [r for r in _learnt(records) if r["config"]["temperature"] == 1]
    if not guided:
        return None
    least = min(r["config"]["h"] for r in guided)
    names = ("forget_error", "retain_error")
    easy = checked([r for r in guided if r["config"]["h"] == least], *names)
    forget, retain = (geometric_mean_of(easy, name) for name in names)
    return Finding(
        every(at_most(error, claim["at_most"]) for error in (forget, retain)),
        f"at h = {least:g}: forget error {forget:.2g}, retain error {retain:.2g} nats",
    )


def _linear(chosen: Records, claim: Claim) -> Finding:
    slope = _slope(chosen, claim["steep"])
    within = claim["within"]
    holds = every((at_least(slope, 1 - within), at_most(slope, 1 + within)))
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
    holds = every(at_most(s, 1 / t + claim["within"]) for t, s in slopes.items())
    return Finding(holds, "; ".join(f"T = {t:g}: b = {s:.3f}" for t, s in slopes.items()))


def _necessary(records: Records, claim: Claim) -> Finding | None:
    found = of(records, "sims.necessity", temperature=1.0)
    if not found:
        return None
    by_risk = group(found, lambda r: r["config"]["delta"])
    findings = {delta: _linear(rs, claim) for delta, rs in by_risk.items()}
    evidence = "; ".join(f"δ = {delta:g}: {f.evidence}" for delta, f in findings.items())
    return Finding(every(f.holds for f in findings.values()), evidence)


def _controls(records: Records, claim: Claim) -> Finding | None:
    compared = violated = 0
    for record in (r for r in records if r["kind"].startswith("sims.")):
        for error, bound in _bounded(record["values"]):
            least, most = (number(record["values"], name, record) for name in (error, bound))
            compared += 1
            violated += least > most * (1 + claim["rounding"])
    if not compared:
        return None
    share = proportion(violated, compared)
    return Finding(violated == 0, f"{violated} of {compared:,} violated; share {share:.2g}")


def _bounded(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Names of an error and of a bound on it: a classifier's own, or the worst attained one's.

    A guarantee in probability is another statement, and of what is pooled over seeds the single
    errors are not known.
    """
    for name, value in values.items():
        own, _, letter = name.partition("_upper_")
        worst, _, form = name.partition("_bound_")
        if isinstance(value, Mapping):
            continue
        if len(letter) == 1 and own in values:
            yield own, name
        if form and f"{worst}_attained" in values:
            yield f"{worst}_attained", name


def _covers(records: Records, claim: Claim) -> Finding | None:
    found = of(records, "sims.sample_complexity")
    if not found:
        return None
    first = min(r["config"]["temperature"] for r in found)
    # The risk is that of the classifier, whatever the temperature.
    counted = {"excess_risk": [r for r in found if r["config"]["temperature"] == first]}
    shares = {
        name: share_of(checked(counted.get(name, found), f"{name}_covered"), f"{name}_covered")
        for name in ("excess_risk", "forget_error", "retain_error")
    }
    return Finding(
        every(at_least(share, claim["at_least"]) for share in shares.values()),
        "; ".join(f"{name.replace('_', ' ')} {share:.3f}" for name, share in shares.items()),
    )


def _best_temperature(records: Records, claim: Claim) -> Finding | None:
    found = of(records, "sims.optimal_temperature")
    if not found:
        return None
    names = ("temperature_predicted", "temperature_worst")
    pairs = [[geometric_mean_of([r], n).value for n in names] for r in checked(found, *names)]
    ratios = [predicted / best for predicted, best in pairs]
    holds = max(abs(math.log(ratio)) for ratio in ratios) <= math.log(claim["within"])
    return Finding(
        holds,
        f"predicted over best T between {min(ratios):.3f} and {max(ratios):.3f} "
        f"at {len(ratios)} places",
    )


def _certified(records: Records, claim: Claim) -> Finding | None:
    found = of(records, "sims.bound_ladder")
    if not found:
        return None
    gaps = []
    for record in found:
        for quantity in ("forget_error", "retain_error"):
            names = [f"{quantity}_{which}" for which in ("attained", "certified")]
            checked([record], *names)
            attained, certified = (geometric_mean_of([record], n).value for n in names)
            gaps.append(1 - attained / certified)
    return Finding(
        max(gaps) <= claim["at_most"],
        f"gap at most {max(gaps):.2g}, median {median(gaps):.2g}, of {len(gaps)} worst cases",
    )


def _gating_pays(records: Records, claim: Claim) -> Finding | None:
    names = ("retain_error", "forget_error")
    found = [r for r in of(records, "sims.gating") if r["config"]["temperature"] > 1]
    hard, uniform = (
        {_but(r, "gate"): r for r in checked(found, *names) if r["config"]["gate"] == gate}
        for gate in ("hard", "none")
    )
    if not hard.keys() & uniform.keys():
        return None
    ratios = {
        name: geometric_mean(
            [
                geometric_mean_of([hard[k]], name).value
                / geometric_mean_of([uniform[k]], name).value
                for k in sorted(hard.keys() & uniform.keys())
            ]
        )
        for name in names
    }
    retain, forget = ratios.values()
    return Finding(
        every((at_most(retain, claim["retain_at_most"]), at_most(forget, claim["forget_at_most"]))),
        f"gated over uniform: retain error {retain:.3f}, forget error {forget:.3f}",
    )


def _but(record: Mapping[str, Any], field: str) -> str:
    """A record's configuration and seed, without one field."""
    return config_hash({k: v for k, v in record["config"].items() if k != field}, record["seed"])


JUDGES: dict[str, Callable[[Records, Claim], Finding | None]] = {
    "guidance-succeeds": _guidance_succeeds,
    "guidance-fails-linearly": _fails_linearly,
    "t3-rate": _t3_rate,
    "tempering-necessary": _necessary,
    "risk-controls-errors": _controls,
    "guarantees-cover": _covers,
    "best-temperature": _best_temperature,
    "worst-case-certified": _certified,
    "gating-pays": _gating_pays,
}
"""Claim -> its judge: records in, a finding out, None where no record bears on it."""
