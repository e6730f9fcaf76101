"""Scales: what is read, and what is said of a mistake."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from llm.experiment import CONFIGS, SCALES, TILTS, as_dict, load_scale
from llm.stages.tuning import candidates
from t3theory.exceptions import InputError


@pytest.mark.parametrize("scale", SCALES)
def test_every_scale_reads_and_is_json(scale):
    config = load_scale(scale)
    assert config.name == scale
    assert json.loads(json.dumps(as_dict(config)))["base"]["epochs"] == config.base.epochs
    assert config.tuning_seed not in config.seeds
    assert set(config.blind) == set(config.methods), "both columns, of every method"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epochs = 30", "epoch = 30", r"\[base\]: unknown epoch; expected .*epochs"),
        ("epochs = 30\n", "", r"\[base\]: no epochs"),
        ("tuning_seed = 100", "tuning_seed = 1", r"tuning_seed 1 is also one of the reported"),
        ("[data]", "[data", r"expected TOML"),
        ("stops = [0.1, ", "stops = [", r"as many candidates for every method, got .*'tilt': 8"),
        ("[data]", 'methods = ["t4"]\n[data]', r"unknown method 't4', expected some of guidance"),
        ("tuning_seed = 100", 'tuning_seed = "q"', r"tuning_seed has 'q', expected int"),
        ("tuning_seed = 100", "tuning_seed = [1]", r"tuning_seed is \[1\], expected one int"),
        ("temperatures = [", "temperatures = [0.0, ", r"temperatures has 0.0, .* more than 0"),
        ("temperatures = [", 'temperatures = ["a", ', r"temperatures has 'a', expected float"),
        ("epochs = 30", "epochs = -1", r"\[base\]: epochs has -1, expected a finite number"),
        ("epochs = 30", "epochs = true", r"\[base\]: epochs has True, expected int"),
        ("seeds = [0, ", "seeds = [0, 0, ", r"seeds is .*, expected no value twice"),
        ("heads = ", "heads = 7 # ", r"7 heads do not divide a hidden size"),
        ("[data]", "methods = []\n[data]", r"methods is empty, expected at least one str"),
        ("[data]", 'attacks = ["ask"]\n[data]', r"unknown attack 'ask', expected some of none"),
        (
            "[tilt]",
            "[tilt]\ngate_threshold = 3.0",
            r"gate_threshold has 3.0, .* 0 or more, at most 1",
        ),
        ("[tilt]", "[tilt]\ngate_threshold = -0.1", r"gate_threshold has -0.1, .* at most 1"),
        ("max_new", "utility_share = 5.0\nmax_new", r"utility_share has 5.0, .* than 0, at most 1"),
        ("max_new", "utility_share = 0.0\nmax_new", r"utility_share has 0.0, .* more than 0"),
        ("epochs = 30", "epochs = 30\nwarmup = 1.5", r"warmup has 1.5, .* 0 or more, at most 1"),
        ("memorisation = [5,", "memorisation = [50,", r"memorisation has 50, .* the 30 epochs"),
    ],
)
def test_a_mistake_in_a_scale_is_named(tmp_path, old, new, message):
    text = (CONFIGS / "full.toml").read_text()
    assert old in text
    path = tmp_path / "own.toml"
    path.write_text(text.replace(old, new))
    with pytest.raises(InputError, match=message):
        load_scale(path)


def test_a_scale_extends_another_where_it_says_nothing(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text('extends = "small"\nseeds = [7]\n[data]\nforget = "forget01"\n')
    own, small = load_scale(path), load_scale("small")
    changed = replace(small.data, forget="forget01")
    assert own == replace(small, name="own", seeds=(7,), data=changed)
    path.write_text('extends = "smal"\n')
    with pytest.raises(InputError, match=r"own.toml: extends 'smal', expected one of mini, small"):
        load_scale(path)


@pytest.mark.parametrize("scale", SCALES)
def test_every_method_has_as_many_candidates(scale):
    config = load_scale(scale)
    baseline = len(config.baseline.learning_rates) * len(config.baseline.epochs)
    for method in TILTS:
        found = candidates(config, method)
        assert len(found) == baseline
        assert len({str(setting) for setting in found}) == baseline


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_share_may_be_all_or_nothing(tmp_path, share):
    path = tmp_path / "own.toml"
    path.write_text(f'extends = "small"\n[tilt]\ngate_threshold = {share}\n')
    assert load_scale(path).tilt.gate_threshold == share


def test_an_unknown_scale_is_named():
    with pytest.raises(InputError, match=r"scale 'tiny': expected one of mini, small, .*full"):
        load_scale("tiny")
