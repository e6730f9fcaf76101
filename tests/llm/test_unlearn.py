"""Unlearning a memorised pair set of a tiny model, and every way the input can be wrong."""

from __future__ import annotations

import json

import pytest
import tiny_bases
import torch
from huggingface_hub import ModelCard
from scipy.stats import ttest_1samp

from llm.card import card
from llm.encoding import collate, encode_pair
from llm.fit_head import HeadConfig
from llm.model import T3Config, T3ForCausalLM
from llm.pairs import Pair, check_disjoint, read_pairs
from llm.retain_budget import CANDIDATES, Candidate, choose, margin, pair_losses
from llm.unlearn import UnlearnConfig, save_unlearned, unlearn
from t3theory.exceptions import AssumptionError, InputError

RETAIN = [Pair(f"What does {a} grow?", f"{a} grows {b}.") for a, b in zip(
    ("Ada", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gus", "Hana", "Ivo", "Jo", "Kim", "Leo"),
    ("figs", "oats", "rye", "kale", "peas", "corn", "rice", "hops", "flax", "mint", "dill", "yam"),
    strict=True,
)]  # fmt: skip
FORGET = [Pair(f"Where was {a} born?", f"In {b}, long ago.") for a, b in zip(
    ("Max", "Nia", "Ola", "Pia"), ("Rome", "Oslo", "Lima", "Bern"), strict=True
)]  # fmt: skip


@pytest.fixture(scope="module")
def memorised(tiny_tokenizer):
    return tiny_bases.memorised(tiny_tokenizer, RETAIN + FORGET)


CONFIG = UnlearnConfig(head=HeadConfig(batch_pairs=8, rank=8), retain_budget=0.5)


def mean_losses(model, tokenizer, pairs):
    batch = collate([encode_pair(tokenizer, *pair) for pair in pairs], 2)
    with torch.no_grad():
        return float(model(batch.input_ids, batch.attention_mask, labels=batch.labels).loss)


def test_forgets_and_keeps_and_says_so(memorised, tiny_tokenizer, tmp_path):
    said = []
    result = unlearn(memorised, tiny_tokenizer, FORGET, RETAIN, CONFIG, tmp_path / "c", said.append)
    assert len(said) == 3
    report = result.report
    assert report["in_sample_risk"] <= 0.05
    assert report["stopped_by"] == "in-sample balanced risk at most 0.05"
    assert report["pairs"] == {"forget": 4, "retain": 10, "heldout_retain": 2}
    before = mean_losses(memorised, tiny_tokenizer, FORGET)
    assert before < 0.2
    assert mean_losses(result.model, tiny_tokenizer, FORGET) > before + 2
    assert mean_losses(result.model, tiny_tokenizer, RETAIN) < 0.5
    assert report["forget_share"]["forget"] > 0.8
    assert report["risk"]["balanced"] <= report["risk"]["balanced_upper"]
    save_unlearned(tmp_path / "adapter", result)
    again = T3ForCausalLM.from_pretrained(tmp_path / "adapter", base=memorised)
    assert again.t3_config == result.model.t3_config
    assert json.loads((tmp_path / "adapter/unlearn.json").read_text()) == report
    text = (tmp_path / "adapter/README.md").read_text()
    assert "Threat model" in text
    assert cells(text, "to forget") == ["4", "(pairs in memory)", ""]
    assert cells(text, "to retain") == ["12", "(pairs in memory)", ""]


def cells(card, first):
    """The other cells of a table's row, in whichever of the card's tables."""
    row = next(line for line in card.split("\n") if line.startswith(f"| {first} |"))
    return [cell.strip() for cell in row.split("|")[2:-1]]


def test_the_card_says_what_was_trained_on_what(memorised, tiny_tokenizer):
    result = unlearn(memorised, tiny_tokenizer, FORGET, RETAIN, CONFIG)
    files = {name: {"name": f"{name}.jsonl", "sha256": "0f" * 32} for name in ("forget", "retain")}
    text = card(result.report | {"files": files}, "owner/name", "adapter")
    assert ModelCard(text).data.base_model == "owner/name"
    assert cells(text, "to retain") == ["12", "`retain.jsonl`", f"`{'0f' * 32}`"]
    before, chosen = result.report["base_loss"], result.report["chosen"]
    for row, values in (
        ("pairs to forget", (before["forget"], chosen["forget_loss"])),
        ("held-out retain pairs", (r := before["heldout_retain"], r + chosen["retain_cost"])),
    ):
        assert list(map(float, cells(text, row))) == pytest.approx(values, abs=1e-4)
    for base, name in (("/home/me/models/mine", "mine"), ("", "(unnamed)")):
        text = card(result.report, base, "adapter")
        assert ModelCard(text).data.base_model is None
        assert f"base model `{name}`" in text


def test_same_seed_same_adapter(memorised, tiny_tokenizer):
    heads = [unlearn(memorised, tiny_tokenizer, FORGET, RETAIN, CONFIG).model.head for _ in "ab"]
    assert torch.equal(heads[0].up.weight, heads[1].up.weight)


def test_copies_of_a_pair_are_not_both_trained_on_and_held_out(memorised, tiny_tokenizer):
    copies = [Pair(f"{pair.prompt} ", pair.answer) for pair in RETAIN]
    report = unlearn(memorised, tiny_tokenizer, FORGET, RETAIN + copies + RETAIN, CONFIG).report
    assert report["pairs"] == {"forget": 4, "retain": 30, "heldout_retain": 6}


def test_given_settings_are_taken(memorised, tiny_tokenizer):
    given = T3Config(temperature=1.3, gate="soft")
    config = UnlearnConfig(head=CONFIG.head, candidates=(given,))
    result = unlearn(memorised, tiny_tokenizer, FORGET, RETAIN, config)
    assert result.model.t3_config == given
    assert len(result.report["candidates"]) == 1


def test_pair_losses_are_the_models_losses(memorised, tiny_tokenizer):
    head = unlearn(memorised, tiny_tokenizer, FORGET, RETAIN, CONFIG).model.head
    rows = [encode_pair(tiny_tokenizer, *pair) for pair in RETAIN[:3]]
    losses = pair_losses(memorised, head, rows, CANDIDATES, batch_size=2)
    for i, row in enumerate(rows):
        batch = collate([row], 2)
        with torch.no_grad():
            plain = memorised(batch.input_ids, labels=batch.labels).loss
        assert float(losses.base[i]) == pytest.approx(float(plain), abs=1e-5)
        for c, config in enumerate(CANDIDATES):
            model = T3ForCausalLM(memorised, head, config).eval()
            got = mean_losses(model, tiny_tokenizer, [RETAIN[i]])
            assert float(losses.tilted[c, i]) == pytest.approx(got, abs=1e-4)
    assert len(losses.shares) == sum(len(r.input_ids) - r.prompt_length for r in rows)


def test_a_cost_has_its_interval(memorised, tiny_tokenizer):
    result = unlearn(memorised, tiny_tokenizer, FORGET, RETAIN, CONFIG)
    chosen = result.report["chosen"]
    rows = [encode_pair(tiny_tokenizer, *pair) for pair in RETAIN]
    config = T3Config(**chosen["config"])
    losses = pair_losses(memorised, result.model.head, rows, [config])
    rises = (losses.tilted[0] - losses.base).numpy()
    low, high = ttest_1samp(rises, 0).confidence_interval(0.95)
    assert 2 * margin(rises) == pytest.approx(high - low, rel=1e-12)
    assert result.report["pairs"]["heldout_retain"] > 1
    assert chosen["retain_margin"] > 0


def test_choice_spends_the_budget_on_forgetting():
    def candidate(cost, loss, gate="none"):
        return Candidate(T3Config(temperature=2.0, gate=gate), cost, loss)

    some = [candidate(0.0, 1.0), candidate(0.3, 4.0), candidate(0.2, 4.0, "hard")]
    assert choose(some, 0.1) == some[0]
    assert choose(some, 0.25) == some[2]
    assert choose(some, 0.5) == some[2], "equal, and cheaper"
    assert choose([*some, candidate(0.0, 5.0, "soft")], 0.5).config.gate == "soft"
    assert choose(some[1:], 0.1) == some[2]
    with pytest.raises(AssumptionError, match="candidates"):
        choose([])
    with pytest.raises(AssumptionError, match="candidates"):
        UnlearnConfig(candidates=())
    with pytest.raises(AssumptionError, match="retain_budget"):
        choose(some, -1.0)


def test_too_little_and_too_much(memorised, tiny_tokenizer):
    with pytest.raises(InputError, match="got 0 and 12"):
        unlearn(memorised, tiny_tokenizer, [], RETAIN)
    with pytest.raises(InputError, match="got 4 and 1"):
        unlearn(memorised, tiny_tokenizer, FORGET, RETAIN[:1] * 6)
    with pytest.raises(InputError, match="forget pair 2 is also retain pair 12"):
        check_disjoint([FORGET[0], RETAIN[-1]], RETAIN)
    spaced = Pair(f" {RETAIN[2].prompt}", RETAIN[2].answer.replace(" ", "\n"), raw=True)
    with pytest.raises(InputError, match="forget pair 1 is also retain pair 3"):
        check_disjoint([spaced], RETAIN)
    long = (
        r"forget pair 2 \('Why\?'\): row of \d+ tokens: expected at most the model's 128 positions"
    )
    with pytest.raises(InputError, match=long):
        unlearn(memorised, tiny_tokenizer, [FORGET[0], Pair("Why?", "word " * 200)], RETAIN)
    with pytest.raises(AssumptionError, match="heldout_share"):
        UnlearnConfig(heldout_share=0.0)
    with pytest.raises(AssumptionError, match="retain_budget"):
        UnlearnConfig(retain_budget=-0.1)


def test_padding_needs_no_token_of_the_base(memorised, tiny_tokenizer, monkeypatch):
    """Settings of some bases name a padding token of −1, or none."""
    risks = []
    for pad in (2, -1, None):
        monkeypatch.setattr(memorised.config, "pad_token_id", pad)
        risks.append(
            unlearn(memorised, tiny_tokenizer, FORGET, RETAIN, CONFIG).report["candidates"]
        )
    assert risks[0] == risks[1] == risks[2]


def test_files_of_pairs(tmp_path):
    file = tmp_path / "p.jsonl"
    file.write_text('{"question": "a", "answer": "b"}\n\n{"prompt": "c", "completion": "d"}\n')
    assert read_pairs(file) == [Pair("a", "b"), Pair("c", "d", raw=True)]
    for content, message in (
        ("", "at least one pair"),
        ('{"question": "a", "answer": "b"}\n{"question": "a', r"p.jsonl:2: expected one JSON"),
        ('{"question": "a", "anser": "b"}', r"p.jsonl:1: expected the texts"),
        ('["a", "b"]', r"p.jsonl:1: expected the texts"),
        ('{"question": "a", "answer": " "}', r"p.jsonl:1: 'answer' is empty"),
        ('{"question": "a\\ud800", "answer": "b"}', r"p.jsonl:1: .*surrogate pair, '\\ud800'"),
        ('{"question": "a", "answer": "b", "n": ' + "9" * 5000 + "}", r"p.jsonl:1: .*4300 digits"),
        ("[" * 100_000, r"p.jsonl:1: .*nested too deeply"),
    ):
        file.write_text(content)
        with pytest.raises(InputError, match=message):
            read_pairs(file)
    with pytest.raises(InputError, match="expected a JSON Lines file"):
        read_pairs(tmp_path / "none.jsonl")
