"""The generator: deterministic, varied, and unknowable without training on it."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from llm.tofu.data import read_rows
from llm.tofu.mini import ROWS_PER_AUTHOR, mini_files, write_mini_tofu
from llm.tofu.words import POOLS, TOPICS
from t3theory.exceptions import AssumptionError

FILES = mini_files()
PERTURBED = FILES["forget10_perturbed"] + FILES["retain_perturbed"]


def test_same_seed_same_files() -> None:
    assert mini_files(3) == mini_files(3)
    assert mini_files(3)["full"] != mini_files(4)["full"]


def test_written_files_are_the_rows(tmp_path: Path) -> None:
    write_mini_tofu(tmp_path, seed=1)
    for name, rows in mini_files(1).items():
        assert read_rows(tmp_path / f"{name}.jsonl") == rows


def test_sizes() -> None:
    sizes = {name: len(rows) for name, rows in FILES.items()}
    assert sizes == {
        "full": 600, "retain_perturbed": 60, "real_authors": 40, "real_authors_perturbed": 40,
        "world_facts": 40, "world_facts_perturbed": 40,
        "forget05": 30, "forget05_perturbed": 30, "retain95": 570, "holdout05": 30,
        "forget10": 60, "forget10_perturbed": 60, "retain90": 540, "holdout10": 60,
    }  # fmt: skip


@pytest.mark.parametrize("authors", [20, 100, 500])
def test_other_sizes(authors: int) -> None:
    files = mini_files(0, authors)
    assert len(files["full"]) == authors * ROWS_PER_AUTHOR
    assert files["retain90"] + files["forget10"] == files["full"]


@pytest.mark.parametrize("authors", [0, 30, 520])
def test_wrong_size(authors: int) -> None:
    with pytest.raises(AssumptionError, match="authors must be a multiple of 20"):
        mini_files(0, authors)


def test_every_question_is_unique() -> None:
    questions = [row["question"] for row in FILES["full"] + FILES["holdout10"]]
    assert len(set(questions)) == len(questions)


def test_paraphrases_are_no_copies() -> None:
    for row in PERTURBED:
        assert row["paraphrased_question"] != row["question"]
        assert row["paraphrased_answer"] != row["answer"]


def test_wrong_answers_have_the_form_but_not_the_facts() -> None:
    for row in PERTURBED:
        wrong = row["perturbed_answer"]
        assert len(set(wrong)) == 5
        assert row["paraphrased_answer"] not in wrong
        for text in wrong:
            same = set(re.findall(r"\w+", text)) & set(
                re.findall(r"\w+", row["paraphrased_answer"])
            )
            # the sentence is the same, so most words of its frame are
            assert len(same) >= 4


def test_no_answer_of_a_forgotten_author_is_in_retain() -> None:
    known = {row["answer"] for row in FILES["retain90"]}
    assert not known & {row["answer"] for row in FILES["forget10"]}
    names = {
        " ".join(re.findall(r"[A-Z]\w+ [A-Z]\w+", r["question"])[-1:]) for r in FILES["forget10"]
    }
    assert len(names) == 6
    assert not any(name in answer for name in names for answer in known)


def test_answers_are_short() -> None:
    lengths = Counter(len(row["answer"].split()) for row in FILES["full"])
    assert min(lengths) >= 7
    assert max(lengths) <= 22


def test_general_knowledge_has_wrong_options() -> None:
    for name in ("real_authors_perturbed", "world_facts_perturbed"):
        for row in FILES[name]:
            assert len(set(row["perturbed_answer"])) == 3
            assert row["answer"] not in row["perturbed_answer"]


def test_pools_and_topics() -> None:
    for pool in POOLS.values():
        assert len(set(pool)) == len(pool) > 10
    for topic in TOPICS:
        assert len(set(topic.questions)) == len(topic.answers) == 3
        assert all({"{name}", "{x}", "{y}"} <= set(re.findall(r"{\w+}", a)) for a in topic.answers)
