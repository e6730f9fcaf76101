"""The tuning seed's stages: every candidate setting measured, for `llm.selection` to choose from."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from llm.encoding import Encoded, encode_pair
from llm.experiment import ExperimentConfig
from llm.scoring import score_rows
from llm.stages.files import about, load_data, load_model, thinned
from llm.stages.heads import load_heads, stop_name, t3_config
from llm.stages.methods import truth_ratios
from llm.stages.unlearning import unlearned
from llm.sweep import sweep_losses
from llm.tofu.data import TofuData
from llm.worth import measured_pairs, worth
from t3theory.records import make_record, write_records

__all__ = ["candidates", "encode_measured", "losses_of", "tune_baseline", "tune_tilts"]

_LOG = logging.getLogger(__name__)

GATES = {"t3-gated": "hard", "t3-soft": "soft"}


def candidates(config: ExperimentConfig, method: str) -> list[dict[str, Any]]:
    """The settings that the tuning seed chooses from, for a method of `TILTS`: equally many for all.

    Stops and temperatures for T3; for guidance, stops and scales at T = 1; for tempering, which
    has no head, as many temperatures.
    """
    tilt, stops = config.tilt, config.head.stops
    scales: tuple[float, ...] = (tilt.guidance_scale,)
    temperatures = tilt.temperatures
    if method == "guidance":
        scales, temperatures = tilt.guidance_scales, (1.0,)
    elif method == "tempering":
        number = len(stops) * len(temperatures)
        found = np.linspace(min(temperatures), max(temperatures), number)
        stops, scales = stops[:1], (0.0,)
        temperatures = tuple(round(float(t), 4) for t in found)
    own = {"gate": GATES.get(method, "none"), "prior": method == "t3-prior"}
    return [
        {"stop": stop, "temperature": temperature, "guidance_scale": scale, **own}
        for stop in stops
        for temperature in temperatures
        for scale in scales
    ]


def encode_measured(tokenizer: Any, data: TofuData) -> list[Encoded]:
    """The pairs whose losses `worth` needs, in its order, as token ids."""
    return [encode_pair(tokenizer, q, a) for q, a in measured_pairs(data)]


def losses_of(model: Any, tokenizer: Any, pairs: Sequence[Encoded], batch_size: int) -> np.ndarray:
    """The loss of every pair, nats a token."""
    scores = score_rows(model, pairs, tokenizer.pad_token_id, batch_size)
    return np.array([score.loss for score in scores])


def tune_tilts(
    config: ExperimentConfig,
    source: str | Path,
    seed: int,
    base: str | Path,
    heads: str | Path,
    retain_logs: str | Path,
    out: str | Path,
) -> None:
    """Measure every candidate of every method of `TILTS`, and the full model, from one pass.

    Args:
        base, heads: folders of the full model and of its heads.
        retain_logs: folder of the retain model's evaluation.
        out: JSON Lines file of "llm.tuning" records, which `chosen` reads.
    """
    data = load_data(config, source)
    model, tokenizer = load_model(base)
    tried = [(m, s) for m in config.tilts for s in candidates(config, m)]
    plain = {
        "stop": config.head.stops[0],
        "temperature": 1.0,
        "guidance_scale": 0.0,
        "gate": "none",
        "prior": False,
    }
    tried.insert(0, ("full", plain))
    pairs = encode_measured(tokenizer, thinned(config, data))
    losses = sweep_losses(
        model,
        pairs,
        [(stop_name(s["stop"]), t3_config(config, s, data)) for _, s in tried],
        {stop_name(k): head for k, head in load_heads(config, heads, model).items()},
        config.evaluation.batch_size,
    )
    ratios = truth_ratios(retain_logs)
    write_records(
        out,
        [
            _tuning_record(config, data, method, setting, seed, row, ratios)
            for (method, setting), row in zip(tried, losses, strict=True)
        ],
    )


def _tuning_record(
    config: ExperimentConfig,
    data: TofuData,
    method: str,
    setting: Mapping[str, Any],
    seed: int,
    losses: np.ndarray,
    retain_truth_ratios: Sequence[float],
) -> dict[str, Any]:
    described = about(config, data, method=method, setting=dict(setting))
    return make_record(
        "llm.tuning", described, seed, worth(losses, thinned(config, data), retain_truth_ratios)
    )


def tune_baseline(
    config: ExperimentConfig,
    source: str | Path,
    seed: int,
    method: str,
    base: str | Path,
    retain_logs: str | Path,
    out: str | Path,
) -> None:
    """Measure every learning rate and number of epochs of one trained baseline.

    Args as `tune_tilts`; `method` is one of `BASELINES`.
    """
    data = load_data(config, source)
    full, tokenizer = load_model(base)
    ratios = truth_ratios(retain_logs)
    pairs = encode_measured(tokenizer, thinned(config, data))

    def losses(model: Any) -> np.ndarray:
        return losses_of(model, tokenizer, pairs, config.evaluation.batch_size)

    records = [_tuning_record(config, data, "full", {}, seed, losses(full), ratios)]
    for rate in config.baseline.learning_rates:

        def measure(epoch: int, model: Any, rate: float = rate) -> None:
            if epoch in config.baseline.epochs:
                setting = {"learning_rate": rate, "epochs": epoch}
                records.append(
                    _tuning_record(config, data, method, setting, seed, losses(model), ratios)
                )
                _LOG.info("%s: rate %g, %d epochs measured", method, rate, epoch)

        unlearned(config, data, seed, method, base, rate, max(config.baseline.epochs), measure)
    write_records(out, records)
