"""What tempering costs and buys: retain and forget error against T at fixed excess risk."""

from __future__ import annotations

from typing import Any

import numpy as np

from sims.families import SPIKE, spike_of
from sims.learners import check_random, random_of_risk
from sims.measure import bounds, errors
from sims.study import Config, Probe, Study

__all__ = ["STUDY"]


def _prepare(config: Config, generator: np.random.Generator) -> Probe:
    mixture = spike_of(config)
    log_odds = random_of_risk(mixture, config["delta"], generator)

    def probe(temperature: float) -> dict[str, Any]:
        within = bounds(mixture, log_odds, temperature, "BCEFGH")
        return errors(mixture, log_odds, temperature) | within

    return probe


STUDY = Study(
    name="temperature_tradeoff",
    question="Which retain error does each temperature pay for which forget error?",
    common=SPIKE | {"overlap": 0.05},
    scales={
        "mini": {
            "h": [1e2, 1e4, 1e6],
            "delta": 0.01,
            "temperature": [1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 6.0],
            "seeds": 12,
        },
        "small": {
            "h": [1e2, 1e4, 1e6],
            "delta": [1e-3, 1e-2, 1e-1],
            "temperature": [1 + k / 4 for k in range(25)],
            "seeds": 20,
        },
        "full": {
            "h": [10.0**k for k in range(1, 7)],
            "delta": [10.0**-k for k in range(1, 6)],
            "temperature": [1 + k / 2 for k in range(11)],
            "seeds": 30,
        },
    },
    prepare=_prepare,
    check=spike_of,
    rehearse=lambda config, rng: check_random(spike_of(config), config["delta"], rng),
)
