"""The loop of the trained baselines."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from llm.baselines.train import LOSSES, train_baseline
from llm.encoding import encode_pair
from llm.experiment import BASELINES, BaselineSettings
from llm.scoring import score_rows
from t3theory.exceptions import InputError

SETTINGS = BaselineSettings(learning_rates=(1e-3,), epochs=(2,), batch_size=4)


@pytest.fixture
def rows(tiny_tokenizer, tiny_data):
    return [
        [encode_pair(tiny_tokenizer, r["question"], r["answer"]) for r in part[:6]]
        for part in (tiny_data.forget, tiny_data.retain)
    ]


def test_every_baseline_has_its_loss():
    assert set(BASELINES) == set(LOSSES)


def test_an_unknown_method_is_named(tiny_llama, rows):
    with pytest.raises(InputError, match=r"baseline 'rmu': expected one of graddiff"):
        train_baseline(tiny_llama, "rmu", *rows, SETTINGS, 1e-3, 1, 0)


@pytest.mark.parametrize("method", BASELINES)
def test_forget_loss_rises_above_retain_loss(tiny_llama, tiny_tokenizer, rows, method):
    def gap(model):
        mean = [np.mean([s.loss for s in score_rows(model, part, 2)]) for part in rows]
        return mean[0] - mean[1]

    before = gap(tiny_llama)
    train_baseline(tiny_llama, method, *rows, SETTINGS, 1e-2, 3, 0)
    # Twelve steps at 1e-2 move a random model by far more than a tenth of a nat.
    assert gap(tiny_llama) > before + 0.1


def test_the_model_after_k_epochs_does_not_depend_on_how_many_follow(
    tiny_llama, tiny_tokenizer, rows
):
    from copy import deepcopy

    short, kept = deepcopy(tiny_llama), {}
    train_baseline(short, "npo", *rows, SETTINGS, 1e-3, 2, 5)

    def keep(epoch, model):
        kept[epoch] = deepcopy(model.state_dict())

    train_baseline(tiny_llama, "npo", *rows, SETTINGS, 1e-3, 3, 5, keep)
    for name, value in short.state_dict().items():
        assert torch.equal(value, kept[2][name]), name
