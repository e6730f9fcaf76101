"""The claims that the experiment on language models settles."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

from figures.fig_tofu_methods import NAMES
from figures.statistics import Estimate, geometric_mean, group, mean
from llm.experiment import BASELINES
from paper_repro.claims.evidence import (
    Claim,
    Finding,
    Records,
    at_least,
    at_most,
    by_seed,
    every,
    for_every_seed,
    more_than,
    number,
    of,
    seconds_of,
    values_of,
)

__all__ = ["JUDGES"]

_QUALITY = "forget_quality_log10_p"
_RANGES = {
    "forget_quality": (0.0, 1.0),
    _QUALITY: (-math.inf, 0.0),
    "model_utility": (0.0, 1.0),
    "trained_parameters": (1.0, math.inf),
    "total_parameters": (1.0, math.inf),
}


def _evaluations(records: Records, method: str) -> dict[int, Mapping[str, Any]]:
    """Seed -> values of a method.

    Raises:
        RecordError: a value cannot be, or two records of one seed have other settings.
    """
    found = by_seed(of(records, "llm.evaluation", method=method))
    for record in found.values():
        for name in record["values"].keys() & _RANGES.keys():
            number(record["values"], name, record, *_RANGES[name])
    return {seed: record["values"] for seed, record in found.items()}


def _forgets(records: Records, claim: Claim) -> Finding | None:
    t3, full = _evaluations(records, "t3"), _evaluations(records, "full")
    seeds = sorted(t3.keys() & full.keys())
    if not seeds:
        return None
    ours, theirs = ([m[seed]["forget_quality"] for seed in seeds] for m in (t3, full))
    holds = min(ours) > claim["p_value"] > max(theirs)
    return Finding(
        for_every_seed(holds, len(seeds)),
        f"forget quality {min(ours):.2g} to {max(ours):.2g} over {len(seeds)} "
        f"seed{'s' * (len(seeds) != 1)}; "
        f"full model at most {max(theirs):.2g}",
    )


def _beats(records: Records, claim: Claim) -> Finding | None:
    gains = _gains(records, claim, _QUALITY)
    t3, full = _evaluations(records, "t3"), _evaluations(records, "full")
    common = sorted(t3.keys() & full.keys())
    if not gains or not common:
        return None
    kept = mean([t3[s]["model_utility"] / full[s]["model_utility"] for s in common])
    better = [more_than(gain, 0.0) for gain in gains.values()]
    return _of_all(
        every([at_least(kept, claim["utility_share"]), *better]),
        f"Δ log₁₀ p against {_told(gains, '.2f')}; utility kept: {kept:.3f}",
        set(claim["against"]) - gains.keys(),
    )


def _more_useful(records: Records, claim: Claim) -> Finding | None:
    gains = _gains(records, claim, "model_utility")
    better = every(more_than(gain, 0.0) for gain in gains.values())
    lacking = set(claim["against"]) - gains.keys()
    return _of_all(better, f"Δ utility against {_told(gains, '.3f')}", lacking) if gains else None


def _gains(records: Records, claim: Claim, value: str) -> dict[str, Estimate]:
    """By how much T3's value is above each other method's, paired by seed.

    A claim on trained baselines is one on all that were measured, not on those it names alone.
    """
    t3, gains, named = _evaluations(records, "t3"), {}, claim["against"]
    others = () if set(named).isdisjoint(BASELINES) else BASELINES
    for method in dict.fromkeys((*named, *others)):
        other = _evaluations(records, method)
        if seeds := sorted(t3.keys() & other.keys()):
            gains[method] = mean([t3[s][value] - other[s][value] for s in seeds])
    return gains


def _told(gains: Mapping[str, Estimate], form: str) -> str:
    return "; ".join(f"{NAMES[method]}: {gain:{form}}" for method, gain in gains.items())


def _of_all(holds: bool | None, evidence: str, lacking: Collection[str]) -> Finding | None:
    """A finding on all of some methods: one that was measured refutes it, one that was not leaves it open."""
    if not lacking:
        return Finding(holds, evidence)
    names = ", ".join(NAMES.get(method, method) for method in sorted(lacking))
    return Finding(False, f"{evidence}; not measured: {names}") if holds is False else None


def _gated(records: Records, claim: Claim) -> Finding | None:
    gated, t3, full = (_evaluations(records, m) for m in ("t3-gated", "t3", "full"))
    seeds = sorted(gated.keys() & t3.keys() & full.keys())
    if not seeds:
        return None
    gain = mean([gated[s][_QUALITY] - t3[s][_QUALITY] for s in seeds])
    kept = mean([gated[s]["model_utility"] / full[s]["model_utility"] for s in seeds])
    return Finding(
        every((at_least(gain, -claim["behind"]), at_least(kept, claim["utility_share"]))),
        f"Δ log₁₀ p against uniform T3: {gain:.2f}; utility kept: {kept:.3f}",
    )


def _chosen_blind(records: Records, claim: Claim) -> Finding | None:
    words, holds = [], []
    for method in claim["methods"]:
        informed = _evaluations(records, method)
        blind = by_seed(of(records, "llm.blind", method=method))
        seeds = sorted(blind.keys() & informed.keys())
        if not seeds:
            return None
        found = {s: number(blind[s]["values"], _QUALITY, blind[s], high=0.0) for s in seeds}
        gain = mean([found[s] - informed[s][_QUALITY] for s in seeds])
        holds.append(at_least(gain, -claim["behind"]))
        words.append(f"{NAMES[method]}: {gain:.2f}")
    return Finding(every(holds), f"Δ log₁₀ p against the informed choice: {'; '.join(words)}")


def _few_parameters(records: Records, claim: Claim) -> Finding | None:
    t3 = _evaluations(records, "t3")
    if not t3:
        return None
    shares = [v["trained_parameters"] / v["total_parameters"] for v in t3.values()]
    return Finding(max(shares) <= claim["at_most"], f"{100 * max(shares):.3f} % of the parameters")


def _little_time(records: Records, claim: Claim) -> Finding | None:
    heads = by_seed(of(records, "llm.stage", stage="fit_heads"))
    runs = group(of(records, "llm.stage", stage="train_baseline"), lambda r: r["config"]["method"])
    ratios = {}
    for method, found in runs.items():
        run = by_seed(found)
        both = sorted(run.keys() & heads.keys())
        common = [seconds_of(heads[seed]) / seconds_of(run[seed]) for seed in both]
        if common:
            ratios[method] = geometric_mean(common)
    words = [f"{ratio:.2f} of {NAMES.get(m, m)}'s time" for m, ratio in ratios.items()]
    holds = every(at_most(r, claim["at_most"]) for r in ratios.values())
    return _of_all(holds, "; ".join(words), set(claim["against"]) - ratios.keys())


def _caching_saves(records: Records, claim: Claim) -> Finding | None:
    found = by_seed(of(records, "llm.cost", stage="fit_heads")).values()
    if not found:
        return None
    saved = geometric_mean(
        [number(r["provenance"]["timings"], "uncached", r) / seconds_of(r) for r in found]
    )
    return Finding(at_least(saved, claim["at_least"]), f"{saved:.1f} times faster")


def _predicts(records: Records, claim: Claim) -> Finding | None:
    guided, t3 = (by_seed(of(records, "llm.theory", method=m)) for m in ("guidance", "t3"))
    common = sorted(guided.keys() & t3.keys())
    if not common:
        return None
    ours, theirs = ([found[s] for s in common] for found in (t3, guided))
    used = _ratios(theirs, "retain_error", theirs, "retain_error_bound")
    errors = _ratios(ours, "forget_error", theirs, "forget_error")
    share, ratio = geometric_mean(used), geometric_mean(errors)
    return Finding(
        for_every_seed(max(used) <= 1 and max(errors) < 1, len(common)),
        f"guidance's retain error is {share:.2g} of its bound; T3's forget error {ratio:.2g} of "
        f"guidance's",
    )


def _ratios(above: Records, name: str, below: Records, other: str) -> list[float]:
    return [a / b for a, b in zip(values_of(above, name), values_of(below, other), strict=True)]


JUDGES: dict[str, Callable[[Records, Claim], Finding | None]] = {
    "t3-forgets": _forgets,
    "t3-beats-guidance": _beats,
    "t3-beats-baselines": _beats,
    "t3-more-useful": _more_useful,
    "gated-t3-keeps-utility": _gated,
    "chosen-without-retain-model": _chosen_blind,
    "theory-predicts": _predicts,
    "few-parameters": _few_parameters,
    "caching-saves": _caching_saves,
    "little-time": _little_time,
}
"""Claim -> its judge: records in, a finding out, None where no record bears on it."""
