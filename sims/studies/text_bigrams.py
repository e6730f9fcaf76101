"""T3 on bigram models fitted to text: generated sentences, or a folder in TOFU's layout."""

from __future__ import annotations

import numpy as np

from sims.learners import draw, tabular
from sims.measure import errors
from sims.study import Config, Probe, Study
from sims.text import bigrams, content, generated, read, text_files
from t3theory.mixture import Mixture

__all__ = ["STUDY"]


def _inputs(config: Config) -> dict[str, str]:
    if config["text"] == "generated":
        return {}
    return {"text": content(config["text"], config["split"])}


def _of_folder(config: Config) -> Mixture:
    kept, dropped = text_files(config["text"], config["split"])
    return bigrams(read(kept), read(dropped), config["gamma"])


def _check(config: Config) -> None:
    if config["text"] != "generated":
        _of_folder(config)


def _prepare(config: Config, generator: np.random.Generator) -> Probe:
    if config["text"] == "generated":
        mixture = bigrams(*generated(generator), config["gamma"])
    else:
        mixture = _of_folder(config)
    log_odds = tabular(draw(mixture, config["n"], generator))
    about = {
        "atoms": mixture.size,
        "forget_density_sup": float(mixture.forget_density_sup),
        "forget_mass_shared": float(mixture.forget[mixture.retain > 0].sum()),
    }
    return lambda temperature: errors(mixture, log_odds, temperature) | about


STUDY = Study(
    name="text_bigrams",
    question="Does tempering pay on word pairs of text, much of which both sides share?",
    common={
        "text": "generated",
        "split": "forget10",
        "gamma": 0.1,
        "temperature": [1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 4.0],
    },
    scales={
        "mini": {"n": [1_000, 10_000], "seeds": 6},
        "small": {"n": [1_000, 10_000, 100_000], "seeds": 20},
        "full": {"n": [1_000, 10_000, 100_000, 1_000_000], "seeds": 20},
    },
    prepare=_prepare,
    check=_check,
    inputs=_inputs,
)
