"""The whole experiment, end to end, at a size of seconds."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from llm.experiment import ATTACKS, BASELINES, TILTS, load_scale
from llm.robustness.measure import applies
from llm.selection import choose, choose_blind, chosen
from llm.spike import SPIKES
from llm.stages import (
    evaluate_method,
    fit_heads,
    measure_blind,
    measure_cost,
    measure_memorisation,
    measure_robustness,
    measure_theory,
    train_base,
    train_baseline,
    train_tokenizer,
    tune_baseline,
    tune_tilts,
)
from llm.stages.files import load_data, thinned
from t3theory.exceptions import InputError, RecordError
from t3theory.records import read_records

SCALE = """
seeds = [0]
tuning_seed = 1
memorisation = [1, 12]
blind = ["guidance", "tempering", "t3", "t3-prior", "t3-gated", "t3-soft", "npo"]
[data]
forget_authors = 1
retain_authors = 2
[base]
vocab_size = 400
hidden_size = 32
intermediate_size = 48
layers = 1
heads = 2
epochs = 12
batch_size = 8
learning_rate = 1e-2
[head]
rank = 4
learning_rate = 3e-2
batch_size = 8
steps = 400
stops = [0.6, 0.4]
[tilt]
temperatures = [2.0]
guidance_scales = [1.0]
[baseline]
learning_rates = [1e-3]
epochs = [1, 2]
batch_size = 8
[evaluation]
batch_size = 64
max_new_tokens = 4
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A folder with everything up to tuning, all on one seed, and the configuration."""
    out = tmp_path_factory.mktemp("run")
    (out / "own.toml").write_text(SCALE)
    config = load_scale(out / "own.toml")
    train_tokenizer(config, "mini", out / "tokenizer")
    for which in ("full", "retain"):
        train_base(config, "mini", 0, which, out / "tokenizer", out / which)
    evaluate_method(config, "mini", 0, "retain", out / "retain", out / "eval-retain")
    fit_heads(config, "mini", 0, out / "full", out / "heads")
    logs = out / "eval-retain"
    tune_tilts(config, "mini", 0, out / "full", out / "heads", logs, out / "tilts.jsonl")
    tune_baseline(config, "mini", 0, "npo", out / "full", logs, out / "npo.jsonl")
    return config, out


def test_models_are_whole_and_the_checkpoint_is_gone(run):
    _, out = run
    for which in ("full", "retain"):
        assert (out / which / "model.safetensors").is_file()
        assert not (out / f"{which}.checkpoint").exists()


def test_heads_are_kept_in_the_order_of_their_stops(run):
    _, out = run
    heads = json.loads((out / "heads" / "heads.json").read_text())
    assert heads["risk-0.4"]["step"] > heads["risk-0.6"]["step"]
    for name in heads:
        assert (out / "heads" / name / "head.safetensors").is_file()


def test_the_tuning_seed_measures_every_candidate_once(run):
    config, out = run
    methods = [r["config"]["method"] for r in read_records(out / "tilts.jsonl", "llm.tuning")]
    assert [methods.count(m) for m in ("full", *TILTS)] == [1, 2, 2, 2, 2, 2, 2]
    assert len(read_records(out / "npo.jsonl", "llm.tuning")) == 3
    assert chosen(out / "npo.jsonl", "npo", config)["epochs"] in (1, 2)
    with pytest.raises(RecordError, match=r"expected tuning records of 'full' and 'graddiff'"):
        chosen(out / "npo.jsonl", "graddiff", config)


def test_the_full_model_of_the_sweep_is_the_full_model(run):
    """Utility from T = 1, s = 0 in the sweep and from plain scoring: two ways to one number."""
    _, out = run
    sweep, scored = (
        next(r for r in read_records(out / f) if r["config"]["method"] == "full")["values"]
        for f in ("tilts.jsonl", "npo.jsonl")
    )
    # float32 losses of a few nats, exponentiated.
    assert sweep["utility"] == pytest.approx(scored["utility"], rel=1e-4)


@pytest.mark.parametrize("method", ["full", "t3-gated", "t3-prior", "npo", "rmu", "uld"])
def test_an_evaluation_says_what_it_measured(run, method):
    config, out = run
    logs, folder = out / "eval-retain", out / f"eval-{method}"
    model, more = out / "full", {}
    if method in BASELINES:
        model, more = out / method, {"tuning": out / f"{method}.jsonl"}
        if not more["tuning"].exists():
            tune_baseline(config, "mini", 0, method, out / "full", logs, more["tuning"])
        train_baseline(config, "mini", 0, method, out / "full", more["tuning"], model)
    elif method in TILTS:
        more = {"tuning": out / "tilts.jsonl", "heads": out / "heads"}
    evaluate_method(config, "mini", 0, method, model, folder, retain_logs=logs, **more)
    [record] = read_records(folder / "records.jsonl", "llm.evaluation")
    assert record["config"]["method"] == method
    assert record["config"]["scale"] == "own"
    values = record["values"]
    assert 0 <= values["forget_quality"] <= 1
    assert 0 <= values["model_utility"] <= 1
    few = method in (*TILTS, "rmu", "uld")
    assert (values["trained_parameters"] < values["total_parameters"]) == few
    assert record["provenance"]["timings"]["tokens_per_second"] > 0
    assert (folder / "TOFU_SUMMARY.json").is_file()
    # The same seed as the tuning: two ways to the chosen setting's forget quality.
    file = out / ("tilts.jsonl" if method in (*TILTS, "full") else f"{method}.jsonl")
    tuned = {
        r["values"]["forget_quality"]
        for r in read_records(file)
        if r["config"]["method"] == method
        and (method == "full" or r["config"]["setting"] == chosen(file, method, config))
    }
    assert tuned == {values["forget_quality"]}


def test_what_a_method_needs_is_named(run):
    config, out = run
    with pytest.raises(InputError, match=r"'t3': expected tuning"):
        evaluate_method(config, "mini", 0, "t3", out / "full", out / "x")
    with pytest.raises(InputError, match=r"model 'half': expected 'full' or 'retain'"):
        train_base(config, "mini", 0, "half", out / "tokenizer", out / "x")
    with pytest.raises(InputError, match=r"expected a model and its tokenizer"):
        fit_heads(config, "mini", 0, out / "nothing", out / "x")


def test_theory_and_costs_leave_their_records(run, monkeypatch):
    monkeypatch.setattr("llm.spike.CONTEXTS", 6)
    config, out = run
    measure_theory(
        config, "mini", 0, out / "full", out / "retain", out / "heads", out / "tilts.jsonl",
        out / "theory.jsonl",
    )  # fmt: skip
    found = {
        r["config"]["method"]: r["values"] for r in read_records(out / "theory.jsonl", "llm.theory")
    }
    assert set(found) == {"full", *TILTS}
    for values in found.values():
        assert values["retain_error"] >= 0
        assert 0 <= values["forget_error"] <= 1
        # The chain rule: the text's error is the token's times the mean number of tokens (20 pairs).
        tokens = values["retain_tokens"] / 20
        assert values["retain_error_text"] == pytest.approx(values["retain_error"] * tokens)
    spikes = [r for r in read_records(out / "theory.jsonl") if r["kind"] == "llm.spike"]
    assert len(spikes) == len(SPIKES) * 2  # at T = 1 and at 2, which is T3's
    assert all(r["values"]["forget_error"] >= 0 for r in spikes)
    measure_cost(config, "mini", 0, out / "full", out / "head_cost.jsonl")
    [cost] = read_records(out / "head_cost.jsonl", "llm.cost")
    assert cost["config"]["stage"] == "fit_heads"
    assert 0 < cost["provenance"]["timings"]["caching"] < cost["provenance"]["seconds"]


def test_memorising_concentrates_the_forget_law(run, monkeypatch):
    monkeypatch.setattr("llm.spike.CONTEXTS", 6)
    config, out = run
    file = out / "memorisation.jsonl"
    measure_memorisation(config, "mini", 0, out / "tokenizer", out / "retain", file)
    records = read_records(file, "llm.spike")
    assert [r["config"]["epochs"] for r in records] == [1, 1, 12, 12]
    assert records[0]["values"]["h"] < records[2]["values"]["h"]


def test_every_attack_leaves_its_record(run):
    config, out = run
    logs, paths = out / "eval-retain", {"tuning": out / "tilts.jsonl", "heads": out / "heads"}
    for method, model, more in (("retain", "retain", {}), ("t3", "full", paths)):
        folder = out / f"eval-attacked-{method}"
        evaluate_method(config, "mini", 0, method, out / model, folder, retain_logs=logs, **more)
        measure_robustness(
            config, "mini", 0, method, out / model, out / "retain", folder, logs,
            out / "attacks.jsonl", **more,
        )  # fmt: skip
        found = {r["config"]["attack"]: r["values"] for r in read_records(out / "attacks.jsonl")}
        assert set(found) == {a for a in ATTACKS if applies(a, method)}
        for attack in set(found) - {"fluency"}:
            assert 0 <= found[attack]["forget_probability"] <= 1
            assert 0 <= found[attack]["extraction_strength"] <= 1
        for attack in ("int8", "int4"):
            assert 0 <= found[attack]["forget_quality"] <= 1
        assert found["fluency"]["fluency_loss"] > 0


def test_settings_chosen_without_a_retain_model_are_measured(run):
    config, out = run
    for method, more in (("tilts", {"heads": out / "heads"}), ("npo", {})):
        measure_blind(
            config, "mini", 0, method, out / "full", out / f"{method}.jsonl", out / "eval-retain",
            out / "blind.jsonl", **more,
        )  # fmt: skip
        records = read_records(out / "blind.jsonl", "llm.blind")
        assert [r["config"]["method"] for r in records] == (
            list(TILTS) if method == "tilts" else ["npo"]
        )
        for record in records:
            # The tuning measured the same setting on the same seed.
            tuned = [
                r["values"]
                for r in read_records(out / f"{method}.jsonl", "llm.tuning")
                if r["config"]["method"] == record["config"]["method"]
                and r["config"]["setting"].items() <= record["config"].items()
            ]
            assert {v["forget_quality"] for v in tuned} == {record["values"]["forget_quality"]}


def test_retain_rows_are_thinned_evenly(run):
    config, _ = run
    data = load_data(config, "mini")
    few = replace(config, evaluation=replace(config.evaluation, retain_rows=5))
    kept = thinned(few, data).retain_perturbed
    assert kept == [data.retain_perturbed[i] for i in (0, 4, 8, 12, 16)]
    assert thinned(config, data) is data


def test_the_blind_choice_forgets_most_within_its_budget():
    def losses(name, retain, forget):
        return {"name": name, "values": {"retain_loss": retain, "forget_loss": forget}}

    dear, good, poor = losses("dear", 1.0, 9.0), losses("good", 0.15, 5.0), losses("poor", 0.1, 1.0)
    assert choose_blind([dear, good, poor], 0.1)["name"] == "good"
    assert choose_blind([dear, good], 0.0, budget=0.1)["name"] == "good"


def candidate(name, log10_p, utility):
    return {"name": name, "values": {"forget_quality_log10_p": log10_p, "utility": utility}}


def test_the_choice_is_the_best_forget_quality_among_the_useful():
    useless, good, poor = candidate("a", 0.0, 0.3), candidate("b", -1.0, 0.6), candidate("c", -9, 1)
    assert choose([useless, good, poor], 0.7, 0.8)["name"] == "b"
    assert choose([useless], 0.7, 0.8)["name"] == "a"
