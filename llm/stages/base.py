"""Tokenizer and models from scratch."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from llm.experiment import ExperimentConfig, as_dict
from llm.pretrain import build_model, pretrain
from llm.pretrain import train_tokenizer as learn_tokenizer
from llm.stages.files import device, encode_rows, load_data
from t3theory.exceptions import InputError
from t3theory.records import config_hash, source_hash

__all__ = ["train_base", "train_tokenizer"]

_LOG = logging.getLogger(__name__)


def train_tokenizer(config: ExperimentConfig, source: str | Path, out: str | Path) -> None:
    """Train the tokenizer on all training pairs and write it to the folder `out`.

    The forget pairs are among them: tokens are not what is to be forgotten, and full and
    retain model must share them to be comparable.
    """
    data = load_data(config, source)
    pairs = data.full + data.knowledge
    texts = (row[field] for row in pairs for field in ("question", "answer"))
    learn_tokenizer(texts, config.base.vocab_size).save_pretrained(out)


def train_base(
    config: ExperimentConfig,
    source: str | Path,
    seed: int,
    which: str,
    tokenizer: str | Path,
    out: str | Path,
) -> None:
    """Train a model from scratch and write it, with its tokenizer, to the folder `out`.

    Args:
        which: "full" (all pairs) or "retain" (all but the forget pairs); both learn the
            general-knowledge pairs.
        tokenizer: a folder from `train_tokenizer`.

    A killed run goes on from the checkpoint beside `out`.
    """
    if which not in ("full", "retain"):
        raise InputError(f"model {which!r}: expected 'full' or 'retain'")
    data, out = load_data(config, source), Path(out)
    tokens = AutoTokenizer.from_pretrained(tokenizer)
    rows = encode_rows(tokens, getattr(data, which) + data.knowledge)
    model: Any = build_model(config.base, tokens, seed)
    model.to(device())
    key = config_hash(as_dict(config.base), seed, rows, source_hash("llm/pretrain.py"))
    checkpoint = out.with_name(f"{out.name}.checkpoint")
    loss = pretrain(model, rows, config.base, seed, checkpoint, key)
    _LOG.info("%s model, seed %d: training loss %.4f nats a token", which, seed, loss)
    tokens.save_pretrained(out)
    model.save_pretrained(out)
    checkpoint.unlink(missing_ok=True)
