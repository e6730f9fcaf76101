"""The README and docs/results.md say what the committed records say, and its code runs."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from tiny_bases import tiny_base
from tiny_tokenizers import byte_tokenizer

from llm.tofu.mini import write_mini_tofu
from paper_repro.cli import main
from paper_repro.report.tables import TABLES, fill
from paper_repro.report.text import to_markdown
from paper_repro.results import read_results

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = README + (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
RESULTS = sorted((ROOT / "paper_repro" / "results").glob("*.jsonl"))


def test_there_are_results():
    assert RESULTS


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_tables_are_those_of_the_records(path):
    block = re.search(rf"<!-- {path.stem} -->\n(.*?)<!-- /{path.stem} -->", PAGES, re.DOTALL)
    assert block, f"neither README nor docs/results.md has a table of {path.stem}"
    methods = fill(TABLES[0], read_results(path))
    assert methods
    assert block[1] == to_markdown(methods)


def test_python_blocks_run():
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    theory = [block for block in blocks if "t3theory" in block]
    assert theory
    for block in theory:
        exec(compile(block, "README.md", "exec"), {})  # noqa: S102 our own text


@pytest.fixture
def users_folder(tmp_path, monkeypatch):
    """Where the README's user stands: MODEL, two files of pairs, and FOLDER with TOFU's files."""
    base = tiny_base(
        "llama", vocab_size=300, max_position_embeddings=1024, eos_token_id=1, pad_token_id=2
    )
    base.save_pretrained(tmp_path / "MODEL")
    byte_tokenizer().save_pretrained(tmp_path / "MODEL")
    write_mini_tofu(tmp_path / "FOLDER", authors=20)
    for path in (tmp_path / "FOLDER").glob("*_perturbed.jsonl"):
        if "forget" not in path.name:
            path.write_text("\n".join(path.read_text().split("\n")[:2]) + "\n")
    for name in ("forget", "retain"):
        pairs = [{"question": f"Who wrote {name} {i}?", "answer": f"Ada {i}."} for i in range(6)]
        text = "".join(json.dumps(pair) + "\n" for pair in pairs)
        (tmp_path / f"{name}.jsonl").write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_your_own_language_model_as_a_user_runs_it(users_folder, capsys):
    section = README.partition("## Your own language model\n")[2].partition("\n## ")[0]
    shell, python = (re.search(rf"```{tongue}\n(.*?)```", section, re.DOTALL)[1]
                     for tongue in ("sh", "python"))  # fmt: skip
    lines = [shlex.split(line) for line in shell.splitlines()]
    assert [line[:2] for line in lines] == [["t3", w] for w in ("unlearn", "generate", "evaluate")]
    for line in lines:
        assert main(line[1:]) == 0
    assert "TOFU evaluation, FOLDER:forget10" in capsys.readouterr().out
    assert (users_folder / "evaluation" / "TOFU_EVAL.json").is_file()
    names = {}
    exec(compile(python, "README.md", "exec"), names)  # noqa: S102 our own text
    assert names["model"].base.config.vocab_size == 300


def test_files_it_points_to_exist():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
