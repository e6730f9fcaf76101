"""Mini-TOFU: a small benchmark in TOFU's own layout, generated from a seed.

Sixty invented authors with ten question/answer pairs each. Every fact is drawn from a pool,
so a model that never saw an author cannot know the answers; it can at best learn their form.
A paraphrase says the same facts in another of the topic's sentences, and the five perturbed
answers are that sentence with other facts. Real authors and world facts are true pairs that
every model is meant to be trained on.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from llm.tofu.words import POOLS, REAL_AUTHORS, TOPICS, WORLD_FACTS, Topic
from t3theory.exceptions import AssumptionError
from t3theory.records import write_json, write_records

__all__ = ["LAYOUT_FILE", "ROWS_PER_AUTHOR", "mini_files", "write_mini_tofu"]

ROWS_PER_AUTHOR = len(TOPICS)
LAYOUT_FILE = "layout.json"
"""The file that states a folder's rows per author, where they are not TOFU's 20."""

Row = dict[str, Any]

_PERTURBED = 5
_DISTRACTORS = 3


def _other(rng: random.Random, pool: Sequence[str], taken: set[str]) -> str:
    """A member of `pool` not yet `taken`, and take it."""
    choice = rng.choice([word for word in pool if word not in taken])
    taken.add(choice)
    return choice


def _author_row(rng: random.Random, name: str, topic: Topic, authors: Sequence[str]) -> Row:
    """One pair about `name`, with its paraphrases and perturbed answers.

    No answer names another of the `authors`: what is to be forgotten stands in its own rows only.
    """
    taken_x, taken_y = set(authors), set(authors)
    facts = []
    for _ in range(1 + _PERTURBED):
        x = _other(rng, POOLS[topic.x], taken_x)
        if topic.x == topic.y:
            taken_y.add(x)  # a town is not near itself
        facts.append({"name": name, "x": x, "y": _other(rng, POOLS[topic.y], taken_y)})
    question, question_again = rng.sample(topic.questions, 2)
    answer, answer_again = rng.sample(topic.answers, 2)
    true = facts[0]
    return {
        "question": question.format(**true),
        "answer": answer.format(**true),
        "paraphrased_question": question_again.format(**true),
        "paraphrased_answer": answer_again.format(**true),
        "perturbed_answer": [answer_again.format(**wrong) for wrong in facts[1:]],
    }


def _knowledge(rng: random.Random, pairs: Sequence[tuple[str, str]]) -> list[Row]:
    """General-knowledge pairs with other pairs' answers as the wrong ones."""
    answers = [answer for _, answer in pairs]
    return [
        {
            "question": question,
            "answer": answer,
            "perturbed_answer": rng.sample([a for a in answers if a != answer], _DISTRACTORS),
        }
        for question, answer in pairs
    ]


def _plain(rows: Sequence[Row]) -> list[Row]:
    return [{"question": row["question"], "answer": row["answer"]} for row in rows]


def mini_files(seed: int = 0, authors: int = 60) -> dict[str, list[Row]]:
    """Every file of mini-TOFU, by name without suffix, as rows; the same for the same seed.

    Args:
        seed: chooses authors, facts and sentences.
        authors: how many authors `full` is about, in tens up to 500; a tenth are forgotten,
            another tenth's worth is held out.

    Raises:
        AssumptionError: `authors` is not a multiple of 20 in [20, 500].

    >>> files = mini_files()
    >>> len(files["full"]), len(files["forget10"]), len(files["holdout10"])
    (600, 60, 60)
    >>> files["full"][540:] == files["forget10"]
    True
    """
    if authors % 20 or not 20 <= authors <= 500:
        raise AssumptionError("authors", "must be a multiple of 20 in [20, 500]", authors)
    rng = random.Random(seed)
    names = rng.sample(POOLS["person"], authors + authors // 10)
    rows = [_author_row(rng, name, topic, names) for name in names for topic in TOPICS]
    size = authors * ROWS_PER_AUTHOR
    full, holdout = rows[:size], rows[size:]
    files = {"full": _plain(full), "retain_perturbed": full[: size // 10]}
    for percent in (5, 10):
        n = size * percent // 100
        split = f"{percent:02d}"
        files |= {
            f"forget{split}": _plain(full[-n:]),
            f"forget{split}_perturbed": full[-n:],
            f"retain{100 - percent}": _plain(full[:-n]),
            f"holdout{split}": _plain(holdout[:n]),
        }
    for name, pairs in (("real_authors", REAL_AUTHORS), ("world_facts", WORLD_FACTS)):
        perturbed = _knowledge(rng, pairs)
        files |= {name: _plain(perturbed), f"{name}_perturbed": perturbed}
    return files


def write_mini_tofu(folder: str | Path, seed: int = 0, authors: int = 60) -> None:
    """Write mini-TOFU to `folder`: one JSON Lines file a split, and `layout.json`."""
    files: Mapping[str, list[Row]] = mini_files(seed, authors)
    for name, rows in files.items():
        write_records(Path(folder) / f"{name}.jsonl", rows)
    write_json(Path(folder) / LAYOUT_FILE, {"rows_per_author": ROWS_PER_AUTHOR})
