"""Unlearn: from a base model and two sets of pairs to an adapter, its figures and its card."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from llm import adapter
from llm.bases import check_causal_lm, check_looks_back
from llm.card import card
from llm.diagnostics import calibration, head_risk, retain_error, share_quantiles
from llm.encoding import Encoded, encode_pair
from llm.features import Features, cache_features
from llm.fit_head import Fit, HeadConfig, fit_head
from llm.head import LowRankHead
from llm.model import T3ForCausalLM
from llm.pairs import Pair, check_disjoint, read_pairs, words_of
from llm.retain_budget import CANDIDATES, Candidate, choose, margin, pair_losses
from llm.scoring import check_fit
from llm.tilt import T3Config
from t3theory.exceptions import AssumptionError, InputError

__all__ = ["Pair", "UnlearnConfig", "Unlearned", "check_disjoint", "read_pairs", "unlearn"]


@dataclass(frozen=True)
class UnlearnConfig:
    """How to unlearn.

    Attributes:
        head: how the head is trained.
        candidates: settings of T3, at least one, to choose from by `retain_budget.choose`.
        retain_budget: nats a token that held-out retain pairs may cost.
        heldout_share: share of retain pairs kept from training, to measure on.
        confidence: of the bound on the head's risk.
    """

    head: HeadConfig = field(default_factory=HeadConfig)
    candidates: tuple[T3Config, ...] = CANDIDATES
    retain_budget: float = 0.1
    heldout_share: float = 0.1
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if not 0 < self.heldout_share < 1:
            raise AssumptionError("heldout_share", "must lie in (0, 1)", self.heldout_share)
        if not self.candidates:
            raise AssumptionError("candidates", "must be at least one", 0)
        if not 0 <= self.retain_budget < math.inf:
            raise AssumptionError("retain_budget", "must be ≥ 0 and finite", self.retain_budget)


class Unlearned(NamedTuple):
    """The unlearned model, and the figures it was chosen by."""

    model: T3ForCausalLM
    report: dict[str, Any]


def unlearn(
    base: Any,
    tokenizer: Any,
    forget: Sequence[Pair],
    retain: Sequence[Pair],
    config: UnlearnConfig | None = None,
    cache_folder: str | Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> Unlearned:
    """Train a head on the base's features of these pairs, and choose temperature and gate.

    Args:
        base, tokenizer: a causal language model of transformers and its tokenizer.
        cache_folder: where features are kept; default memory.
        progress: told what comes next.
    Raises:
        InputError: no forget pairs, fewer than two retain pairs, a pair in both sets, a pair
            longer than the base's context or with tokens that the base has not, a base whose
            states are not finite.
        AssumptionError: a rank above the number of tokens, a learning rate that diverges.
    """
    config = UnlearnConfig() if config is None else config
    say = progress or (lambda _: None)
    vocab_size = _check(base, forget, retain, config.head.rank)
    forgotten = _encode(base, tokenizer, forget, "forget")
    retained = _encode(base, tokenizer, retain, "retain")
    trained, kept = ([retained[i] for i in part] for part in _split(retain, config))
    rows = [forgotten, trained, kept]
    say("one pass of the base over all pairs")
    features = [cache_features(base, r, cache_folder).to(base.device) for r in rows]
    say("training the head")
    fit = fit_head(features[1], features[0], vocab_size, config.head)
    say("choosing temperature and gate")
    chosen, figures = _choose(base, fit.head, rows[0], rows[2], config)
    counts = {"forget": len(forget), "retain": len(trained), "heldout_retain": len(kept)}
    report = figures | _about_head(fit, features[2], features[0], config) | {"pairs": counts}
    return Unlearned(T3ForCausalLM(base, fit.head, chosen.config).eval(), report)


def _check(base: Any, forget: Sequence[Pair], retain: Sequence[Pair], rank: int) -> int:
    """The number of the base's tokens, if all of this fits together."""
    different = len({words_of(*pair[:2]) for pair in retain})
    if not forget or different < 2:
        raise InputError(
            "expected at least one forget pair and two different retain pairs (one to measure on), "
            f"got {len(forget)} and {different}"
        )
    check_disjoint(forget, retain)
    check_causal_lm(base)
    check_looks_back(base)
    vocab_size = int(base.get_output_embeddings().weight.shape[0])
    if rank > vocab_size:
        raise AssumptionError("rank", f"must be at most the base's {vocab_size} tokens", rank)
    return vocab_size


def _about_head(
    fit: Fit, heldout_retain: Features, forget: Features, config: UnlearnConfig
) -> dict[str, Any]:
    """How the head was trained and what is known of it."""
    last = fit.history[-1]
    risk = head_risk(fit.head, heldout_retain, forget, config.confidence)
    return {
        "head": asdict(config.head),
        "steps": last.step,
        "in_sample_risk": last.risk,
        "stopped_by": _reason(config.head, last.risk),
        "risk": asdict(risk) | {"balanced": risk.risk, "balanced_upper": risk.upper},
        "calibration_error": calibration(fit.head, heldout_retain, forget).error,
    }


def _choose(
    base: Any,
    head: LowRankHead,
    forget: Sequence[Encoded],
    heldout: Sequence[Encoded],
    config: UnlearnConfig,
) -> tuple[Candidate, dict[str, Any]]:
    """The settings, and what was measured to choose them."""
    configs = config.candidates
    on_retain = pair_losses(base, head, heldout, configs)
    on_forget = pair_losses(base, head, forget, configs)
    rises = (on_retain.tilted - on_retain.base).numpy()
    candidates = [
        Candidate(c, float(rise.mean()), float(loss), margin(rise))
        for c, rise, loss in zip(configs, rises, on_forget.tilted.mean(1), strict=True)
    ]
    chosen = choose(candidates, config.retain_budget)
    both = (("heldout_retain", on_retain), ("forget", on_forget))
    return chosen, {
        "forget_share": {name: float(x.shares.mean()) for name, x in both},
        "forget_share_quantiles": {name: share_quantiles(x.shares) for name, x in both},
        "retain_error": retain_error(chosen.retain_cost, on_retain.shares),
        "base_loss": {name: float(x.base.mean()) for name, x in both},
        "retain_budget": config.retain_budget,
        "candidates": [asdict(c) for c in candidates],
        "chosen": asdict(chosen),
    }


def _split(retain: Sequence[Pair], config: UnlearnConfig) -> tuple[list[int], list[int]]:
    """Which pairs to train on, and which to measure on; copies of a pair stay together."""
    copies: dict[tuple[str, str], list[int]] = {}
    for i, pair in enumerate(retain):
        copies.setdefault(words_of(*pair[:2]), []).append(i)
    groups = list(copies.values())
    random.Random(config.head.seed).shuffle(groups)
    kept = min(len(groups) - 1, max(1, math.ceil(config.heldout_share * len(groups))))
    trained, measured = (
        [i for group in part for i in group] for part in (groups[kept:], groups[:kept])
    )
    return trained, measured


def _encode(base: Any, tokenizer: Any, pairs: Sequence[Pair], what: str) -> list[Encoded]:
    rows = []
    for i, pair in enumerate(pairs, start=1):
        try:
            rows.append(encode_pair(tokenizer, *pair))
            check_fit(base, [rows[-1].input_ids])
        except InputError as error:
            raise InputError(f"{what} pair {i} ({pair.prompt[:60]!r}): {error}") from error
    return rows


def _reason(config: HeadConfig, risk: float) -> str:
    if config.stop_at_risk is not None and risk <= config.stop_at_risk:
        return f"in-sample balanced risk at most {config.stop_at_risk}"
    return f"{config.steps} steps"


def save_unlearned(
    folder: str | Path, result: Unlearned, files: Mapping[str, Mapping[str, str]] | None = None
) -> None:
    """Write the adapter, its figures (`unlearn.json`) and its card (`README.md`), all or nothing.

    Args:
        files: "forget" and "retain" to `llm.pairs.named_content` of the files they came from.
    Raises:
        InputError: the folder cannot be written.
    """
    folder, model = Path(folder), result.model
    report = result.report | ({"files": files} if files else {})
    base = model.base.config.name_or_path or model.base.name_or_path
    beside = {
        "unlearn.json": json.dumps(report, indent=1, sort_keys=True, ensure_ascii=False) + "\n",
        "README.md": card(report, base, folder.resolve().name),
    }
    adapter.save(folder, model.base, model.head, model.t3_config, beside)
