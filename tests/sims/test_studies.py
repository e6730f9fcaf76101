"""What the studies show: the rates of the theory, on measured errors."""

from __future__ import annotations

import pytest

from figures import fig_forget_error_vs_concentration as concentration
from figures import fig_necessity as necessity
from sims.run import run_study


@pytest.fixture(scope="module")
def learnt():
    return run_study("forget_error_vs_concentration", overrides={"seeds": 10})


def test_guidance_grows_linearly_and_t3_no_faster_than_its_power(learnt):
    found = concentration.slopes(learnt)
    assert found[1.0].low <= 1 <= found[1.0].high
    for t in (1.5, 2.0, 4.0):
        # h^{1/T} is the rate in the limit; from h = 100 on it is exact within the fit's interval.
        assert found[t].low <= 1 / t
        assert found[t].value < found[1.0].low


def test_measured_errors_lie_between_their_bounds(learnt):
    checked = 0
    for record in learnt:
        values = record["values"]
        for key, value in values.items():
            quantity = key[: len("retain_error")]
            if "_upper_" in key:
                # Rounding of sums over 68 atoms.
                assert values[quantity] <= value * (1 + 1e-12), (key, record["config"])
                checked += 1
            if "_lower_" in key:
                assert values[quantity] >= value * (1 - 1e-12), (key, record["config"])
                checked += 1
    assert checked > len(learnt)


def test_necessity_matches_its_formula_and_diverges():
    records = run_study("necessity")
    for record in records:
        values = record["values"]
        # The classifier's ε comes from a root search to 1e-14 on a logarithmic scale.
        assert values["forget_error"] == pytest.approx(values["forget_error_formula"], rel=1e-9)
    found = necessity.slopes(records)
    assert found[1.0].value == pytest.approx(1, abs=1e-9)
    assert all(found[t].value < 1 / t + 0.01 for t in (1.5, 2.0, 4.0))


def test_tempering_buys_forget_error_with_retain_error():
    records = run_study("temperature_tradeoff", overrides={"h": 1e6, "seeds": 3})
    for seed in range(3):
        of_seed = [r["values"] for r in records if r["seed"] == seed]
        assert [v["forget_error"] for v in of_seed] == sorted(
            (v["forget_error"] for v in of_seed), reverse=True
        )
        assert [v["retain_error"] for v in of_seed] == sorted(v["retain_error"] for v in of_seed)
