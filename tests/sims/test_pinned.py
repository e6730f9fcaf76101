"""Every study on one small instance: the values it had when they were last looked at.

What is measured has tests of its own; these hold still how a study puts it together (which draws
a classifier sees, which bound is asked for). A change that is meant changes these numbers.
"""

from __future__ import annotations

from typing import Any

import pytest

from sims import studies
from sims.run import run_study

SMALL: dict[str, dict[str, Any]] = {
    "alphabets": {
        "atoms": 50,
        "n": 300,
        "seeds": 1,
        "temperature": 2.0,
        "learner": ["tabular", "logistic"],
    },
    "bound_ladder": {"h": 30, "retain_atoms": 4, "draws": 2, "temperature": 2.0},
    "dimension_and_overlap": {
        "dimension": 2,
        "distance": 1.0,
        "delta": 0.01,
        "atoms": 25,
        "draws": 1,
    },
    "early_stopping": {"h": 100, "n": 100, "steps": [3, 30], "seeds": 1, "temperature": 2.0},
    "forget_error_vs_concentration": {"h": 100, "n": 200, "seeds": 1, "temperature": 2.0},
    "gating": {
        "n": 50,
        "vocabulary": 4,
        "length": 3,
        "memorised": 2,
        "seeds": 1,
        "temperature": 3.0,
    },
    "gaussian_width": {"width": 0.1, "dimension": [1, 2], "atoms_per_axis": 12, "temperature": 2.0},
    "guidance_scale": {"h": 100, "n": 200, "seeds": 1, "temperature": 2.0, "guidance_scale": 1.5},
    "necessity": {"h": 100, "delta": 0.01, "temperature": 2.0},
    "optimal_temperature": {"h": 1000, "delta": 0.01, "draws": 3, "seeds": 1},
    "pareto": {"h": 100, "n": 200, "seeds": 1, "temperature": 2.0, "guidance_scale": 1.5},
    "prior_correction": {"h": 100, "n": 200, "gamma": 0.03, "seeds": 1, "temperature": 2.0},
    "sample_complexity": {"h": 100, "n": 200, "heldout": 500, "seeds": 1, "temperature": 2.0},
    "temperature_tradeoff": {"h": 100, "delta": 0.01, "seeds": 1, "temperature": 2.0},
    "text_bigrams": {"n": 1000, "seeds": 1, "temperature": 2.0},
}
PINNED: dict[str, list[dict[str, Any]]] = {
    "alphabets": [
        {"retain_error": 0.1275012663, "forget_error": 0.193799887, "excess_risk": 0.1177624011},
        {"retain_error": 0.1713394165, "forget_error": 0.1364478561, "excess_risk": 0.01900736108},
        {"retain_error": 0.1031261187, "forget_error": 0.8464314953, "excess_risk": 0.09722440755},
        {"retain_error": 0.1390166966, "forget_error": 0.3180246789, "excess_risk": 0.03615286096},
    ],
    "bound_ladder": [
        {
            "retain_error_certified": 0.04182563754,
            "forget_error_random": [0.03081623339, 0.01609689881],
            "forget_error_attained": 0.179049973,
        }
    ],
    "dimension_and_overlap": [
        {
            "retain_error_random": [0.0001647789997],
            "forget_error_random": [0.001193829926],
            "forget_error_attained": 0.005712850624,
        }
    ],
    "early_stopping": [
        {"excess_risk": 0.2965054955, "retain_error": 0.1276862622, "forget_error": 2.322767561},
        {"excess_risk": 0.1528654578, "retain_error": 0.1358728218, "forget_error": 1.065156757},
    ],
    "forget_error_vs_concentration": [
        {"excess_risk": 0.2518323237, "retain_error": 0.03372514889, "forget_error": 0.6326711439}
    ],
    "gating": [
        {
            "excess_risk": 0.1903266084,
            "retain_gated": 1.0,
            "forget_gated": 1.0,
            "retain_error": 0.1155278454,
            "forget_error": 0.4193880153,
        },
        {
            "excess_risk": 0.1903266084,
            "retain_gated": 0.00844094607,
            "forget_gated": 0.1666666667,
            "retain_error": 0.03661324029,
            "forget_error": 1.198533346,
        },
        {
            "excess_risk": 0.1903266084,
            "retain_gated": 0.2263061941,
            "forget_gated": 0.316546883,
            "retain_error": 0.02679102335,
            "forget_error": 0.7607571696,
        },
    ],
    "gaussian_width": [
        {
            "retain_error": 0.09515693464,
            "forget_error": 0.042052688,
            "forget_density_sup": 3.601807518,
        },
        {
            "retain_error": 0.189525656,
            "forget_error": 0.04281670479,
            "forget_density_sup": 12.97301739,
        },
    ],
    "guidance_scale": [
        {"excess_risk": 0.2152691891, "retain_error": 0.1014928932, "forget_error": 0.5367424106}
    ],
    "necessity": [
        {"excess_risk": 0.01, "retain_error": 0.003167065615, "forget_error": 0.3162055752}
    ],
    "optimal_temperature": [
        {
            "temperature_worst": 1.697858384,
            "n": 1699.0,
            "excess_risk_learnt": 0.00963743837,
            "forget_error_random": 0.4566351882,
            "temperature_learnt": 1.189207115,
            "forget_error_learnt": 0.05751075294,
        }
    ],
    "pareto": [
        {"excess_risk": 0.1872997048, "retain_error": 0.1145544996, "forget_error": 0.4907660165}
    ],
    "prior_correction": [
        {"excess_risk": 0.03159554888, "retain_error": 0.2209048074, "forget_error": 1.657068541},
        {"excess_risk": 0.4252669242, "retain_error": 0.1573604517, "forget_error": 0.7887102194},
        {"excess_risk": 0.02881293533, "retain_error": 0.2213241142, "forget_error": 1.759882768},
    ],
    "sample_complexity": [
        {
            "excess_risk": 0.2503310702,
            "forget_error": 0.6741766715,
            "excess_risk_certified": 0.3718761577,
            "retain_error_guaranteed": 0.6147812887,
        }
    ],
    "temperature_tradeoff": [
        {"excess_risk": 0.01, "retain_error": 0.2178929775, "forget_error": 0.2196415628}
    ],
    "text_bigrams": [
        {"excess_risk": 0.3935932451, "retain_error": 0.110314191, "forget_error": 0.7909422973}
    ],
}


def test_every_study_is_pinned():
    assert sorted(SMALL) == sorted(PINNED) == studies.names()


@pytest.mark.parametrize("name", sorted(SMALL))
def test_values_stand(name):
    found = [record["values"] for record in run_study(name, overrides=SMALL[name])]
    assert len(found) == len(PINNED[name])
    for values, pinned in zip(found, PINNED[name], strict=True):
        # Written to ten digits; roots and searches to less on other processors.
        for key, value in pinned.items():
            assert values[key] == pytest.approx(value, rel=1e-6), key
