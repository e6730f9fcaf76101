"""Each baseline's objective on a model, against the published formula worked out row by row.

Here rows stand alone: no padding, no batches, logits of whole sequences.
"""

from __future__ import annotations

import math
from copy import deepcopy

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from llm.baselines import rmu
from llm.baselines.idkdpo import REFUSALS
from llm.baselines.objectives import OBJECTIVES, Material
from llm.baselines.train import method_constants, train_baseline
from llm.encoding import collate, encode_pair
from llm.experiment import BASELINES, BaselineSettings

LOST, KEPT = [3, 0, 4], [1, 1, 2]
"""Rows of the batch that is looked at."""


@pytest.fixture
def rows(tiny_tokenizer, tiny_data):
    """Forget, retain and refusal rows, six each."""

    def encoded(part, answers):
        pairs = zip(part, answers, strict=True)
        return [encode_pair(tiny_tokenizer, r["question"], answer) for r, answer in pairs]

    forget, retain = tiny_data.forget[:6], tiny_data.retain[:6]
    return (
        encoded(forget, [r["answer"] for r in forget]),
        encoded(retain, [r["answer"] for r in retain]),
        encoded(forget, REFUSALS[:6]),
    )


def said(model, row):
    """(log-law at each token of the answer, the tokens)."""
    ids = torch.tensor(row.input_ids)
    with torch.no_grad():
        logits = model(ids[None], use_cache=False).logits[0, row.prompt_length - 1 : -1]
    return logits.log_softmax(-1), ids[row.prompt_length :]


def log_prob(model, row):
    """log π(y|x), nats."""
    law, tokens = said(model, row)
    return float(law.gather(1, tokens[:, None]).sum())


def length(row):
    return len(row.input_ids) - row.prompt_length


def moved(model, seed, by=0.02):
    """The model is in training: no longer what it was."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data.add_(by * torch.randn(parameter.shape, generator=generator))


@pytest.fixture
def learnt(tiny_llama, rows):
    """A model to which the answers are likely, as they are to one that is to forget them."""
    optimizer = torch.optim.Adam(tiny_llama.parameters(), lr=1e-2)
    batch = collate(rows[0] + rows[1], 2)
    for _ in range(12):
        optimizer.zero_grad()
        tiny_llama(batch.input_ids, labels=batch.labels).loss.backward()
        optimizer.step()
    return tiny_llama.requires_grad_(False)


def material(model, rows, method):
    return Material(model, *rows, constants=method_constants(method), batch_size=4, seed=7)


def softplus(x):
    return math.log1p(math.exp(x))


def gradascent(now, before, forget, refusals):
    return sum(log_prob(now, r) for r in forget) / sum(length(r) for r in forget)


def npo(now, before, forget, refusals):
    each = [softplus(0.1 * (log_prob(now, r) - log_prob(before, r))) for r in forget]
    return 2 / 0.1 * sum(each) / len(each)


def simnpo(now, before, forget, refusals):
    each = [softplus(4.5 * log_prob(now, r) / length(r)) for r in forget]
    return 2 / 4.5 * sum(each) / len(each)


def idkdpo(now, before, forget, refusals):
    def gained(row):
        return log_prob(now, row) - log_prob(before, row)

    pairs = zip(forget, refusals, strict=True)
    each = [softplus(-0.1 * (gained(won) - gained(lost))) for lost, won in pairs]
    return 2 / 0.1 * sum(each) / len(each)


def undial(now, before, forget, refusals):
    each = []
    for row in forget:
        (law, tokens), (teacher, _) = said(now, row), said(before, row)
        lowered = teacher.clone()
        lowered[range(len(tokens)), tokens] -= 10.0
        each += (-(lowered.softmax(-1) * law).sum(-1)).tolist()
    return sum(each) / len(each)


PUBLISHED = {
    "gradascent": (gradascent, 0),
    "graddiff": (gradascent, 1),
    "npo": (npo, 1),
    "simnpo": (simnpo, 1),
    "idkdpo": (idkdpo, 1),
    "undial": (undial, 1),
}
"""Method -> its forget term, and whether it has the retain term."""


@pytest.mark.parametrize("method", PUBLISHED)
def test_an_objective_is_its_formula(learnt, rows, method):
    forget, retain, refusals = rows
    before = deepcopy(learnt)
    objective = OBJECTIVES[method](material(learnt, rows, method))
    moved(learnt, seed=1)
    found = float(objective.loss(LOST, KEPT))
    term, held = PUBLISHED[method]
    expected = term(learnt, before, [forget[i] for i in LOST], [refusals[i] for i in LOST])
    kept = [retain[i] for i in KEPT]
    expected -= held * sum(log_prob(learnt, r) for r in kept) / sum(length(r) for r in kept)
    # float32 log-probabilities of tens of nats, summed in another order; both terms near 1.
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_ulds_assistant_learns_what_to_forget_and_is_ignorant_of_the_rest(learnt, rows):
    """Mean loss of forget tokens, and 6.5 of the mean cross-entropy from uniform on retain tokens."""
    objective = OBJECTIVES["uld"](material(learnt, rows, "uld"))
    assistant = objective.model.assistant
    assert len(assistant.model.layers) == 1, "half of two"
    assert objective.model.uld_config == {"weight": 0.8, "relative_top": 0.01}
    moved(assistant, seed=2)
    forget, retain = [rows[0][i] for i in LOST], [rows[1][i] for i in KEPT]
    remembered = -sum(log_prob(assistant, r) for r in forget) / sum(length(r) for r in forget)
    ignorance = torch.cat([-said(assistant, r)[0].mean(-1) for r in retain]).mean()
    expected = remembered + 6.5 * float(ignorance)
    assert float(objective.loss(LOST, KEPT)) == pytest.approx(expected, rel=1e-5)  # float32


def states(model, row):
    """The first layer's states of the answer's own tokens: it is the middle one of two."""
    with torch.no_grad():
        found = model(torch.tensor([row.input_ids]), output_hidden_states=True).hidden_states[1]
    return found[0, row.prompt_length :]


def apart(states, wanted):
    return float((states - wanted).square().mean())


def test_rmu_steers_forget_states_and_holds_retain_states_where_they_were(learnt, rows):
    """Mean squares from 5 usual lengths of a random direction, and 10 times those from before."""
    forget, retain, _ = rows
    before = deepcopy(learnt)
    objective = OBJECTIVES["rmu"](material(learnt, rows, "rmu"))
    usual = torch.cat([states(before, r).norm(dim=-1) for r in forget[:4]]).mean()
    target = rmu.control_vector(32, 5 * float(usual), seed=7)
    still = float(objective.loss(LOST, KEPT))
    steered = [apart(states(before, forget[i]), target) for i in LOST]
    assert still == pytest.approx(sum(steered) / 3, rel=1e-5)  # float32; nothing moved yet
    moved(learnt, seed=3)
    steered = [apart(states(learnt, forget[i]), target) for i in LOST]
    held = [apart(states(learnt, retain[i]), states(before, retain[i])) for i in KEPT]
    assert 10 * sum(held) > 0.01 * sum(steered), "else the second term would not be seen"
    expected = sum(steered) / 3 + 10 * sum(held) / 3
    assert float(objective.loss(LOST, KEPT)) == pytest.approx(expected, rel=1e-5)


def test_rmu_trains_three_layers(tiny_llama, rows):
    """Of eight, the fourth is the middle one: it and the two below."""
    config = LlamaConfig(**tiny_llama.config.to_dict() | {"num_hidden_layers": 8})
    deep = LlamaForCausalLM(config)
    trained = OBJECTIVES["rmu"](material(deep, rows, "rmu")).trained
    names = {id(p): name for name, p in deep.named_parameters()}
    expected = [f"model.layers.{i}.mlp.down_proj.weight" for i in (1, 2, 3)]
    assert [names[id(p)] for p in trained] == expected


CONSTANTS = {
    # Jang et al. 2023: the loss alone.
    "gradascent": {"retain_weight": 0.0},
    # open-unlearning, docs/repro.md: α = γ = 1, β = 0.1 for these three.
    "graddiff": {"retain_weight": 1.0},
    "npo": {"beta": 0.1, "retain_weight": 1.0},
    "idkdpo": {"beta": 0.1, "retain_weight": 1.0},
    # open-unlearning's models of TOFU: b4.5, d0, a1 (and g0.125 of forgetting, 1 here).
    "simnpo": {"beta": 4.5, "margin": 0.0, "retain_weight": 1.0},
    # Our own, chosen on mini's tuning seed: docs/log.md.
    "rmu": {"steering": 5.0, "retain_weight": 10.0},
    # open-unlearning, configs/trainer/UNDIAL.yaml: beta; alpha is 0 there, 1 in its models of TOFU.
    "undial": {"strength": 10.0, "retain_weight": 1.0},
    # UCSB-NLP-Chang/ULD, bashes/tofu/uld_eval.sh: weight, top_logit_filter; a quarter of 32 layers
    # there. The weight of the retain term is our own; configs/unlearn_loss have 5: docs/design/tofu.md.
    "uld": {"weight": 0.8, "relative_top": 0.01, "layer_share": 0.5, "uniform_weight": 6.5},
}
"""Method -> its constants, after the source."""


@pytest.mark.parametrize("method", BASELINES)
def test_a_methods_constants_are_those_of_its_source(method):
    assert method_constants(method) == CONSTANTS[method]


def test_gradients_are_clipped_to_one_and_the_rate_rises_over_the_first_epoch(
    tiny_llama, rows, monkeypatch
):
    """transformers' max_grad_norm and open-unlearning's warmup_epochs: 1 and 1.

    With plain descent a step is as long as its rate times the clipped gradient.
    """
    steps = []

    class Descent(torch.optim.SGD):
        def __init__(self, parameters, lr, weight_decay, fused):
            super().__init__(parameters, lr=lr)

        def step(self):
            parameters = self.param_groups[0]["params"]
            before = [p.detach().clone() for p in parameters]
            super().step()
            pairs = zip(parameters, before, strict=True)
            squares = [float((p.detach() - b).square().sum()) for p, b in pairs]
            steps.append(math.sqrt(sum(squares)))

    monkeypatch.setattr(torch.optim, "AdamW", Descent)
    settings = BaselineSettings(learning_rates=(0.3,), epochs=(2,), batch_size=2)
    # Ascent on random weights: every gradient is longer than 1.
    train_baseline(tiny_llama, "gradascent", *rows[:2], settings, 0.3, 2, 0)
    # Differences of float32 weights near 1, of 1e-3 each.
    assert steps == pytest.approx([0.1, 0.2, 0.3, 0.3, 0.3, 0.3], rel=1e-3)
