"""The README and docs/results.md say what the committed records say, and its code runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

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


def test_files_it_points_to_exist():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
