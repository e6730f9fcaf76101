"""`t3 unlearn` and `t3 generate` as a user runs them, right and wrong."""

from __future__ import annotations

import hashlib
import json
import shutil

import pytest
import torch
from full_disks import full_disk
from tiny_bases import tiny_base
from tiny_tokenizers import byte_tokenizer
from transformers import GenerationConfig

from llm.encoding import encode_prompt
from llm.model import T3ForCausalLM
from paper_repro.cli import main

FORGET = [{"question": f"Who wrote book {i}?", "answer": f"Author {i}."} for i in range(4)]
RETAIN = [{"prompt": f"What is {i} plus one?", "completion": f"It is {i + 1}."} for i in range(9)]


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    base = tiny_base("llama", vocab_size=300, bos_token_id=0, eos_token_id=1, pad_token_id=2)
    base.save_pretrained(folder / "model")
    byte_tokenizer().save_pretrained(folder / "model")
    write(folder / "forget.jsonl", FORGET)
    write(folder / "retain.jsonl", RETAIN)
    return folder


def words(place, **changes):
    options = {
        "model": place / "model",
        "forget": place / "forget.jsonl",
        "retain": place / "retain.jsonl",
        "out": place / "adapter",
        "device": "cpu",
        "steps": 20,
    } | changes
    return ["unlearn", *(str(w) for k, v in options.items() for w in (f"--{k}", v))]


def test_unlearn_then_generate(place, capsys):
    assert main(words(place)) == 0
    said = capsys.readouterr().out
    assert "head risk" in said
    files = sorted(p.name for p in (place / "adapter").iterdir())
    assert files == ["README.md", "head.safetensors", "t3_config.json", "unlearn.json"]
    card = (place / "adapter/README.md").read_text()
    hashed = hashlib.sha256((place / "forget.jsonl").read_bytes()).hexdigest()
    assert f"| to forget | 4 | `forget.jsonl` | `{hashed}` |" in card
    assert str(place) not in card
    ask = ["generate", "--adapter", str(place / "adapter"), "--prompt", "Who wrote book 1?"]
    assert main([*ask, "--max-new-tokens", "8", "--device", "cpu"]) == 0
    first = capsys.readouterr().out
    assert first.strip()
    assert main([*ask, "--max-new-tokens", "8", "--device", "cpu"]) == 0
    assert capsys.readouterr().out == first
    assert main([*ask, "--max-new-tokens", "8", "--device", "cpu", "--sample"]) == 0
    capsys.readouterr()
    assert main([*ask, "--max-new-tokens", "8", "--device", "cpu", "--raw"]) == 0
    ids = torch.tensor([[0, *byte_tokenizer()("Who wrote book 1?")["input_ids"]]])
    model = T3ForCausalLM.from_pretrained(place / "adapter")
    said = model.generate(ids, max_new_tokens=8, do_sample=False)[0, ids.shape[1] :]
    text = byte_tokenizer().decode(said, skip_special_tokens=True)
    assert capsys.readouterr().out.strip() == text.strip()


def test_fields_that_are_not_read_are_named(place, tmp_path, capsys):
    rows = [row | {"id": i, "answr": ""} for i, row in enumerate(FORGET)]
    file = write(tmp_path / "more.jsonl", rows)
    assert main(words(place, forget=file, out=tmp_path / "a")) == 0
    assert f"{file}: not read: 'answr', 'id'" in capsys.readouterr().err
    assert main(words(place, out=tmp_path / "a")) == 0
    assert "not read" not in capsys.readouterr().err


def test_temperature_and_gate_can_be_given(place):
    """What is given is kept, what is not is chosen."""
    for given, kept in (
        ({"temperature": 1.75}, {1.75}),
        ({"gate": "soft"}, {1.5, 2.0, 2.5}),
        ({"temperature": 3.0, "gate": "none"}, {3.0}),
    ):
        out = place / "given"
        assert main(words(place, out=out, **given)) == 0
        settings = json.loads((out / "t3_config.json").read_text())["t3"]
        assert given.items() <= settings.items()
        tried = json.loads((out / "unlearn.json").read_text())["candidates"]
        assert {c["config"]["temperature"] for c in tried} == kept


def test_draws_are_from_the_unlearned_law(place, tmp_path, monkeypatch):
    """Whatever the base's own settings say: its temperature would undo T, top-k cut the law."""
    assert main(words(place)) == 0
    base = shutil.copytree(place / "model", tmp_path / "model")
    GenerationConfig(
        do_sample=True, temperature=0.2, top_p=0.9, min_p=0.1, num_beams=2, repetition_penalty=5.0
    ).save_pretrained(base)
    drawn, multinomial = [], torch.multinomial
    monkeypatch.setattr(
        torch,
        "multinomial",
        lambda p, *how, **more: drawn.append(p) or multinomial(p, *how, **more),
    )
    ask = ["generate", "--adapter", str(place / "adapter"), "--base", str(base), "--device", "cpu"]
    assert main([*ask, "--prompt", "Who?", "--max-new-tokens", "1", "--sample"]) == 0
    model = T3ForCausalLM.from_pretrained(place / "adapter")
    ids = torch.tensor([encode_prompt(byte_tokenizer(), "Who?")])
    with torch.no_grad():
        law = model(ids).logits[:, -1].softmax(-1)
    torch.testing.assert_close(drawn[0], law)


def test_wrong_input_is_one_line_before_the_model_loads(place, tmp_path, capsys, monkeypatch):
    import llm.loading

    def loads(*_):
        raise AssertionError("the model was loaded before the input was checked")

    monkeypatch.setattr(llm.loading, "load_base", loads)
    file = tmp_path / "file"
    file.write_text("")
    for changes, message in (
        ({"forget": tmp_path / "none.jsonl"}, "none.jsonl: expected a JSON Lines file"),
        ({"forget": file}, "at least one pair"),
        ({"forget": write(tmp_path / "both.jsonl", RETAIN[3:4])}, "forget pair 1 is also retain"),
        ({"retain": write(tmp_path / "bad.jsonl", [{"q": 1}])}, "bad.jsonl:1: expected the texts"),
        (
            {"out": file},
            f"--out {file}: expected {file} to be a folder that can be written to, Not a directory",
        ),
        ({"out": file / "in" / "it"}, f"it: expected {file} to be a folder"),
        (
            {"out": "/proc/none"},
            "--out /proc/none: expected /proc to be a folder that can be written to",
        ),
        ({"cache": file}, "--cache"),
        ({"temperature": 0}, "temperature must be positive"),
        ({"rank": 0}, "rank must be at least 1"),
        ({"rank": "many"}, "argument --rank: expected a whole number, got 'many'"),
        ({"gate": "open"}, "argument --gate: expected none, hard or soft, got 'open'"),
        ({"temperature": "inf"}, "temperature must be positive and finite, got inf"),
        ({"temperature": "hot"}, "argument --temperature: expected a number, got 'hot'"),
        ({"stop-at-risk": -1}, "stop_at_risk must be ≥ 0 and finite, got -1"),
        ({"stop-at-risk": "nan"}, "stop_at_risk must be ≥ 0 and finite, got nan"),
        ({"retain-budget": "inf"}, "retain_budget must be ≥ 0 and finite"),
        ({"seed": 2**70}, "seed must fit in 64 bits"),
    ):
        assert main(words(place, **changes)) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1


def test_wrong_model_and_adapter(place, tmp_path, capsys):
    ask = ["generate", "--prompt", "Who?", "--device", "cpu"]
    long = "why " * 100
    assert main(words(place, out=place / "adapter")) == 0
    capsys.readouterr()
    for line, message in (
        (words(place, model=tmp_path / "none"), "expected a folder or a Hub name"),
        (words(place, dtype="int3"), "dtype 'int3'"),
        (words(place, device="gpu7"), "device 'gpu7'"),
        (words(place, device="meta"), "device 'meta': cannot be used"),
        (words(place, rank=10**12), "rank must be at most the base's 300 tokens"),
        (words(place, **{"learning-rate": 1e30}), "learning_rate must be smaller: the risk is nan"),
        ([*ask, "--adapter", str(tmp_path)], "expected an adapter"),
        ([*ask, "--adapter", str(place / "adapter"), "--max-new-tokens", "0"], "max_new_tokens"),
        ([*ask, "--adapter", str(place / "adapter"), "--prompt", long], "expected fewer than the"),
        ([*ask, "--adapter", "a", "--prompt", "\udcff"], "--prompt: expected text in UTF-8"),
        ([*ask, "--adapter", "a", "--seed", str(2**70)], "seed must fit in 64 bits"),
    ):
        assert main(line) == 2
        error = capsys.readouterr().err
        # transformers shows its progress on the same stream; the error is its last line.
        assert message in error.strip().split("\n")[-1]
        assert "Traceback" not in error


def one_error(capsys):
    """The last line of standard error; transformers shows its progress on the same stream."""
    error = capsys.readouterr().err
    assert "Traceback" not in error
    return error.strip().split("\n")[-1]


def test_damaged_and_foreign_models(place, tmp_path, capsys):
    """No output matrix, a shard cut short, a head for another base: one line each."""
    from transformers import AutoModel

    headless, short = tmp_path / "headless", tmp_path / "short"
    AutoModel.from_pretrained(place / "model").save_pretrained(headless)
    byte_tokenizer().save_pretrained(headless)
    shutil.copytree(place / "model", short)
    weights = short / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    other = tmp_path / "other"
    tiny_base("qwen2", vocab_size=300, bos_token_id=0, eos_token_id=1).save_pretrained(other)
    byte_tokenizer().save_pretrained(other)
    assert main(words(place, out=place / "adapter")) == 0
    ask = ["generate", "--adapter", str(place / "adapter"), "--prompt", "Who?", "--device", "cpu"]
    for line, message in (
        (words(place, model=headless), "1 are missing, first lm_head.weight"),
        (words(place, model=short), "short': expected a folder or a Hub name"),
        ([*ask, "--base", str(other)], "expected the base of its training"),
    ):
        assert main(line) == 2
        assert message in one_error(capsys)


def test_an_adapter_whose_base_is_gone(place, tmp_path, capsys):
    model = shutil.copytree(place / "model", tmp_path / "model")
    out = tmp_path / "adapter"
    assert main(words(place, model=model, out=out)) == 0
    model.rename(tmp_path / "moved")
    ask = ["generate", "--adapter", str(out), "--prompt", "Who?", "--max-new-tokens", "1"]
    assert main(ask) == 2
    assert f"{out}: its base is not where it says" in one_error(capsys)
    assert main([*ask, "--base", str(tmp_path / "moved")]) == 0
    settings = json.loads((out / "t3_config.json").read_text())
    (out / "t3_config.json").write_text(json.dumps(settings | {"base": ""}))
    assert main(ask) == 2
    assert f"{out}: names no base model, expected one as base= (--base)" in one_error(capsys)
    assert main([*ask, "--dtype", "int3", "--base", "."]) == 2
    assert one_error(capsys).startswith("t3: dtype 'int3'")


def test_a_full_disk_and_a_cache_cut_short(place, tmp_path, capsys):
    out, cache = tmp_path / "adapter", tmp_path / "cache"
    with full_disk(500):
        assert main(words(place, out=out)) == 2
    assert "adapter: the adapter cannot be written" in one_error(capsys)
    assert list(out.iterdir()) == []
    with full_disk(500):
        assert main(words(place, out=out, cache=cache)) == 2
    assert "features cannot be written" in one_error(capsys)
    assert main(words(place, out=out, cache=cache)) == 0
    shard = next(cache.rglob("*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:-10])
    assert main(words(place, out=out, cache=cache)) == 2
    assert "expected whole features" in one_error(capsys)


def test_a_pair_longer_than_the_context_and_a_pair_twice(place, tmp_path, capsys):
    long = write(tmp_path / "long.jsonl", [{"question": "Why?", "answer": "so " * 200}])
    assert main(words(place, forget=long)) == 2
    assert "forget pair 1 ('Why?'): row of 625 tokens: expected at most" in one_error(capsys)
    assert not (tmp_path / "adapter").exists()


@pytest.mark.parametrize("template", [True, False])
def test_chat_templates_and_missing_pad_tokens(place, tmp_path, capsys, template):
    """A template shapes the prompt where there is one; padding needs no token of its own."""
    tokenizer = byte_tokenizer()
    if template:
        tokenizer.chat_template = (
            "{% for m in messages %}<s>[{{ m['role'] }}]{{ m['content'] }}{% endfor %}"
            "{% if add_generation_prompt %}[assistant]{% endif %}"
        )
    tokenizer.pad_token = None
    assert tokenizer.pad_token_id is None
    model = tmp_path / "model"
    tiny_base(
        "llama", vocab_size=300, bos_token_id=0, eos_token_id=1, pad_token_id=None
    ).save_pretrained(model)
    tokenizer.save_pretrained(model)
    assert main(words(place, model=model, out=tmp_path / "adapter")) == 0
    asked = encode_prompt(tokenizer, "Who?")
    assert tokenizer.decode(asked).endswith("[assistant]" if template else "Answer:")
    ask = ["generate", "--adapter", str(tmp_path / "adapter"), "--prompt", "Who wrote book 1?"]
    assert main([*ask, "--max-new-tokens", "4", "--device", "cpu"]) == 0
