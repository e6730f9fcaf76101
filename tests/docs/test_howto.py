"""The how-tos, done: every block applied and run, in order, in a copy of the project."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOWTOS = sorted((ROOT / "docs" / "howto").glob("*.md"))
BLOCK = re.compile(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COPIED = ("t3theory", "sims", "llm", "figures", "paper_repro", "tests", "docs")


@pytest.fixture
def copy(tmp_path):
    """The packages, tests and docs, as they stand in the working tree."""
    for name in COPIED:
        shutil.copytree(
            ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "results")
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def run(command, folder, text=""):
    """Run with the copy's packages, and this environment's tools."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # The installed `t3` would otherwise find the packages it was installed from.
    own = {"PATH": path, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | own,
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"


def follow(language, file, text, folder):
    """Do what a block says: a new file, a change, or commands."""
    if file:
        assert not (folder / file).exists(), f"{file} is there already"
        (folder / file).write_text(text, encoding="utf-8")
    elif language == "diff":
        # Line numbers drift; what counts is that the lines are there.
        run(["git", "apply", "--unidiff-zero", "-"], folder, text)
    elif language == "sh":
        run(["sh", "-e", "-c", text], folder)
    else:
        raise AssertionError(f"a {language} block that nothing runs:\n{text}")


def test_there_is_one_for_each_way_to_extend():
    assert {path.stem for path in HOWTOS} == {"baseline", "bound", "family", "metric"}


@pytest.mark.parametrize("path", HOWTOS, ids=lambda path: path.stem)
def test_done_as_written(path, copy):
    blocks = BLOCK.findall(path.read_text(encoding="utf-8"))
    assert {language for language, *_ in blocks} >= {"python", "diff", "sh"}
    for language, file, text in blocks:
        follow(language, file, text, copy)
