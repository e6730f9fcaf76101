"""Tokenizers, templates and settings of a base that do not fit: one line, or no matter."""

from __future__ import annotations

import json
import shutil

import pytest
from tiny_bases import tiny_base
from tiny_tokenizers import byte_tokenizer

from paper_repro.cli import main


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A base, an adapter of it, and the pairs of its training."""
    folder = tmp_path_factory.mktemp("unusual")
    for name, pairs in (("forget", 3), ("retain", 6)):
        rows = [{"question": f"What is {name} {i}?", "answer": f"It is {i}."} for i in range(pairs)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    base = tiny_base("llama", vocab_size=300, bos_token_id=0, eos_token_id=1, pad_token_id=2)
    base.save_pretrained(folder / "model")
    byte_tokenizer().save_pretrained(folder / "model")
    assert unlearn(folder, folder / "model", folder / "adapter") == 0
    return folder


def unlearn(place, model, out):
    pairs = ("--forget", place / "forget.jsonl", "--retain", place / "retain.jsonl")
    words = ("--model", model, *pairs, "--out", out, "--steps", 5, "--device", "cpu")
    return main(["unlearn", *map(str, words)])


def generate(place, base):
    words = ("--adapter", place / "adapter", "--base", base, "--prompt", "Who?")
    return main(["generate", *map(str, words), "--max-new-tokens", "3", "--device", "cpu"])


def both_say(message, place, model, capsys):
    """Unlearning and generating end with this line; the adapter is not begun."""
    out = model.with_name("out")
    for run in (lambda: unlearn(place, model, out), lambda: generate(place, model)):
        assert run() == 2
        error = capsys.readouterr().err.strip().split("\n")[-1]
        assert message in error
    assert not out.exists()


def with_tokenizer(place, tmp_path, tokenizer):
    shutil.copytree(place / "model", tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_a_tokenizer_with_more_tokens_than_the_base(place, tmp_path, capsys):
    tokenizer = byte_tokenizer()
    tokenizer.add_tokens([f"<more {i}>" for i in range(60)] + ["Wh"])
    model = with_tokenizer(place, tmp_path, tokenizer)
    both_say("expected fewer than the model's 300", place, model, capsys)


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ raise_exception('no lone questions') }}", "no lone questions"),
        ("{% for m in messages %}{{ m.content", "unexpected end"),
        ({"rag": "{{ messages }}", "tool_use": "{{ messages }}"}, "This model has multiple"),
        ("{{ messages[0].content + 1 }}", "can only concatenate"),
    ],
)
def test_a_chat_template_that_cannot_be_used(template, reason, place, tmp_path, capsys):
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = template
    model = with_tokenizer(place, tmp_path, tokenizer)
    expected = "a chat template that takes one message of the user's; "
    both_say(expected + reason, place, model, capsys)


def test_a_base_that_prefers_beams_is_streamed(place, tmp_path, capsys):
    assert generate(place, place / "model") == 0
    expected = capsys.readouterr().out
    beams = shutil.copytree(place / "model", tmp_path / "beams")
    settings = json.loads((beams / "generation_config.json").read_text())
    (beams / "generation_config.json").write_text(json.dumps(settings | {"num_beams": 2}))
    assert generate(place, beams) == 0
    assert capsys.readouterr().out == expected
