"""Every claim can come out true, false, undecided and not measured; the records decide."""

from __future__ import annotations

import copy

import pytest

from figures.pooling import pool
from figures.registry import FIGURES
from figures.statistics import proportion
from paper_repro.claims import JUDGES, judge_all, read_claims
from sims.run import run_study
from t3theory.records import make_record


def evaluation(method, seed, **values):
    base = {"trained_parameters": 1000, "total_parameters": 1000, "model_utility": 0.9}
    return make_record("llm.evaluation", {"method": method}, seed, base | values)


def _models():
    found = []
    for seed in range(3):
        found += [
            evaluation("full", seed, forget_quality=1e-9, forget_quality_log10_p=-9.0),
            evaluation(
                "t3", seed, forget_quality=0.5, forget_quality_log10_p=-0.3, trained_parameters=5
            ),
        ]
        found += [
            evaluation(m, seed, forget_quality=0.5, forget_quality_log10_p=-0.3)
            for m in ("t3-prior", "t3-gated", "t3-soft")
        ]
        found += [
            make_record("llm.blind", {"method": m}, seed, {"forget_quality_log10_p": -0.4})
            for m in ("t3", "t3-prior", "t3-gated", "t3-soft")
        ]
        found += [
            evaluation(m, seed, forget_quality=1e-4, forget_quality_log10_p=-4.0 - seed / 10,
                       model_utility=0.88 - seed / 100)
            for m in ("guidance", "graddiff", "npo")
        ]  # fmt: skip
        spike = {"forget_error": 2.0, "forget_error_upper_G": 3.0}
        found.append(make_record("llm.spike", {"temperature": 2.0}, seed, spike))
        theory = {
            "guidance": {"retain_error": 0.01, "retain_error_bound": 0.1, "forget_error": 0.5},
            "t3": {"retain_error": 0.2, "forget_error": 0.1},
        }
        found += [make_record("llm.theory", {"method": m}, seed, v) for m, v in theory.items()]
        found.append(make_record("llm.stage", {"stage": "fit_heads"}, seed, {}, 1.0 + seed / 100))
        found.append(
            make_record(
                "llm.cost", {"stage": "fit_heads"}, seed, {}, 1.0, {"uncached": 30.0 + seed}
            )
        )
        for method in ("graddiff", "npo"):
            config = {"stage": "train_baseline", "method": method}
            found.append(make_record("llm.stage", config, seed, {}, 9.0 + seed))
    return found


def gated(hard, temperatures=(2.0, 4.0), thresholds=(0.25, 0.75), cells=6, seeds=1):
    """Records of gating in which a hard gate's forget error is `hard(T, τ, n, seed)` of uniform's."""
    return [
        make_record(
            "sims.gating",
            {"n": n, "gate": gate, "temperature": t, "gate_threshold": threshold},
            seed,
            {"retain_error": (0.5 if gate == "hard" else 1.0) * n,
             "forget_error": (hard(t, threshold, n, seed) if gate == "hard" else 1.0) * n},
        )
        for n in range(1, cells + 1)
        for seed in range(seeds)
        for t in temperatures
        for threshold in thresholds
        for gate in ("none", "hard", "soft")
    ]  # fmt: skip


@pytest.fixture(scope="module")
def records():
    curve = run_study("forget_error_vs_concentration", overrides={"seeds": 4})
    others = ("necessity", "sample_complexity", "optimal_temperature", "bound_ladder")
    return (
        curve + [r for name in others for r in run_study(name)] + gated(lambda *at: 1.0) + _models()
    )


def verdicts(records):
    return {v.name: v.verdict for v in judge_all(records)}


def test_good_records_make_every_claim_true(records):
    assert set(verdicts(records).values()) == {"true"}


def _scale(name, factor):
    def change(record):
        record["values"][name] *= factor(record) if callable(factor) else factor

    return change


def _set(**values):
    return lambda record: record["values"].update(values)


CURVE, NECESSITY, EVALUATION = (
    "sims.forget_error_vs_concentration",
    "sims.necessity",
    "llm.evaluation",
)


BROKEN = [
        ("guidance-succeeds", CURVE, "temperature", 1.0, _scale("retain_error", 1e4)),
        ("guidance-succeeds", CURVE, "temperature", 1.0, _scale("forget_error", 1e4)),
        ("guidance-fails-linearly", CURVE, "temperature", 1.0,
         _scale("forget_error", lambda r: r["config"]["h"] ** -0.2)),
        ("guidance-fails-linearly", CURVE, "temperature", 1.0,
         _scale("forget_error", lambda r: r["config"]["h"] ** 0.2)),
        ("t3-rate", CURVE, "temperature", 2.0,
         _scale("forget_error", lambda r: r["config"]["h"] ** 0.1)),
        ("tempering-necessary", NECESSITY, "delta", 1e-3,
         _scale("forget_error", lambda r: r["config"]["h"] ** -0.5)),
        ("tempering-necessary", NECESSITY, "temperature", 1.0,
         _scale("forget_error", lambda r: r["config"]["h"] ** -0.5)),
        ("guarantees-cover", "sims.sample_complexity", "temperature", 1.0,
         _set(excess_risk_covered=False)),
        ("best-temperature", "sims.optimal_temperature", "gamma", 0.1,
         _scale("temperature_predicted", 1.5)),
        ("worst-case-certified", "sims.bound_ladder", "gamma", 0.1,
         _scale("retain_error_certified", 1.01)),
        ("worst-case-certified", "sims.bound_ladder", "gamma", 0.1,
         _scale("forget_error_certified", 1.01)),
        ("gating-pays", "sims.gating", "gate", "hard", _scale("forget_error", 2.0)),
        ("gated-t3-keeps-utility", EVALUATION, "method", "t3-gated", _set(model_utility=0.85)),
        ("gated-t3-keeps-utility", EVALUATION, "method", "t3-gated",
         _set(forget_quality_log10_p=-1.1)),
        ("chosen-without-retain-model", "llm.blind", "method", "t3",
         _set(forget_quality_log10_p=-1.1)),
        ("chosen-without-retain-model", "llm.blind", "method", "t3-gated",
         _set(forget_quality_log10_p=-2.0)),
        ("risk-controls-errors", NECESSITY, "h", 1e3, _scale("forget_error", 1e6)),
        ("risk-controls-errors", "sims.bound_ladder", "gamma", 0.1,
         _scale("forget_error_attained", 1e9)),
        ("t3-forgets", EVALUATION, "method", "t3", _set(forget_quality=0.04)),
        ("t3-forgets", EVALUATION, "method", "full", _set(forget_quality=0.5)),
        ("t3-beats-guidance", EVALUATION, "method", "guidance", _set(forget_quality_log10_p=-0.1)),
        ("t3-beats-baselines", EVALUATION, "method", "npo", _set(forget_quality_log10_p=-0.1)),
        ("t3-beats-baselines", EVALUATION, "method", "npo", _set(forget_quality_log10_p=-0.3)),
        ("t3-beats-baselines", EVALUATION, "method", "t3", _set(model_utility=0.1)),
        ("t3-more-useful", EVALUATION, "method", "npo", _set(model_utility=0.95)),
        ("t3-more-useful", EVALUATION, "method", "t3", _set(model_utility=0.8)),
        ("risk-controls-errors", "llm.spike", "temperature", 2.0, _scale("forget_error", 1e3)),
        ("theory-predicts", "llm.theory", "method", "guidance", _set(retain_error_bound=1e-3)),
        ("theory-predicts", "llm.theory", "method", "t3", _set(forget_error=0.6)),
        ("few-parameters", EVALUATION, "method", "t3", _set(trained_parameters=20)),
        ("few-parameters", EVALUATION, "method", "t3",
         lambda r: r["values"].update(trained_parameters=20 if r["seed"] == 1 else 5)),
        ("caching-saves", "llm.cost", "stage", "fit_heads",
         lambda r: r["provenance"]["timings"].update(uncached=5.0)),
        ("little-time", "llm.stage", "stage", "fit_heads",
         lambda r: r["provenance"].update(seconds=100.0)),
        ("guarantees-cover", "sims.sample_complexity", "temperature", 2.0,
         _set(retain_error_covered=False)),
        ("gating-pays", "sims.gating", "gate", "hard", _scale("retain_error", 3.0)),
        ("risk-controls-errors", "sims.bound_ladder", "gamma", 0.1,
         _scale("retain_error_attained", 1e9)),
        ("t3-beats-guidance", EVALUATION, "method", "t3", _set(model_utility=0.1)),
        ("t3-more-useful", EVALUATION, "method", "guidance", _set(model_utility=0.95)),
]  # fmt: skip
"""Claim -> the records of which kind and setting are changed, and how, so that it is false."""


def test_every_claim_is_broken_once():
    assert {claim for claim, *_ in BROKEN} == set(read_claims())


@pytest.mark.parametrize(("claim", "kind", "field", "value", "change"), BROKEN)
def test_a_broken_record_turns_the_verdict(records, claim, kind, field, value, change):
    broken = copy.deepcopy(records)
    for record in broken:
        if record["kind"] == kind and record["config"].get(field) == value:
            change(record)
    assert verdicts(broken)[claim] == "false"


@pytest.mark.parametrize("slow", ["graddiff", "simnpo"])
def test_the_head_must_be_faster_than_every_baseline(records, slow):
    times = [
        make_record(
            "llm.stage", {"stage": "train_baseline", "method": method}, seed, {},
            (0.1 if method == slow else 9.0) + seed / 100,
        )
        for method in ("graddiff", "npo", "simnpo")
        for seed in range(3)
    ]  # fmt: skip
    others = [r for r in records if r["config"].get("stage") != "train_baseline"]
    assert verdicts([*others, *times])["little-time"] == "false"
    without = [r for r in times if r["config"]["method"] != "npo"]
    assert verdicts([*others, *without])["little-time"] == "false", "one that refutes it is enough"
    quick = [r for r in without if r["config"]["method"] != slow]
    assert verdicts([*others, *quick])["little-time"] == "not measured", "of NPO nothing is known"


@pytest.mark.parametrize(
    ("claim", "values"),
    [("t3-beats-baselines", {"forget_quality_log10_p": -0.1}),
     ("t3-more-useful", {"model_utility": 0.95})],
)  # fmt: skip
def test_t3_must_be_better_than_every_trained_baseline(records, claim, values):
    worse = {"forget_quality": 1e-4, "forget_quality_log10_p": -4.0, "model_utility": 0.8}
    for said, verdict in ((worse, "true"), (worse | values, "false")):
        more = [evaluation("uld", seed, **said) for seed in range(3)]
        assert verdicts([*records, *more])[claim] == verdict
    without = [r for r in records if r["config"].get("method") != "npo"]
    [refuted] = [v for v in judge_all([*without, *more]) if v.name == claim]
    assert refuted.verdict == "false", "one that refutes it is enough"
    assert "not measured: NPO" in refuted.evidence
    assert verdicts(without)[claim] == "not measured", "the paper's own must be there"


@pytest.mark.parametrize("which", [{"learner": "logistic"}, {"n": 10}])
def test_every_learner_and_number_of_samples_is_judged(records, which):
    curve = [r for r in records if r["kind"] == CURVE]
    other = copy.deepcopy(curve)
    for record in other:
        record["config"].update(which)
        record["values"]["forget_error"] *= record["config"]["h"] ** 0.2
    found = {v.name: v for v in judge_all([*other, *curve])}
    assert found["guidance-fails-linearly"].verdict == found["t3-rate"].verdict == "false"
    assert "the greatest of 2 curves" in found["t3-rate"].evidence


def test_without_its_records_a_claim_is_not_measured(records):
    found = verdicts([r for r in records if r["kind"].startswith("sims.")])
    assert found["t3-forgets"] == found["little-time"] == "not measured"
    assert found["guidance-succeeds"] == "true"


def test_one_seed_shows_nothing_but_what_it_refutes(records):
    one = [r for r in copy.deepcopy(records) if r["seed"] == 0 or r["kind"].startswith("sims.")]
    found = {v.name: v for v in judge_all(one)}
    for name in ("gated-t3-keeps-utility", "chosen-without-retain-model", "t3-forgets", "t3-beats-guidance", "t3-beats-baselines", "theory-predicts",
                 "caching-saves", "little-time"):  # fmt: skip
        assert found[name].verdict == "undecided"
    assert "one value, no interval" in found["t3-beats-guidance"].evidence
    for record in one:
        if record["kind"] == EVALUATION and record["config"]["method"] == "t3":
            record["values"]["forget_quality"] = 0.01
    assert verdicts(one)["t3-forgets"] == "false"


def test_an_interval_with_the_limit_within_it_decides_nothing(records):
    spread = copy.deepcopy(records)
    for record in spread:
        if record["kind"] == EVALUATION and record["config"]["method"] == "npo":
            record["values"]["forget_quality_log10_p"] = (-4.0, -0.1, -0.2)[record["seed"]]
    assert verdicts(spread)["t3-beats-baselines"] == "undecided"
    assert verdicts(spread)["t3-beats-guidance"] == "true"


@pytest.mark.parametrize(
    ("kind", "part", "field", "said"),
    [
        ("llm.theory", "values", "forget_error", "forget_error"),
        ("llm.stage", "provenance", "seconds", "seconds"),
        ("llm.cost", "provenance", "seconds", "seconds"),
        (CURVE, "values", "retain_error", "retain_error"),
    ],
)
@pytest.mark.parametrize("value", [float("nan"), None, "much"])
def test_what_is_not_a_number_is_named(records, kind, part, field, said, value):
    broken = copy.deepcopy(records)
    for record in broken:
        if record["kind"] == kind and field in record[part]:
            record[part][field] = value
    hurt = [v for v in judge_all(broken) if said in v.evidence and "cannot" in v.evidence]
    assert hurt
    assert {v.verdict for v in hurt} == {"not measured"}
    assert "true" in {v.verdict for v in judge_all(broken)}


@pytest.mark.parametrize(
    ("claim", "method", "values", "said"),
    [
        ("t3-forgets", "t3", {"forget_quality": 5.0}, "from 0 to 1"),
        ("t3-forgets", "t3", {"forget_quality": None}, "forget_quality is None"),
        ("t3-beats-guidance", "t3", {"forget_quality_log10_p": 300.0}, "from -inf to 0"),
        ("t3-beats-guidance", "full", {"model_utility": 0.0}, "division by zero"),
        ("few-parameters", "t3", {"total_parameters": 0}, "from 1 to inf"),
        ("few-parameters", "t3", {"trained_parameters": 0}, "from 1 to inf"),
    ],
)
def test_what_cannot_be_is_not_judged(records, claim, method, values, said):
    broken = copy.deepcopy(records)
    for record in broken:
        if record["kind"] == EVALUATION and record["config"]["method"] == method:
            record["values"].update(values)
    [found] = [v for v in judge_all(broken) if v.name == claim]
    assert found.verdict == "not measured"
    assert said in found.evidence


def test_two_settings_of_one_seed_are_not_mixed(records):
    other = evaluation("t3", 0, forget_quality=0.9, forget_quality_log10_p=-0.05)
    other["config"] = other["config"] | {"temperature": 3.0}
    [found] = [v for v in judge_all([*records, other]) if v.name == "t3-forgets"]
    assert found.verdict == "not measured"
    assert "two records with other settings" in found.evidence


def test_a_copy_of_a_record_is_no_evidence(records):
    """Of one seed nothing is known of others; a hundred copies of it know no more."""
    one = [r for r in records if r["kind"] == CURVE and r["seed"] == 0]
    for found in (one, one * 100):
        assert verdicts(found)["guidance-fails-linearly"] == "undecided"
        assert verdicts(found)["t3-rate"] == "undecided"
    assert verdicts([*records, *records]) == verdicts(records)


def test_one_case_refutes_whatever_the_others_say(records):
    """One seed whose full model passes; the last of the budgets with another rate."""
    passing = copy.deepcopy(records)
    hurt = next(r for r in passing if r["kind"] == EVALUATION and r["config"]["method"] == "full")
    hurt["values"]["forget_quality"] = 0.2
    assert verdicts(passing)["t3-forgets"] == "false"
    last = max(r["config"]["delta"] for r in records if r["kind"] == NECESSITY)
    bent = copy.deepcopy(records)
    for record in bent:
        if record["kind"] == NECESSITY and record["config"]["delta"] == last:
            record["values"]["forget_error"] *= record["config"]["h"] ** -0.5
    assert verdicts(bent)["tempering-necessary"] == "false"


def test_a_certificate_below_what_is_attained_is_none(records):
    broken = copy.deepcopy(records)
    hurt = next(r for r in broken if r["kind"] == "sims.bound_ladder")
    hurt["values"]["forget_error_attained"] = 1.01 * hurt["values"]["forget_error_certified"]
    assert verdicts(broken)["worst-case-certified"] == "false"


def test_the_order_of_records_decides_nothing(records):
    """Two records of one seed that say other things are not judged; two that say the same are one."""
    kind, method = EVALUATION, "guidance"
    again = [copy.deepcopy(r) for r in records if r["kind"] == kind
             and r["config"]["method"] == method]  # fmt: skip
    assert verdicts([*again, *records]) == verdicts(records)
    for record in again:
        record["values"]["forget_quality_log10_p"] = -0.1
    for mixed in ([*again, *records], [*records, *again]):
        [found] = [v for v in judge_all(mixed) if v.name == "t3-beats-guidance"]
        assert found.verdict == "not measured"
        assert "two records with other values" in found.evidence


@pytest.mark.parametrize(
    ("claim", "kept", "verdict"),
    [
        ("chosen-without-retain-model",
         lambda r: r["kind"] != "llm.blind" or r["config"]["method"] == "t3-soft", "not measured"),
        ("little-time",
         lambda r: r["config"].get("stage") != "train_baseline" or r["config"]["method"] != "npo"
         or r["seed"] == 9, "not measured"),
        ("t3-forgets",
         lambda r: r["kind"] != EVALUATION or r["config"]["method"] != "full" or r["seed"] == 1,
         "undecided"),
        ("risk-controls-errors", lambda r: r["kind"] == "llm.spike", "undecided"),
    ],
)  # fmt: skip
def test_a_part_of_the_records_is_not_the_whole_claim(records, claim, kept, verdict):
    assert verdicts([r for r in records if kept(r)])[claim] == verdict


@pytest.mark.parametrize(
    ("kind", "config", "claim"),
    [
        ("llm.blind", {"method": "t3"}, "chosen-without-retain-model"),
        ("llm.theory", {"method": "t3"}, "theory-predicts"),
        ("llm.cost", {"stage": "fit_heads"}, "caching-saves"),
        ("llm.stage", {"stage": "train_baseline", "method": "npo"}, "little-time"),
    ],
)
def test_two_scales_are_not_mixed(records, kind, config, claim):
    other = make_record(kind, config | {"scale": "another"}, 0, {}, 1.0)
    [found] = [v for v in judge_all([*records, other]) if v.name == claim]
    assert found.verdict == "not measured"
    assert f"kind '{kind}', seed 0: two records with other settings" in found.evidence


def test_a_tie_is_not_better(records):
    tied = copy.deepcopy(records)
    for record in tied:
        if record["kind"] == EVALUATION and record["config"]["method"] in ("t3", "npo", "guidance"):
            record["values"].update(forget_quality_log10_p=-0.3, model_utility=0.9)
    found = verdicts(tied)
    for claim in ("t3-beats-guidance", "t3-beats-baselines", "t3-more-useful"):
        assert found[claim] == "false"


def test_commands_are_those_of_the_run():
    [found] = [v for v in judge_all([], "t3 reproduce --scale small") if v.name == "t3-rate"]
    assert found.command == ("t3 reproduce --scale small --only sims.forget_error_vs_concentration")


def test_every_seed_means_every_seed(records):
    broken = copy.deepcopy(records)
    for record in broken:
        if record["kind"] == EVALUATION and record["config"]["method"] == "t3":
            record["values"]["forget_quality"] = 0.01 if record["seed"] == 1 else 0.9
    assert verdicts(broken)["t3-forgets"] == "false"


def test_a_record_without_a_value_is_named(records):
    broken = copy.deepcopy(records)
    steep = (r for r in broken if r["kind"] == NECESSITY and r["config"]["h"] == 1e6)
    del next(steep)["values"]["forget_error"]
    [found] = [v for v in judge_all(broken) if v.name == "tempering-necessary"]
    assert found.verdict == "not measured"
    assert "no 'forget_error'" in found.evidence


def test_each_claim_has_a_judge_and_figures_that_exist():
    assert set(JUDGES) == set(read_claims())
    assert {f for claim in read_claims().values() for f in claim["figures"]} <= set(FIGURES)


def of_gating(records):
    [found] = [v for v in judge_all(records) if v.name == "gating-pays"]
    return found


def test_gating_is_judged_at_each_temperature_and_threshold():
    # On average over temperatures and thresholds 1.2: below the limit, but not everywhere.
    broken = of_gating(
        gated(lambda t, threshold, n, seed: 1.8 if (t, threshold) == (4, 0.75) else 1.0)
    )
    assert broken.verdict == "false"
    assert "at 3 of 4 (T, τ), most at (4, 0.75): 1.800" in broken.evidence
    assert of_gating(gated(lambda *at: 1.2)).verdict == "true"


def test_gating_counts_a_cell_once():
    # Six cells from 0.8 to 1.55, mean 1.14: as many copies of each as there are temperatures,
    # thresholds and seeds would shrink the interval to below 1.25.
    uneven = lambda t, threshold, n, seed: 0.65 + 0.15 * n
    for seeds in (1, 5):
        assert of_gating(gated(uneven, seeds=seeds)).verdict == "undecided"
    records = gated(uneven, seeds=5)
    assert of_gating(pool(records)).evidence == of_gating(records).evidence


def test_of_a_single_cell_seeds_are_what_differs():
    records = gated(lambda t, threshold, n, seed: 1.0 + 0.01 * seed, cells=1, seeds=5)
    found = of_gating(records)
    assert found.verdict == "true"
    assert "1.020 [1.0" in found.evidence
    assert of_gating(records[:12]).verdict == "undecided", "one seed, no interval"


def test_a_guarantee_counts_a_classifier_once_at_each_temperature(records):
    found = [r for r in records if r["kind"] == "sims.sample_complexity"]
    classifiers = {(r["config"]["n"], r["seed"]) for r in found}
    [verdict] = [v for v in judge_all(found) if v.name == "guarantees-cover"]
    every = proportion(len(classifiers), len(classifiers))
    for said in ("excess risk", "forget error at T = 1", "retain error at T = 2"):
        assert f"{said}: {every:.3f}" in verdict.evidence
    broken = copy.deepcopy(found)
    for record in broken:
        if record["config"]["temperature"] == 2:
            record["values"]["forget_error_covered"] = False
    assert verdicts(broken)["guarantees-cover"] == "false"


def test_where_no_temperature_helps_none_is_compared(records):
    found = copy.deepcopy([r for r in records if r["kind"] == "sims.optimal_temperature"])
    for record in found:
        if record["values"]["forget_error_worst"] >= 1 - 1e-6:
            record["values"]["temperature_predicted"] *= 3
    assert verdicts(found)["best-temperature"] == "true"
    for record in found:
        record["values"]["forget_error_worst"] = 1.0
    assert verdicts(found)["best-temperature"] == "undecided"
