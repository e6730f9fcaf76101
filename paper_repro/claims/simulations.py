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
    local_slopes,
    proportion,
    sample_of,
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
    return of(records, "sims.forget_error_vs_concentration")


def _curves(records: Records) -> dict[float, list[Records]]:
    """Of each temperature the curves: a learner and a number of samples each."""
    by_temperature = group(records, lambda r: r["config"]["temperature"])
    return {
        t: list(group(rs, lambda r: (r["config"]["learner"], r["config"]["n"])).values())
        for t, rs in by_temperature.items()
    }


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


def _fails_linearly(records: Records, claim: Claim) -> Finding | None:
    guided = _curves(_learnt(records)).get(1.0)
    if not guided:
        return None
    slopes = [_slope(curve, claim["steep"]) for curve in guided]
    low, high = 1 - claim["within"], 1 + claim["within"]
    holds = every(verdict for b in slopes for verdict in (at_least(b, low), at_most(b, high)))
    return Finding(_repeated(holds, guided), f"forget error ∝ h^b with {_steepest(slopes)}")


def _t3_rate(records: Records, claim: Claim) -> Finding | None:
    tempered = {t: curves for t, curves in _curves(_learnt(records)).items() if t > 1}
    if not tempered:
        return None
    slopes = {t: [_slope(c, claim["steep"]) for c in curves] for t, curves in tempered.items()}
    holds = every(at_most(b, 1 / t + claim["within"]) for t, found in slopes.items() for b in found)
    words = "; ".join(f"T = {t:g}: {_steepest(bs)}" for t, bs in slopes.items())
    return Finding(_repeated(holds, [c for curves in tempered.values() for c in curves]), words)


def _repeated(holds: bool | None, curves: list[Records]) -> bool | None:
    """A curve's line has an interval of its own; of a single seed it says nothing of others."""
    return holds if holds is False or all(map(_several_seeds, curves)) else None


def _several_seeds(curve: Records) -> bool:
    pooled = [v for r in curve if isinstance(v := r["values"]["forget_error"], Mapping)]
    return all(v["count"] > 1 for v in pooled) if pooled else len({r["seed"] for r in curve}) > 1


def _steepest(slopes: list[Estimate]) -> str:
    """The slope, or the greatest of several curves'."""
    steepest = max(slopes, key=lambda b: b.high)
    if len(slopes) == 1:
        return f"b = {steepest:.3f}"
    return f"b = {steepest:.3f}, the greatest of {len(slopes)} curves"


def _necessary(records: Records, claim: Claim) -> Finding | None:
    found = of(records, "sims.necessity", temperature=1.0)
    if not found:
        return None
    words, gaps = [], []
    for delta, at in group(found, lambda r: r["config"]["delta"]).items():
        high = [r for r in checked(at, "forget_error") if r["config"]["h"] >= claim["steep"]]
        exponents = local_slopes(high, lambda r: r["config"]["h"], "forget_error")
        gaps += [abs(b - 1) for b in exponents]
        words.append(f"δ = {delta:g}: b from {min(exponents):.3f} to {max(exponents):.3f}")
    return Finding(max(gaps) <= claim["within"], f"forget error ∝ h^b; {'; '.join(words)}")


def _controls(records: Records, claim: Claim) -> Finding | None:
    violations: dict[str, list[bool]] = {}
    for record in (r for r in records if r["kind"].startswith(("sims.", "llm.spike"))):
        for error, bound in _bounded(record["values"]):
            least, most = (number(record["values"], n, record, low=0.0) for n in (error, bound))
            letter = bound.rpartition("_upper_")[2].rpartition("_bound_")[2][0]
            violations.setdefault(letter, []).append(least > most * (1 + claim["rounding"]))
    if not violations:
        return None
    violated, compared = (sum(map(of_all, violations.values())) for of_all in (sum, len))
    words = [f"{violated} of {compared:,} violated; share {proportion(violated, compared):.2g}"]
    if missing := [letter for letter in claim["theory"].split(", ") if letter not in violations]:
        words.append(f"none of {', '.join(missing)} compared")
    holds = False if violated else None if missing else True
    return Finding(holds, "; ".join(words))


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
    by_temperature = group(found, lambda r: r["config"]["temperature"])
    first = min(by_temperature)
    shares = {}
    for name in ("excess_risk", "forget_error", "retain_error"):
        # One classifier is measured at every T, and its risk is the same: a trial each.
        for t, at in by_temperature.items():
            if name != "excess_risk" or t == first:
                where = "" if name == "excess_risk" else f" at T = {t:g}"
                covered = f"{name}_covered"
                shares[f"{name.replace('_', ' ')}{where}"] = share_of(checked(at, covered), covered)
    return Finding(
        every(at_least(share, claim["at_least"]) for share in shares.values()),
        "; ".join(f"{name}: {share:.3f}" for name, share in shares.items()),
    )


def _best_temperature(records: Records, claim: Claim) -> Finding | None:
    found = of(records, "sims.optimal_temperature")
    if not found:
        return None
    names = ("temperature_predicted", "temperature_worst", "forget_error_worst")
    places = [[geometric_mean_of([r], n).value for n in names] for r in checked(found, *names)]
    ratios = [p / best for p, best, error in places if error < claim["saturated"]]
    level = f"at {len(places) - len(ratios)} more the least worst error is 1"
    if not ratios:
        return Finding(None, level)
    holds = max(abs(math.log(ratio)) for ratio in ratios) <= math.log(claim["within"])
    return Finding(
        holds,
        f"predicted over best T between {min(ratios):.5f} and {max(ratios):.5f} "
        f"at {len(ratios)} places; {level}",
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
    sound = min(gaps) >= -claim["rounding"]  # else what is certified is no bound
    return Finding(
        sound and max(gaps) <= claim["at_most"],
        f"gap from {min(gaps):.2g} to {max(gaps):.2g}, median {median(gaps):.2g}, of {len(gaps)} worst cases",
    )


def _gating_pays(records: Records, claim: Claim) -> Finding | None:
    limits = {"retain_error": claim["retain_at_most"], "forget_error": claim["forget_at_most"]}
    found = [r for r in of(records, "sims.gating") if r["config"]["temperature"] > 1]
    if not {"hard", "none"} <= {r["config"]["gate"] for r in found}:
        return None
    places = group(
        checked(found, *limits),
        lambda r: (r["config"]["temperature"], r["config"]["gate_threshold"]),
    )
    holds, words = [], []
    for name, limit in limits.items():
        ratios = {at: _gated_over_uniform(rs, name) for at, rs in places.items()}
        settled = [at_most(ratio, limit) for ratio in ratios.values()]
        holds += settled
        (t, threshold), worst = max(ratios.items(), key=lambda item: item[1].value)
        words.append(
            f"{name.replace('_', ' ')} at most {limit:g} times uniform's at {settled.count(True)} "
            f"of {len(ratios)} (T, τ), most at ({t:g}, {threshold:g}): {worst:.3f}"
        )
    return Finding(every(holds), "; ".join(words))


def _gated_over_uniform(records: Records, name: str) -> Estimate:
    """Geometric mean of ratios, one value a cell; of a single cell, one value a seed.

    Cells are what can differ: seeds of one cell say nothing of the next, and all temperatures
    and thresholds of a cell are measured on the same classifiers.
    """
    by_cell = group(records, _cell)
    if len(by_cell) == 1:
        by_cell = group(records, lambda r: r["seed"])
    ratios = []
    for found in by_cell.values():
        gated, uniform = (
            sample_of([r for r in found if r["config"]["gate"] == gate], name, logarithm=True)
            for gate in ("hard", "none")
        )
        ratios.append(math.exp(gated.mean - uniform.mean))
    return geometric_mean(ratios)


_NOT_THE_CELL = ("gate", "seeds", "temperature", "gate_threshold")


def _cell(record: Mapping[str, Any]) -> str:
    return config_hash({k: v for k, v in record["config"].items() if k not in _NOT_THE_CELL})


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
