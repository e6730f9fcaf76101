"""The loop of the trained baselines."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch

from llm.baselines.assistant import WithAssistant
from llm.baselines.idkdpo import REFUSALS
from llm.baselines.objectives import OBJECTIVES
from llm.baselines.train import method_constants, train_baseline
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


@pytest.fixture
def refusals(tiny_tokenizer, tiny_data):
    questions = [r["question"] for r in tiny_data.forget[:6]]
    return [encode_pair(tiny_tokenizer, q, REFUSALS[0]) for q in questions]


def mean_loss(model, rows):
    return float(np.mean([s.loss for s in score_rows(model, rows, 2)]))


def test_every_baseline_has_its_loss_and_its_constants():
    assert set(BASELINES) == set(OBJECTIVES)
    for method in BASELINES:
        assert all(isinstance(v, float) for v in method_constants(method).values())


def test_an_unknown_method_is_named(tiny_llama, rows):
    with pytest.raises(InputError, match=r"baseline 'forget': expected one of gradascent"):
        train_baseline(tiny_llama, "forget", *rows, SETTINGS, 1e-3, 1, 0)


@pytest.mark.parametrize("method", [m for m in BASELINES if m != "rmu"])
def test_forget_loss_rises_above_retain_loss(tiny_llama, rows, refusals, method):
    before = mean_loss(tiny_llama, rows[0]) - mean_loss(tiny_llama, rows[1])
    # The assistant has to learn before there is anything to subtract.
    epochs = 30 if method == "uld" else 3
    model = train_baseline(tiny_llama, method, *rows, SETTINGS, 1e-2, epochs, 0, refusals=refusals)
    # Twelve steps at 1e-2 move a random model by far more than a tenth of a nat.
    assert mean_loss(model, rows[0]) - mean_loss(model, rows[1]) > before + 0.1


def test_idkdpo_makes_the_refusal_likelier(tiny_llama, rows, refusals):
    before = mean_loss(tiny_llama, refusals)
    train_baseline(tiny_llama, "idkdpo", *rows, SETTINGS, 1e-2, 3, 0, refusals=refusals)
    assert mean_loss(tiny_llama, refusals) < before - 0.1


def test_idkdpo_without_refusals_is_refused(tiny_llama, rows):
    with pytest.raises(InputError, match=r"idkdpo: expected 6 refusals, got 0"):
        train_baseline(tiny_llama, "idkdpo", *rows, SETTINGS, 1e-2, 1, 0)


def test_rmu_changes_the_outward_matrices_near_its_layer_alone(tiny_llama, rows):
    """Two layers: the steered one is the first, so its matrix changes and nothing else."""
    before = deepcopy(tiny_llama.state_dict())
    model = train_baseline(tiny_llama, "rmu", *rows, SETTINGS, 1e-2, 2, 0)
    after = model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"model.layers.0.mlp.down_proj.weight"}
    assert model.trained_parameters == 32 * 48


def test_uld_leaves_the_base_as_it_was_and_decodes_with_a_cache(tiny_llama, rows, tmp_path):
    before = deepcopy(tiny_llama.state_dict())
    model = train_baseline(tiny_llama, "uld", *rows, SETTINGS, 1e-2, 2, 0)
    assert all(torch.equal(v, before[n]) for n, v in tiny_llama.state_dict().items())
    assert model.trained_parameters < sum(p.numel() for p in tiny_llama.parameters())
    prompt = torch.tensor([rows[0][0].input_ids[:9], [2] * 3 + rows[0][1].input_ids[:6]])
    mask = (prompt != 2).long()
    answers = [
        model.generate(
            prompt, attention_mask=mask, max_new_tokens=6, do_sample=False, use_cache=cached,
            pad_token_id=2,
        )
        for cached in (True, False)
    ]  # fmt: skip
    assert torch.equal(*answers)
    model.save_pretrained(tmp_path)
    again = WithAssistant.from_pretrained(tmp_path)
    with torch.no_grad():
        assert torch.equal(*(m(prompt, attention_mask=mask).logits for m in (model, again)))


def test_a_damaged_pair_is_named(tmp_path):
    (tmp_path / "uld.json").write_text("{}")
    with pytest.raises(InputError, match=r"expected a weight and a relative_top"):
        WithAssistant.from_pretrained(tmp_path)


def test_the_model_after_k_epochs_does_not_depend_on_how_many_follow(
    tiny_llama, tiny_tokenizer, rows
):
    short, kept = deepcopy(tiny_llama), {}
    train_baseline(short, "npo", *rows, SETTINGS, 1e-3, 2, 5)

    def keep(epoch, model):
        kept[epoch] = deepcopy(model.state_dict())

    train_baseline(tiny_llama, "npo", *rows, SETTINGS, 1e-3, 3, 5, keep)
    for name, value in short.state_dict().items():
        assert torch.equal(value, kept[2][name]), name
