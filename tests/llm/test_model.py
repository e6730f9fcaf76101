"""The model against its definition: scores, gates, equality with the published method."""

from __future__ import annotations

import json

import pytest
import torch
from tiny_bases import HIDDEN, SPECIAL, VOCAB, prompts, sharp_head, tiny_base

from llm.head import LowRankHead
from llm.model import T3Config, T3ForCausalLM
from t3theory.estimator import tilted_score
from t3theory.exceptions import AssumptionError, InputError

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


def test_saved_adapter_holds_no_base_and_loads_the_same_model(tmp_path):
    base = tiny_base("qwen2")
    base.save_pretrained(tmp_path / "base")
    config = T3Config(temperature=1.7, gate="soft", log_prior_odds=0.3)
    model = T3ForCausalLM(type(base).from_pretrained(tmp_path / "base"), sharp_head(), config)
    model.save_pretrained(tmp_path / "adapter")
    files = sorted(p.name for p in (tmp_path / "adapter").iterdir())
    assert files == ["head.safetensors", "t3_config.json"]
    assert (tmp_path / "adapter/head.safetensors").stat().st_size < 4 * (HIDDEN + VOCAB) * 3 + 500
    ids, mask = prompts()
    with torch.no_grad():
        expected = model.eval()(ids, mask).logits
        for given in (None, base, tmp_path / "base", str(tmp_path / "base")):
            again = T3ForCausalLM.from_pretrained(tmp_path / "adapter", base=given)
            assert again.t3_config == config
            assert torch.equal(again(ids, mask).logits, expected)
    half = T3ForCausalLM.from_pretrained(tmp_path / "adapter", dtype=torch.bfloat16)
    assert half.base.dtype == torch.bfloat16
    assert half.head.up.weight.dtype == torch.float32


def test_adapter_refuses_another_base_damage_and_absence(tmp_path):
    base = tiny_base("llama")
    T3ForCausalLM(base, sharp_head()).save_pretrained(tmp_path / "a")
    other = tiny_base("llama")
    with torch.no_grad():
        other.model.layers[1].mlp.up_proj.weight.mul_(1.5)
    with pytest.raises(InputError, match=r"fingerprint \w{16}, got one with \w{16}"):
        T3ForCausalLM.from_pretrained(tmp_path / "a", base=other)
    assert T3ForCausalLM.from_pretrained(tmp_path / "a", base=other, check_base=False) is not None
    with pytest.raises(InputError, match="expected an adapter"):
        T3ForCausalLM.from_pretrained(tmp_path / "nowhere", base=base)
    with pytest.raises(InputError, match=r"base model .*nowhere.*: cannot be loaded"):
        T3ForCausalLM.from_pretrained(tmp_path / "a", base=tmp_path / "nowhere")
    weights = tmp_path / "a/head.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="damaged"):
        T3ForCausalLM.from_pretrained(tmp_path / "a", base=base)
    weights.write_bytes(whole)
    description = tmp_path / "a/t3_config.json"
    content = json.loads(description.read_text())
    for change in ({"t3": {"temperatur": 1}}, {"head": {"rank": 3}}, {"t3": {"temperature": -1}}):
        description.write_text(json.dumps(content | change))
        with pytest.raises(InputError, match="damaged"):
            T3ForCausalLM.from_pretrained(tmp_path / "a", base=base)


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
    ):
        with pytest.raises(AssumptionError, match=next(iter(bad))):
            T3Config(**bad)
    with pytest.raises(InputError, match="pooling_mask"):
        T3ForCausalLM(base, sharp_head())(prompts()[0], torch.ones(3, 1, 7, 7))
