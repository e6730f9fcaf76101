"""From n samples to excess risk to errors, and whether the promises hold as often as they say."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import log_expit

from sims import memory
from sims.families import SPIKE, spike_of
from sims.learners import draw, tabular
from sims.measure import check_bounded, errors
from sims.study import Config, Probe, Study
from t3theory.bounds import guarantee
from t3theory.samples import heldout_risk_upper_bound, tabular_excess_risk

__all__ = ["STUDY"]


def _check(config: Config) -> None:
    spike_of(config)
    check_bounded(config["temperature"])
    # The losses, their squares and deviations.
    memory.require("heldout", config["heldout"], 6 * 8)


def _prepare(config: Config, generator: np.random.Generator) -> Probe:
    mixture, n = spike_of(config), config["n"]
    log_odds = tabular(draw(mixture, n, generator))
    fresh = draw(mixture, config["heldout"], generator)
    losses = np.repeat([-log_expit(log_odds), -log_expit(-log_odds)], fresh.ravel())
    # Add-one keeps f within [1/(n+2), (n+1)/(n+2)]; the Bayes risk is 0 on disjoint supports.
    certified = heldout_risk_upper_bound(losses, config["confidence"], upper=float(np.log(n + 2)))
    risk = {
        "excess_risk_expected_at_most": tabular_excess_risk(mixture.size, n),
        "excess_risk_certified": certified,
    }

    def probe(temperature: float) -> dict[str, Any]:
        values: dict[str, Any] = errors(mixture, log_odds, temperature) | risk
        promised = guarantee(mixture, certified, temperature)
        for quantity in ("retain_error", "forget_error"):
            values[f"{quantity}_guaranteed"] = min(
                b.value for b in promised if b.quantity == quantity
            )
        for name in ("excess_risk", "retain_error", "forget_error"):
            suffix = "certified" if name == "excess_risk" else "guaranteed"
            values[f"{name}_covered"] = bool(values[name] <= values[f"{name}_{suffix}"])
        return values

    return probe


STUDY = Study(
    name="sample_complexity",
    question="What do n samples guarantee of both errors, and does the guarantee cover?",
    common=SPIKE | {"skew": 0.5, "confidence": 0.95, "temperature": [1.0, 2.0]},
    scales={
        "mini": {"h": 1e4, "n": [10**k for k in range(2, 7)], "heldout": 10_000, "seeds": 40},
        "small": {
            "h": [1e2, 1e4],
            "n": [round(10 ** (k / 2)) for k in range(4, 13)],
            "heldout": [1_000, 10_000],
            "seeds": 200,
        },
        "full": {
            "h": [1e2, 1e4, 1e6],
            "n": [10**k for k in range(2, 8)],
            "heldout": [1_000, 10_000],
            "seeds": 150,
        },
    },
    prepare=_prepare,
    check=_check,
)
