"""A cell's key follows the code it runs, and no other."""

from __future__ import annotations

import importlib
import json

import pytest

from paper_repro.pipeline.plan import paper
from paper_repro.pipeline.sources import closure, code_hash
from t3theory.exceptions import InputError


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "grown"
    folder.mkdir()
    for name, text in {
        "__init__": "",
        "a": "def f():\n    from grown import b\n    return b",
        "b": "import grown.c",
        "c": "",
        "d": "import grown.c",
    }.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    return folder


def test_a_key_changes_with_what_is_imported_and_with_nothing_else(package):
    def hash_of(module):
        code_hash.cache_clear()
        return code_hash((f"grown.{module}",), ("grown",))

    assert closure(["grown.a"], ("grown",)) == ["grown.a", "grown.b", "grown.c"]
    before = {m: hash_of(m) for m in "abcd"}
    (package / "b.py").write_text("import grown.c\nX = 1")
    after = {m: hash_of(m) for m in "abcd"}
    assert {m for m in "abcd" if before[m] != after[m]} == {"a", "b"}
    (package / "settings.toml").write_text("x = 1")
    assert hash_of("d") != after["d"]


def test_a_module_that_is_not_there_is_named():
    with pytest.raises(InputError, match=r"no module 'sims\.nothing'"):
        closure(["sims.nothing"])


def test_every_cell_says_what_code_it_runs():
    graph = paper()
    for cell in graph:
        assert cell.sources, cell.name
        assert closure(cell.sources)
    study = closure(graph.cells["sims.necessity"].sources)
    assert {"t3theory.mixture", "sims.run", "sims.study"} <= set(study)
    assert not {"sims.studies.gating", "llm.model", "figures.style"} & set(study)


def test_another_method_chosen_blindly_leaves_the_others_cells_as_they_are(tmp_path):
    """The new baseline's cells are new, and no cell that was there before has another key."""

    def keys(blind):
        (tmp_path / "mini.toml").write_text(f'extends = "mini"\nblind = {json.dumps(blind)}\n')
        graph = paper(str(tmp_path / "mini.toml")).only(["lm"])
        return set(graph.keys().items())

    few = keys(["t3", "npo"])
    more = keys(["t3", "npo", "graddiff"])
    assert few < more
    assert {name for name, _ in more - few} == {f"lm.{s}.blind.graddiff" for s in (1, 2, 3)}
