"""Tempering every context against tempering only those that look like forget text."""

from __future__ import annotations

import numpy as np

from sims import memory
from sims.learners import tabular
from sims.sequences import memorised, refuse_large
from sims.study import Config, Probe, Study

__all__ = ["STUDY"]

_BYTES = 140
"""Memory a sequence takes, at most: measured, 112 to 136, the most with two symbols."""


def _check(config: Config) -> None:
    vocabulary, length = config["vocabulary"], config["length"]
    refuse_large(vocabulary, length, config["memorised"])
    memory.require("vocabulary^length", vocabulary**length, _BYTES)


def _prepare(config: Config, generator: np.random.Generator) -> Probe:
    text = memorised(
        config["vocabulary"],
        config["length"],
        config["memorised"],
        config["gamma"],
        generator,
        config["source"],
    )
    log_odds = [tabular(counts) for counts in text.draw(config["n"], generator)]
    common = {
        "excess_risk": text.excess_risk(log_odds),
        "forget_density_sup": text.forget_density_sup,
    }

    def probe(temperature: float, gate: str, gate_threshold: float) -> dict[str, float]:
        log_q, shares = text.decode(log_odds, temperature, gate, gate_threshold)
        return common | shares | text.errors(log_q)

    return probe


STUDY = Study(
    name="gating",
    question="Does tempering only suspicious contexts keep the forget error and spare the retain?",
    common={
        "source": "bigram",
        "vocabulary": 10,
        "length": 5,
        "memorised": 8,
        "gamma": 0.1,
        "gate": ["none", "hard", "soft"],
        "gate_threshold": 0.5,
        "temperature": [1.0, 1.5, 2.0, 3.0, 4.0],
    },
    scales={
        "mini": {"n": 2_000, "seeds": 12},
        "small": {"source": ["bigram", "hidden_markov"], "n": [500, 2_000, 20_000], "seeds": 20},
        "full": {
            "source": ["bigram", "trigram", "hidden_markov"],
            "length": [4, 5],
            "gate_threshold": [0.25, 0.5, 0.75],
            "n": [500, 2_000, 20_000],
            "seeds": 12,
        },
    },
    prepare=_prepare,
    within=("temperature", "gate", "gate_threshold"),
    check=_check,
)
