"""The theory's quantities on the language model, where the retain model is known.

Contexts are the positions that predict answer tokens. In the world that the bounds speak of

    retain contexts   weight 1−γ    y ~ p_r(·|c), the retain model         f* = 1
    forget contexts   weight γ      y = the memorised token                f* = 0

uniform over the answer tokens of each kind, γ the share of forget tokens. (No prefix is of
both kinds: every question names its author.) All sums over the vocabulary are exact.

* excess risk δ(f) = (1−γ) E_r Σ_y p_r(y|c) log 1/f(y|c) + γ E_f log 1/(1−f(y|c));
* retain error = E_r KL(p_r(·|c) ‖ p̂(·|c)), nats a token; by the chain rule (L) a text's is
  the sum over its tokens;
* forget error = E_f |p_r(y|c) − p̂(y|c)| at the memorised token, probabilities;
* the bound of B and L: a retain error of at most δ(f^s)/(1−γ) for T = 1 and scale s on the exact
  mixture, δ(f^s) from δ(f) by `risk_of_power`. The full model is not exactly the mixture: its own
  retain error is recorded beside ("full").
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid
from transformers import PreTrainedModel

from llm.encoding import Encoded
from llm.experiment import ExperimentConfig
from llm.head import LowRankHead
from llm.model import T3Config
from llm.selection import chosen
from llm.spike import SPIKES, forget_contexts, measure_spike
from llm.stages.files import about, encode_rows, load_data, load_model
from llm.stages.heads import load_heads, t3_config
from llm.sweep import answer_states
from llm.tilt import tilt
from llm.tofu.data import TofuData
from t3theory.bounds.guidance import retain_rate
from t3theory.records import Stopwatch, make_record, write_records

__all__ = ["measure_theory", "risk_of_power"]

PLAIN = T3Config(temperature=1.0, guidance_scale=0.0)
"""Decoding that leaves the full model as it is."""


def measure_theory(
    config: ExperimentConfig,
    source: str | Path,
    seed: int,
    full: str | Path,
    retain: str | Path,
    heads: str | Path,
    tuning: str | Path,
    out: str | Path,
) -> None:
    """Errors of the full model and of each tilting method; excess risk; guidance's bound.

    Args:
        full, retain: folders of the two models. heads: from `fit_heads`.
        tuning: from `tune_tilts`: the settings measured are those that it chose.
        out: JSON Lines file, one record of kind "llm.theory" for "full" and each tilting method,
            and those of `llm.spike`.
    """
    data, watch = load_data(config, source), Stopwatch()
    model, tokenizer = load_model(full)
    target, _ = load_model(retain)
    by_stop = load_heads(config, heads, model)
    settings: dict[str, dict[str, Any]] = {m: chosen(tuning, m, config) for m in config.tilts}
    decoders = {m: (by_stop[s["stop"]], t3_config(config, s, data)) for m, s in settings.items()}
    decoders["full"] = (by_stop[config.head.stops[0]], PLAIN)
    settings["full"] = {}
    kept = encode_rows(tokenizer, data.retain)
    lost = encode_rows(tokenizer, data.forget)
    batch = config.evaluation.batch_size
    on_retain = _measure(model, target, kept, decoders, batch, _retain_terms)
    on_forget = _measure(model, target, lost, decoders, batch, _forget_terms)
    records = []
    for method, setting in settings.items():
        scale = decoders[method][1].guidance_scale
        values = _summary(on_retain[method], on_forget[method], method, scale)
        described = about(config, data, method=method, **setting)
        records.append(make_record("llm.theory", described, seed, values, watch.seconds))
    write_records(out, records + _spikes(config, data, seed, model, target, lost, decoders))


def _spikes(
    config: ExperimentConfig,
    data: TofuData,
    seed: int,
    model: PreTrainedModel,
    target: PreTrainedModel,
    lost: Sequence[Encoded],
    decoders: Mapping[str, tuple[LowRankHead, T3Config]],
) -> list[dict[str, Any]]:
    """Records of kind "llm.spike": the theory's world from the models, each h and each T."""
    if "t3" not in decoders:
        return []
    watch, (head, tuned) = Stopwatch(), decoders["t3"]
    contexts = forget_contexts(model, target, lost, head, config.evaluation.batch_size)
    gamma = len(data.forget) / len(data.full)
    return [
        make_record(
            "llm.spike",
            about(config, data, spike=spike, temperature=t, vocabulary=contexts[0].shape[1]),
            seed,
            measure_spike(contexts, gamma, spike, t) | {"gamma": gamma},
            watch.seconds,
        )
        for spike in SPIKES
        for t in sorted({1.0, 2.0, tuned.temperature})
    ]


def risk_of_power(excess_risk: float, gamma: float, scale: float) -> float:
    """At least the excess risk of f^s, from that of f, where f* is 0 or 1 everywhere.

    On retain contexts −log f^s = −s log f. On forget contexts f^s ≤ f for s ≥ 1; for s < 1 the
    tangent at 1 gives 1 − f^s ≥ s (1 − f). So δ(f^s) ≤ s δ(f), or δ(f) + γ log(1/s).

    >>> risk_of_power(0.1, 0.2, 2.0), risk_of_power(0.1, 0.2, 1.0)
    (0.2, 0.1)
    """
    if scale >= 1:
        return scale * excess_risk
    return excess_risk - gamma * math.log(scale) if scale > 0 else math.inf


Terms = Mapping[str, Float[np.ndarray, "tokens 3"]]
"""For each method, of each answer token: its row, its error, its log-loss under the head."""


def _retain_terms(
    log_r: Tensor, scores: Tensor, log_odds: Tensor, targets: Tensor
) -> tuple[Tensor, Tensor]:
    """KL(p_r‖p̂) and E_{p_r}[−log f], nats, of each retain context."""
    log_q = torch.log_softmax(scores, dim=-1)
    p_r = log_r.exp()
    return (p_r * (log_r - log_q)).sum(-1), -(p_r * logsigmoid(log_odds)).sum(-1)


def _forget_terms(
    log_r: Tensor, scores: Tensor, log_odds: Tensor, targets: Tensor
) -> tuple[Tensor, Tensor]:
    """|p_r − p̂| and −log(1−f) at the memorised token of each forget context."""
    at = targets[:, None]
    log_q = torch.log_softmax(scores, dim=-1).gather(1, at)
    error = (log_r.gather(1, at).exp() - log_q.exp()).abs()[:, 0]
    return error, -logsigmoid(-log_odds.gather(1, at))[:, 0]


def _measure(
    model: PreTrainedModel,
    target: PreTrainedModel,
    rows: Sequence[Encoded],
    decoders: Mapping[str, tuple[LowRankHead, T3Config]],
    batch_size: int,
    terms: Any,
) -> Terms:
    found: dict[str, list[np.ndarray]] = {method: [] for method in decoders}
    both = (answer_states(m, rows, batch_size) for m in (model, target))
    some = (zip(*(s.blocks() for s in states), strict=True) for states in zip(*both, strict=True))
    for ours, theirs in itertools.chain.from_iterable(some):
        log_r = torch.log_softmax(theirs.logits.to(torch.float32), dim=-1)
        for method, (head, decoding) in decoders.items():
            with torch.inference_mode():
                log_odds = head(ours.pooled)
                scores = tilt(ours.logits, log_odds, decoding)
                error, loss = terms(log_r, scores, log_odds, ours.targets)
            columns = [x.cpu().double().numpy() for x in (ours.rows, error, loss)]
            found[method].append(np.stack(columns, axis=1))
    return {method: np.concatenate(parts) for method, parts in found.items()}


def _per_row(tokens: Float[np.ndarray, "tokens 3"]) -> Float[np.ndarray, " rows"]:
    """Sum of the error over each row's tokens."""
    return np.bincount(tokens[:, 0].astype(int), weights=tokens[:, 1])


def _summary(
    retain: Float[np.ndarray, "tokens 3"],
    forget: Float[np.ndarray, "tokens 3"],
    method: str,
    scale: float,
) -> dict[str, float]:
    gamma = len(forget) / (len(retain) + len(forget))
    texts = _per_row(retain)
    values = {
        "gamma": gamma,
        "retain_tokens": len(retain),
        "forget_tokens": len(forget),
        "retain_error": float(retain[:, 1].mean()),
        "retain_error_text": float(texts.mean()),
        "retain_error_text_median": float(np.median(texts)),
        "retain_error_text_p95": float(np.quantile(texts, 0.95)),
        "forget_error": float(forget[:, 1].mean()),
    }
    if method in ("full", "tempering"):
        return values
    delta = float((1 - gamma) * retain[:, 2].mean() + gamma * forget[:, 2].mean())
    values["excess_risk"] = delta
    if method == "guidance":  # the only one at T = 1
        values["retain_error_bound"] = retain_rate(risk_of_power(delta, gamma, scale), gamma)
    return values
