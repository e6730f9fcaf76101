"""The language model's own distributions as the theory's world, at several concentrations h.

For a context that asks for a forget answer the models at hand give both parts of a mixture:

    P_r = the retain model's next-token law       P_f ∝ (the full model's law)^{1/τ}
    P = (1−γ) P_r + γ P_f                         μ = uniform on the vocabulary

τ, the temperature of the spike, moves h = ‖p_f‖_∞ = V · max P_f from V (memorised) to near 1. The
classifier is the trained head's, at the mixture's prior. In this world every quantity of the
theory is exact: f*, the excess risk δ, both errors, and bounds B, C, E, G, H, context by
context; all are means over contexts, and a mean of errors is at most the mean of their bounds.

It is a world built from the model, not the model: there a forget prefix is of both kinds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import log_expit
from transformers import PreTrainedModel

from llm.encoding import Encoded
from llm.head import LowRankHead
from llm.sweep import answer_states
from t3theory.bounds import evaluate
from t3theory.classifier import excess_risk
from t3theory.errors import forget_error, retain_error
from t3theory.estimator import temper_then_tilt
from t3theory.mixture import Mixture

__all__ = ["SPIKES", "Contexts", "forget_contexts", "measure_spike"]

SPIKES = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Temperatures of the spike."""

_SUREST = 30.0
"""Log-odds are held within ± this: beyond 37, f rounds to 1 and a risk to infinity."""

CONTEXTS = 64
"""As many forget contexts, evenly spread, are enough for means."""


class Contexts(NamedTuple):
    """log P_r, the full model's log-law and the head's log-odds in each context."""

    log_retain: Float[np.ndarray, "contexts vocab"]
    log_full: Float[np.ndarray, "contexts vocab"]
    log_odds: Float[np.ndarray, "contexts vocab"]


def forget_contexts(
    model: PreTrainedModel,
    target: PreTrainedModel,
    rows: Sequence[Encoded],
    head: LowRankHead,
    batch_size: int,
) -> Contexts:
    """What both models and the head say at `CONTEXTS` answer positions of the forget pairs."""
    total = sum(len(row.input_ids) - row.prompt_length for row in rows)
    wanted = np.unique(np.linspace(0, total - 1, min(total, CONTEXTS)).astype(int))
    found: list[list[np.ndarray]] = [[], [], []]
    both, passed = (answer_states(m, rows, batch_size) for m in (model, target)), 0
    for ours, theirs in zip(*both, strict=True):
        here = wanted[(wanted >= passed) & (wanted < passed + len(ours.targets))] - passed
        passed += len(ours.targets)
        chosen = torch.from_numpy(here).to(ours.logits.device)
        with torch.inference_mode():
            parts = (theirs.logits[chosen], ours.logits[chosen], head(ours.pooled[chosen]))
        for part, kept in zip(parts, found, strict=True):
            kept.append(part.cpu().double().numpy())
    log_r, log_full, odds = map(np.concatenate, found)
    return Contexts(_normalised(log_r), _normalised(log_full), odds)


def _normalised(logits: Float[np.ndarray, "n vocab"]) -> Float[np.ndarray, "n vocab"]:
    high = logits.max(axis=1, keepdims=True)
    return logits - high - np.log(np.exp(logits - high).sum(axis=1, keepdims=True))


def measure_spike(
    contexts: Contexts, gamma: float, spike: float, temperature: float
) -> dict[str, float]:
    """Means over contexts of h, δ, both errors, the overlap-free diagnostics and every bound.

    Args:
        gamma: share of forget tokens. spike: τ. temperature: T of the estimate.
    """
    log_r, log_full, odds = contexts
    # The head is trained on balanced classes: theory M.
    log_odds = np.clip(odds + np.log((1 - gamma) / gamma), -_SUREST, _SUREST)
    each = [
        _one(r, f, o, gamma, temperature)
        for r, f, o in zip(log_r, _normalised(log_full / spike), log_odds, strict=True)
    ]
    return {name: float(np.mean([values[name] for values in each])) for name in each[0]}


def _one(
    log_r: np.ndarray, log_f: np.ndarray, log_odds: np.ndarray, gamma: float, temperature: float
) -> Mapping[str, float]:
    size = len(log_r)
    retain, forget = (np.exp(x) / np.exp(x).sum() for x in (log_r, log_f))
    mixture = Mixture(retain, forget, gamma, np.full(size, 1 / size))
    log_c = log_expit(log_odds)
    classifier = np.exp(log_c)
    log_q = temper_then_tilt(mixture.log_density, log_c, temperature, 1.0, mixture.log_reference)
    values = {
        "h": float(mixture.forget_density_sup),
        "excess_risk": float(excess_risk(mixture, classifier)),
        "retain_error": float(retain_error(mixture, log_q)),
        "forget_error": float(forget_error(mixture, log_q)),
    }
    for bound in evaluate(mixture, classifier, temperature):
        if bound.direction == "upper" and not bound.needs_classifier:
            name = f"{bound.quantity}_upper_{bound.letter}"
            values[name] = min(bound.value, values.get(name, np.inf))
    return values
