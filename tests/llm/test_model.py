"""The model against its definition: scores, gates, equality with the published method."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_bases import HIDDEN, SPECIAL, VOCAB, prompts, sharp_head, tiny_base
from transformers import LlamaForCausalLM, modeling_utils

from llm.head import LowRankHead, running_mean
from llm.model import T3Config, T3ForCausalLM
from llm.tilt import tilt
from t3theory.estimator import tilted_score
from t3theory.exceptions import AssumptionError, InputError

# Its bases take positions of a row each only from 5.24 on.
TOO_OLD = not hasattr(modeling_utils, "slice_logits_to_keep")

# float32 sums of 16 products and logarithms of 60 of them, in another order.
ROUNDING = 1e-5


def published_scores(base, head, ids, mask, temperature, scale):
    """The published method, one position after another, in plain sums."""
    with torch.no_grad():
        inner = base.base_model(input_ids=ids, attention_mask=mask).last_hidden_state
        logits = base(input_ids=ids, attention_mask=mask).logits
    rows = []
    for b in range(ids.shape[0]):
        total, count, scores = torch.zeros(HIDDEN), 0, []
        for t in range(ids.shape[1]):
            if mask[b, t]:
                total, count = total + inner[b, t], count + 1
            odds = head.up.weight @ (head.down.weight @ (total / max(1, count)))
            log_p = logits[b, t] - torch.logsumexp(logits[b, t], 0)
            scores.append(log_p / temperature + scale * torch.log(torch.sigmoid(odds)))
        rows.append(torch.stack(scores))
    return torch.stack(rows)


@pytest.mark.parametrize("architecture", SPECIAL)
def test_scores_are_the_published_ones_on_every_architecture(architecture):
    base, head = tiny_base(architecture), sharp_head()
    model = T3ForCausalLM(base, head, T3Config(temperature=2.5, guidance_scale=1.5)).eval()
    ids, mask = prompts()
    with torch.no_grad():
        got = model(ids, mask).logits
        expected = published_scores(base, head, ids, mask, 2.5, 1.5)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, expected, rtol=0, atol=ROUNDING)


def test_loss_is_the_cross_entropy_of_the_normalised_scores_on_labels():
    model = T3ForCausalLM(tiny_base("llama"), sharp_head())
    ids, mask = prompts()
    labels = ids.masked_fill(mask == 0, -100)
    labels[:, :4] = -100
    output = model(ids, mask, labels=labels)
    log_q = torch.log_softmax(output.logits, -1)
    losses = [-log_q[b, t - 1, ids[b, t]] for b in range(3) for t in range(4, 7)]
    torch.testing.assert_close(output.loss, torch.stack(losses).mean(), rtol=0, atol=1e-6)


def test_gradients_reach_the_head_and_not_the_base():
    model = T3ForCausalLM(tiny_base("llama"), sharp_head())
    ids, mask = prompts()
    model(ids, mask, labels=ids).loss.backward()
    assert float(model.head.down.weight.grad.abs().max()) > 0
    assert float(model.head.up.weight.grad.abs().max()) > 0
    assert all(p.grad is None for p in model.base.parameters())


def test_temperature_one_and_scale_zero_is_the_base_exactly():
    base = tiny_base("gemma2")
    model = T3ForCausalLM(base, sharp_head(), T3Config(temperature=1.0, guidance_scale=0.0)).eval()
    ids, mask = prompts()
    with torch.no_grad():
        expected = torch.log_softmax(base(input_ids=ids, attention_mask=mask).logits, -1)
        assert torch.equal(model(ids, mask).logits, expected)


@pytest.mark.parametrize("temperature", [0.7, 1.0, 3.0])
def test_zero_head_changes_nothing_but_temperature(temperature):
    base = tiny_base("llama")
    head = LowRankHead(HIDDEN, 2, VOCAB)
    model = T3ForCausalLM(base, head, T3Config(temperature=temperature)).eval()
    ids, mask = prompts()
    with torch.no_grad():
        logits = base(input_ids=ids, attention_mask=mask).logits
        got = torch.log_softmax(model(ids, mask).logits, -1)
    torch.testing.assert_close(got, torch.log_softmax(logits / temperature, -1), rtol=0, atol=1e-5)


@pytest.mark.parametrize("gate", ["hard", "soft"])
@pytest.mark.parametrize("prior", [0.0, 2.2])
def test_gate_tempers_by_the_share_of_forget_mass(gate, prior):
    base, head = tiny_base("llama"), sharp_head()
    settings = {"temperature": 3.0, "log_prior_odds": prior}
    ids, mask = prompts()
    with torch.no_grad():
        log_p = torch.log_softmax(base(input_ids=ids, attention_mask=mask).logits, -1)
        hidden = base.base_model(input_ids=ids, attention_mask=mask).last_hidden_state
        weight = mask[..., None].float()
        pooled = (hidden * weight).cumsum(1) / weight.cumsum(1).clamp(min=1)
        f = torch.sigmoid(head(pooled) + prior)
    share = (log_p.exp() * (1 - f)).sum(-1)
    threshold = float(share.median()) + 1e-3  # half of the contexts on each side
    config = T3Config(gate=gate, gate_threshold=threshold, **settings)
    with torch.no_grad():
        got = T3ForCausalLM(base, head, config).eval()(ids, mask).logits
    temperature = torch.where(share > threshold, 3.0, 1.0) if gate == "hard" else 1 + 2 * share
    expected = log_p / temperature[..., None] + torch.log(f)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-4)  # log f of f near 0 by two ways


def test_estimator_is_the_one_of_the_theory(monkeypatch):
    calls = []

    def spy(*args, **kwargs):
        calls.append(args[2:])
        return tilted_score(*args, **kwargs)

    monkeypatch.setattr("llm.tilt.tilted_score", spy)
    T3ForCausalLM(tiny_base("llama"), sharp_head())(*prompts())
    assert calls == [(2.5, 1.0)]


def test_right_padding_changes_no_real_position():
    model = T3ForCausalLM(tiny_base("llama"), sharp_head()).eval()
    ids = prompts(1)[0]
    padded = torch.cat([ids, torch.zeros(1, 3, dtype=torch.long)], 1)
    mask = (torch.arange(10) < 7).long()[None]
    with torch.no_grad():
        alone = model(ids).logits
        torch.testing.assert_close(model(padded, mask).logits[:, :7], alone, rtol=0, atol=1e-5)
        # lm-eval passes no mask and pads on the right.
        torch.testing.assert_close(model(padded).logits[:, :7], alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_bases_are_pooled_in_single_precision(dtype):
    base = tiny_base("llama", max_position_embeddings=600).to(dtype)
    model = T3ForCausalLM(base, sharp_head()).eval()
    ids = torch.randint(3, VOCAB, (1, 520), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        got = model(ids).logits[0, -1]
        hidden = base.base_model(input_ids=ids).last_hidden_state.double()
        log_p = torch.log_softmax(base(input_ids=ids).logits[0, -1].double(), -1)
        odds = model.head.up.weight.double() @ model.head.down.weight.double() @ hidden[0].mean(0)
    expected = log_p / 2.5 + torch.nn.functional.logsigmoid(odds)
    # Sums in half precision would be off by 2e-3 and more.
    torch.testing.assert_close(got.double(), expected, rtol=0, atol=2e-5)


class Plain(LlamaForCausalLM):
    """A base whose forward knows no `logits_to_keep`, as older custom models."""

    def forward(self, input_ids=None, attention_mask=None, use_cache=None, **kwargs):
        assert "logits_to_keep" not in kwargs
        return super().forward(
            input_ids, attention_mask=attention_mask, use_cache=use_cache, **kwargs
        )


@pytest.mark.parametrize("knows", [True, False])
def test_kept_positions_in_every_form(knows):
    base, (ids, mask) = tiny_base("llama"), prompts()
    if not knows:
        plain = Plain(base.config)
        plain.load_state_dict(base.state_dict())
        base = plain.eval()
    model = T3ForCausalLM(base, sharp_head()).eval()
    with torch.no_grad():
        whole = model(ids, mask).logits
        for keep, expected in (
            (2, whole[:, -2:]),
            (torch.tensor([1, 4]), whole[:, [1, 4]]),
            (torch.tensor([[1], [4], [2]]), whole[range(3), [1, 4, 2]][:, None]),
            (mask.bool(), whole[mask.bool()]),
        ):
            if knows and TOO_OLD and not isinstance(keep, int) and keep.ndim == 2:
                continue
            got = model(ids, mask, logits_to_keep=keep).logits
            torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)


def test_labels_are_of_the_kept_positions():
    model, (ids, mask) = T3ForCausalLM(tiny_base("llama"), sharp_head()).eval(), prompts()
    with torch.no_grad():
        expected = model(ids, mask, labels=ids.index_fill(1, torch.arange(4), -100)).loss
        got = model(ids, mask, labels=ids[:, 3:], logits_to_keep=4).loss
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)
        for keep in (1, torch.tensor([2, 3])):
            with pytest.raises(InputError, match=r"labels: expected one for each score, \(3, \d\)"):
                model(ids, mask, labels=ids, logits_to_keep=keep)


def test_the_loss_is_transformers_own():
    """Nothing to predict is nan in both; a trainer's number of items divides the sum in both."""
    base, (ids, mask) = tiny_base("llama"), prompts()
    # T = 1 and s = 0: the same scores as the base's, so the same losses.
    model = T3ForCausalLM(base, sharp_head(), T3Config(temperature=1.0, guidance_scale=0.0)).eval()
    shifted = torch.nn.functional.pad(ids, (0, 1), value=-100)[:, 1:].contiguous()
    with torch.no_grad():
        for labels in (ids, ids.masked_fill(mask == 0, -100), torch.full_like(ids, -100)):
            for more in (
                {},
                {"num_items_in_batch": 5},
                {"num_items_in_batch": torch.tensor(5)},
                {"shift_labels": shifted},
            ):
                loss = model(ids, mask, labels=labels, **more).loss
                theirs = base(ids, attention_mask=mask, labels=labels, **more).loss
                torch.testing.assert_close(loss, theirs, rtol=0, atol=1e-5, equal_nan=True)
        nothing = model(ids, mask, labels=torch.full_like(ids, -100)).loss
        assert torch.isnan(nothing)


def test_what_generation_and_trainers_ask_of_a_base(tmp_path):
    base = tiny_base("llama")
    base.loss_type, base._is_stateful = "ForSomethingElse", True
    model = T3ForCausalLM(base, sharp_head())
    assert model.loss_type == "ForSomethingElse"
    assert model._is_stateful
    model.save_pretrained(tmp_path)
    assert base.train().training
    assert not T3ForCausalLM.from_pretrained(tmp_path, base=base).training


def test_what_the_base_gave_others_is_left_alone():
    """A hook that keeps the base's output finds the base's logits in it afterwards."""
    model, ids = T3ForCausalLM(tiny_base("llama"), sharp_head()), torch.tensor([[3, 4, 5]])
    kept = []
    model.base.register_forward_hook(lambda _module, _args, output: kept.append(output))
    with torch.inference_mode():
        expected = model.base(ids).logits.clone()
        scores = model(ids).logits
    assert torch.equal(kept[-1].logits, expected)
    assert not torch.equal(scores, expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_autocast_is_for_the_base(dtype):
    """Head, pooling and scores stay in single precision."""
    model, (ids, mask) = T3ForCausalLM(tiny_base("llama"), sharp_head()), prompts()
    with torch.no_grad(), torch.autocast("cpu", dtype):
        got = model(ids, mask).logits
        inner = model.base.base_model(input_ids=ids, attention_mask=mask).last_hidden_state
        logits = model.base(ids, mask).logits
    with torch.no_grad():
        log_odds = model.head(running_mean(inner, mask))
        expected = tilt(logits, log_odds, model.t3_config)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, expected, rtol=0, atol=ROUNDING)


def test_all_else_that_the_base_gives_is_given():
    model, ids = T3ForCausalLM(tiny_base("mixtral"), sharp_head()), torch.tensor([[3, 4, 5]])
    asked = {"output_router_logits": True, "output_hidden_states": True}
    with torch.inference_mode():
        of_base, got = (m(input_ids=ids, **asked) for m in (model.base, model))
        with_loss = model(input_ids=ids, labels=ids, **asked)
    assert list(got) == list(of_base)
    assert list(with_loss) == ["loss", *of_base]
    for name in ("router_logits", "hidden_states"):
        torch.testing.assert_close(got[name], of_base[name], rtol=0, atol=0)


def test_sizes_and_settings_are_checked():
    base = tiny_base("llama")
    with pytest.raises(InputError, match="vocab_size 60 as in the base, got 50"):
        T3ForCausalLM(base, LowRankHead(HIDDEN, 2, 50))
    with pytest.raises(InputError, match="hidden_size 16 as in the base, got 8"):
        T3ForCausalLM(base, LowRankHead(8, 2, VOCAB))
    with pytest.raises(InputError, match="output matrix"):
        T3ForCausalLM(base.model, LowRankHead(HIDDEN, 2, VOCAB))
    for bad in (
        {"temperature": float("nan")},
        {"guidance_scale": -1.0},
        {"log_prior_odds": float("inf")},
        {"gate": "on"},
        {"gate_threshold": 1.5},
        {"temperature": "2"},
        {"temperature": torch.tensor(2.0)},
        {"guidance_scale": True},
    ):
        with pytest.raises(AssumptionError, match=next(iter(bad))):
            T3Config(**bad)
    assert type(T3Config(temperature=np.float32(2)).temperature) is float
    with pytest.raises(InputError, match="pooling_mask"):
        T3ForCausalLM(base, sharp_head())(prompts()[0], torch.ones(3, 1, 7, 7))
