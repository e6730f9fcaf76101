"""The language model's figures: what is drawn is what the records say."""

from __future__ import annotations

import random

import pytest

from figures import fig_tofu_methods, fig_tofu_theory, fig_tofu_tradeoff, save
from figures.fig_tofu_methods import NAMES

SEEDS = (1, 2, 3)


@pytest.fixture
def evaluations():
    rng = random.Random(0)
    records = []
    for i, method in enumerate(NAMES):
        for seed in SEEDS:
            values = {"model_utility": 0.5 + 0.03 * i + 0.01 * rng.random()}
            if method != "retain":
                values["forget_quality_log10_p"] = -0.3 * 1.4**i * (1 + rng.random())
            config = {"method": method, "scale": "mini", "data": "mini:forget10"}
            records.append(
                {"kind": "llm.evaluation", "seed": seed, "config": config, "values": values}
            )
    # The tuning seed's retain model is a yardstick and no result.
    yardstick = {**records[len(SEEDS)], "seed": 100, "values": {"model_utility": 0.0}}
    return [*records, yardstick]


@pytest.fixture
def spikes():
    records = []
    for seed in SEEDS:
        for temperature in (1.0, 2.0):
            for spike, h in ((1.0, 1000.0), (4.0, 100.0), (16.0, 10.0)):
                error = h ** (1 / temperature) / (100 + seed)
                values = {"h": h, "excess_risk": 0.1, "forget_error": error, "retain_error": 0.2}
                values |= {"forget_error_upper_G": 10 * error, "retain_error_upper_H": 0.4}
                config = {"spike": spike, "temperature": temperature, "data": "d", "scale": "s"}
                records.append(
                    {"kind": "llm.spike", "seed": seed, "config": config, "values": values}
                )
    early = records[0]
    config = early["config"] | {"epochs": 5}
    return [*records, {**early, "config": config, "values": early["values"] | {"h": 50.0}}]


def test_the_tradeoff_names_every_method_but_the_target_and_the_best_of_those_that_pass(
    evaluations,
):
    fig = fig_tofu_tradeoff.build(evaluations)
    [axes] = fig.axes
    assert {t.get_text() for t in axes.texts} == set(NAMES.values()) - {NAMES["retain"]}
    text = fig_tofu_tradeoff.caption(evaluations)
    assert "means over 3 seeds" in text
    passing = [
        m
        for m in NAMES
        if m != "retain"
        and sum(
            r["values"]["forget_quality_log10_p"] for r in evaluations if r["config"]["method"] == m
        )
        / 3
        > fig_tofu_methods.DISTINCT
    ]
    assert passing, "some pass and some do not, or nothing is tested"
    assert len(passing) < len(NAMES) - 1
    assert NAMES[passing[-1]] in text  # utility rises down the list


def test_no_method_passing_is_said(evaluations):
    low = [
        {**r, "values": r["values"] | {"forget_quality_log10_p": -9.0}}
        for r in evaluations
        if r["config"]["method"] != "retain"
    ]
    assert "No method" in fig_tofu_tradeoff.caption(low)


def test_the_theory_figure_finds_the_exponents(spikes):
    text = fig_tofu_theory.caption(spikes)
    assert "T = 1: h^1.00" in text
    assert "T = 2: h^0.50" in text
    assert "at most 0.5" in text  # 0.2 of 0.4 nats
    forget, _ = fig_tofu_theory.build(spikes).axes
    squares = [line for line in forget.lines if line.get_marker() == "s"]
    assert [float(line.get_xdata()[0]) for line in squares] == [50.0]


@pytest.mark.parametrize("module", [fig_tofu_methods, fig_tofu_tradeoff])
def test_the_same_picture_whatever_the_order(module, evaluations, tmp_path):
    pictures = [
        save(module.build(records), tmp_path / name)[0].read_bytes()
        for name, records in (("a", evaluations), ("b", evaluations[::-1]))
    ]
    assert pictures[0] == pictures[1]


def test_no_label_is_cut_off(evaluations, spikes):
    for fig in (fig_tofu_tradeoff.build(evaluations), fig_tofu_theory.build(spikes)):
        fig.draw_without_rendering()
        for axes in fig.axes:
            for text in axes.texts:
                assert text.get_window_extent().x1 <= fig.bbox.width + 1, text.get_text()
