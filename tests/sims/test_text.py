"""Bigrams of text: counted as they stand, computed anew when the text changes."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from figures.pooling import pool
from figures.registry import FIGURES
from sims.run import run_study
from sims.text import bigrams, content, generated, read
from t3theory.exceptions import InputError

FEW = {"n": 100, "seeds": 1, "temperature": 1}


@pytest.fixture
def folder(tmp_path):
    for name, answers in (("retain90", ["A cat sat.", "A dog sat."]), ("forget10", ["My cat."])):
        rows = [json.dumps({"question": "Who?", "answer": a}) + "\n" for a in answers]
        (tmp_path / f"{name}.jsonl").write_text("".join(rows))
    return tmp_path


def test_words_and_pairs(folder):
    retain, forget = (read(folder / f"{name}.jsonl") for name in ("retain90", "forget10"))
    assert retain[0] == ["who", "?", "a", "cat", "sat", "."]
    m = bigrams(retain, forget, 0.1)
    # Who ?, ? a, a cat, cat sat, sat ., a dog, dog sat of the one; ? my, my cat, cat . besides.
    assert m.size == 10
    assert m.retain.tolist() == [0.2, 0.2, 0.1, 0.1, 0.2, 0.1, 0.1, 0, 0, 0]
    assert m.forget.tolist() == [0.25, *[0] * 6, 0.25, 0.25, 0.25]
    assert float(m.forget_density_sup) == 2.5


@pytest.mark.parametrize("between", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c"])
def test_lines_end_at_newlines_alone(tmp_path, between):
    row = {"question": "Who?", "answer": f"A{between}cat."}
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    assert read(file) == [["who", "?", "a", "cat", "."]]


def test_generated_text_holds_its_forget_sentences_ten_times():
    retain, forget = generated(np.random.default_rng(0))
    assert (len(retain), len(forget)) == (400, 50)
    assert len({tuple(sentence) for sentence in forget}) == 5


def test_a_changed_text_is_computed_anew(folder, tmp_path):
    overrides = FEW | {"text": str(folder)}
    out = tmp_path / "records.jsonl"
    (before,) = run_study("text_bigrams", out=out, overrides=overrides)
    with (folder / "forget10.jsonl").open("a") as file:
        file.write(json.dumps({"question": "And?", "answer": "My own cat."}) + "\n")
    (after,) = run_study("text_bigrams", out=out, overrides=overrides)
    assert after["values"]["atoms"] > before["values"]["atoms"]


def test_missing_texts_are_named_before_any_work(folder, monkeypatch):
    monkeypatch.setattr("sims.run.run_cell", lambda cell: pytest.fail("work started"))
    (folder / "forget10.jsonl").unlink()
    with pytest.raises(InputError, match=r"text: expected a file .*forget10\.jsonl"):
        run_study("text_bigrams", overrides=FEW | {"text": str(folder)})


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'{"question": "Who?"}', "1: expected a row with question and answer, in words"),
        (b'{"question": null, "answer": null}', "1: expected a row with question and answer"),
        (b"[" * 100_000, "1: expected one JSON object a line, nested too deeply"),
        (b"caf\xe9", " expected a JSON Lines file, not UTF-8 text"),
    ],
)
def test_broken_rows_are_named_before_any_work(folder, monkeypatch, line, words):
    monkeypatch.setattr("sims.run.run_cell", lambda cell: pytest.fail("work started"))
    (folder / "forget10.jsonl").write_bytes(line + b"\n")
    with pytest.raises(InputError, match=rf"forget10\.jsonl:{words}"):
        run_study("text_bigrams", overrides=FEW | {"text": str(folder)})


def test_a_text_without_a_pair_is_named():
    with pytest.raises(InputError, match="forget: expected at least two symbols"):
        bigrams([["a", "b"]], [["a"]], 0.1)


@pytest.mark.parametrize("name", ["retain90", "forget10"])
def test_either_file_counts(folder, name):
    before = content(str(folder), "forget10")
    with (folder / f"{name}.jsonl").open("a") as file:
        file.write(json.dumps({"question": "And?", "answer": "No."}) + "\n")
    assert content(str(folder), "forget10") != before


def test_how_a_path_is_spelled_does_not_matter(folder, monkeypatch):
    spelled = [str(folder), f"{folder.parent}/./{folder.name}", f"{folder}/../{folder.name}"]
    monkeypatch.chdir(folder)
    found = [run_study("text_bigrams", overrides=FEW | {"text": t}) for t in (*spelled, ".")]
    facts = [[{k: r[k] for k in ("config", "seed", "values")} for r in rs] for rs in found]
    assert facts == [facts[0]] * 4
    assert facts[0][0]["config"]["text"] == folder.name
    assert facts[0][0]["config"]["text_hash"] == content(str(folder), "forget10")
    other = folder.parent / "other"
    shutil.copytree(folder, other)
    [copied] = run_study("text_bigrams", overrides=FEW | {"text": str(other)})
    assert copied["values"] == facts[0][0]["values"]


def test_another_text_of_the_same_name_is_another_configuration(folder):
    records = run_study("text_bigrams", overrides=FEW | {"text": str(folder)})
    with (folder / "forget10.jsonl").open("a") as file:
        file.write(json.dumps({"question": "And?", "answer": "No."}) + "\n")
    records += run_study("text_bigrams", overrides=FEW | {"text": str(folder)})
    texts, hashes = ({r["config"][k] for r in records} for k in ("text", "text_hash"))
    assert (len(texts), len(hashes)) == (1, 2)
    assert len(pool([r | {"seed": s} for s in (0, 1) for r in records])) == 2
    caption = FIGURES["text_bigrams"].caption(records)
    assert all(f"{folder.name} ({h[:6]})" in caption for h in hashes)
