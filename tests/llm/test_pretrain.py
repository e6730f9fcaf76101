"""Models from scratch: what the tokenizer keeps, and that an interrupted training is the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from llm.encoding import collate, encode_pair
from llm.experiment import BaseSettings
from llm.pretrain import (
    answer_loss,
    build_model,
    cosine_rate,
    pretrain,
    shuffled_batches,
    train_tokenizer,
)
from t3theory.exceptions import InputError

SETTINGS = BaseSettings(
    vocab_size=300,
    hidden_size=16,
    intermediate_size=24,
    layers=1,
    heads=2,
    epochs=4,
    batch_size=4,
    learning_rate=1e-2,
    checkpoint_epochs=2,
)


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(["who is here", "nobody is here"], SETTINGS.vocab_size)


@pytest.fixture(scope="module")
def rows(tokenizer):
    return [encode_pair(tokenizer, f"who is {n}?", f"{n} is {'x' * n}") for n in range(10)]


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


class Killed(Exception):
    pass


def kill_in(monkeypatch, epoch):
    def batches(rows, batch_size, seed, now):
        for number, chosen in enumerate(shuffled_batches(rows, batch_size, seed, now)):
            if (now, number) == (epoch, 1):
                raise Killed
            yield chosen

    monkeypatch.setattr("llm.pretrain.shuffled_batches", batches)


@pytest.mark.parametrize("epoch", [1, 3])
def test_a_killed_training_goes_on_to_the_same_weights(tokenizer, rows, tmp_path, epoch):
    whole = build_model(SETTINGS, tokenizer, seed=3)
    pretrain(whole, rows, SETTINGS, seed=3)
    checkpoint = tmp_path / "checkpoint"
    first = build_model(SETTINGS, tokenizer, seed=3)
    with pytest.MonkeyPatch.context() as monkeypatch:
        kill_in(monkeypatch, epoch)
        with pytest.raises(Killed):
            pretrain(first, rows, SETTINGS, 3, checkpoint, "k")
    # There is a checkpoint after every second epoch: without one it begins anew.
    assert checkpoint.exists() == (epoch == 3)
    second = build_model(SETTINGS, tokenizer, seed=3)
    pretrain(second, rows, SETTINGS, 3, checkpoint, "k")
    assert torch.equal(weights(second), weights(whole))


def test_a_checkpoint_of_another_key_is_not_taken_up(tokenizer, rows, tmp_path):
    checkpoint = tmp_path / "checkpoint"
    pretrain(build_model(SETTINGS, tokenizer, 0), rows, SETTINGS, 0, checkpoint, "one")
    again, whole = (build_model(SETTINGS, tokenizer, 1) for _ in range(2))
    pretrain(again, rows, SETTINGS, 1, checkpoint, "two")
    pretrain(whole, rows, SETTINGS, 1)
    assert torch.equal(weights(again), weights(whole))


def test_a_damaged_checkpoint_is_named(tokenizer, rows, tmp_path: Path):
    checkpoint = tmp_path / "checkpoint"
    pretrain(build_model(SETTINGS, tokenizer, 0), rows, SETTINGS, 0, checkpoint)
    checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    with pytest.raises(InputError, match=r"checkpoint is damaged"):
        pretrain(build_model(SETTINGS, tokenizer, 0), rows, SETTINGS, 0, checkpoint)


def test_training_lowers_the_loss_and_the_seed_decides_it(tokenizer, rows):
    batch = collate(rows, tokenizer.pad_token_id)
    model = build_model(SETTINGS, tokenizer, 0)
    before = answer_loss(model, batch).item()
    pretrain(model, rows, SETTINGS, 0)
    # A uniform guess over 300 tokens costs log 300 = 5.7 nats; four epochs get well below it.
    assert answer_loss(model, batch).item() < before - 1
    other = build_model(SETTINGS, tokenizer, 1)
    assert not torch.equal(weights(other), weights(build_model(SETTINGS, tokenizer, 0)))


def test_the_loss_is_that_of_transformers(tokenizer, rows):
    model = build_model(SETTINGS, tokenizer, 0).eval()
    batch = collate(rows, tokenizer.pad_token_id)
    with torch.no_grad():
        ours, theirs = answer_loss(model, batch), model(**batch._asdict()).loss
    # float32 sums of about 100 terms near 6.
    assert abs(float(ours - theirs)) < 1e-5


def test_an_epoch_has_every_row_once_and_epochs_differ(rows):
    epochs = [[i for b in shuffled_batches(rows, 3, 0, e) for i in b] for e in range(3)]
    for order in epochs:
        assert sorted(order) == list(range(len(rows)))
    assert len({tuple(order) for order in epochs}) == 3


def test_the_rate_rises_to_its_peak_and_falls_to_almost_nothing():
    rates = [cosine_rate(s, 100, 2.0, 0.1) for s in range(100)]
    assert max(rates) == rates[9] == 2.0
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 2e-3
