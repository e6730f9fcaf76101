"""Every notebook runs, is kept clean, has no logic of its own, and shows what its text says."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
OURS = ("t3theory", "sims", "llm", "figures", "paper_repro")
LONGEST = 12
"""Lines of a function in a notebook: the callback of a widget, no more."""


def read(path):
    return nbformat.read(path, as_version=4)


def code(path):
    """The Python of a notebook, without its magics."""
    cells = [cell.source for cell in read(path).cells if cell.cell_type == "code"]
    return re.sub(r"^%.*$", "", "\n".join(cells), flags=re.MULTILINE)


def executed(path, folder):
    """What the notebook prints, and the kinds of its other outputs, in a process of its own."""
    command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", str(path)]
    run = subprocess.run(
        [*command, "--output-dir", str(folder)],
        env=os.environ | {"IPYTHONDIR": str(folder / "ipython"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    outputs = [out for cell in read(folder / path.name).cells for out in cell.get("outputs", [])]
    printed = "".join(out["text"] for out in outputs if out["output_type"] == "stream")
    return printed, [kind for out in outputs for kind in out.get("data", {})]


def numbers(pattern, text):
    found = re.search(pattern, text)
    assert found, f"{pattern!r} is not in what the notebook printed:\n{text}"
    return [float(number) for number in found.groups()]


def test_there_are_four():
    assert [path.name[0] for path in NOTEBOOKS] == list("1234")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_nothing_but_text_and_code_is_kept(path):
    notebook = read(path)
    nbformat.validate(notebook)
    assert notebook.metadata.keys() <= {"kernelspec", "language_info"}
    for cell in notebook.cells:
        assert not cell.metadata
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_they_call_public_names_and_hold_no_logic(path):
    tree = ast.parse(code(path))
    used = 0
    for node in ast.walk(tree):
        assert not isinstance(node, ast.ClassDef)
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < LONGEST, node.name
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] in OURS:
            module = importlib.import_module(node.module)
            for alias in node.names:
                used += 1
                name = f"{node.module}.{alias.name}"
                submodule = hasattr(module, "__path__") and importlib.util.find_spec(name)
                assert submodule or alias.name in module.__all__, name
        if isinstance(node, ast.Attribute):
            assert not node.attr.startswith("_"), node.attr
    assert used


def test_guidance_fails_on_a_spike_and_t3_does_not(tmp_path):
    printed, kinds = executed(NOTEBOOKS[0], tmp_path)
    (guided,) = numbers(r"T = 1: retain error \S+ nats, forget error (\S+)", printed)
    (tempered,) = numbers(r"T = 2: retain error \S+ nats, forget error (\S+)", printed)
    assert guided > 5 * tempered
    assert numbers(r"retain error (\S+) nats\nforget error (\S+)", printed) == pytest.approx(
        [0, 0],
        abs=1e-12,  # sums of nine terms
    )
    assert kinds.count("image/png") == 3


def test_bounds_and_worst_cases_are_in_order(tmp_path):
    printed, kinds = executed(NOTEBOOKS[1], tmp_path)
    for quantity in ("forget_error", "retain_error"):
        error, lower, upper = numbers(
            rf"{quantity}: (\S+); worst case between (\S+) and (\S+)\n", printed
        )
        assert error <= lower <= upper
    assert kinds.count("image/png") == 2
    assert "application/vnd.jupyter.widget-view+json" in kinds
    assert kinds.count("text/html") >= 2, "the tables of `t3 bounds`"


def test_the_tiny_model_unlearns(tmp_path):
    printed, _ = executed(NOTEBOOKS[2], tmp_path)
    rows = {
        name: numbers(rf"{re.escape(name)} +(\S+) +(\S+)\n", printed)
        for name in ("full model", "guidance (T = 1)", "T3 (T = 2)", "T3, gated", "retain model")
    }
    forget, retain = ({name: row[i] for name, row in rows.items()} for i in (0, 1))
    assert forget["full model"] < 0.1, "it knows the answers by heart"
    assert forget["full model"] < forget["guidance (T = 1)"] < forget["T3 (T = 2)"] / 2
    assert forget["T3 (T = 2)"] < forget["retain model"]
    assert retain["T3, gated"] < retain["T3 (T = 2)"] / 2, "the gate gives utility back"
    assert forget["T3, gated"] > forget["T3 (T = 2)"] / 2


def test_your_own_model(tmp_path):
    printed, _ = executed(NOTEBOOKS[3], tmp_path)
    before, after = numbers(r"loss on pairs to forget: (\S+) → (\S+)\n", printed)
    assert after > before + 1, "nats a token"
    assert "head.safetensors" in printed
    sections = printed.split("— T = ")
    assert len(sections) == 3
