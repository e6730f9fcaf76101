"""`t3 simulate`: every study at its quickest scale, the same as in this process; its picture."""

from __future__ import annotations

import pytest

from paper_repro.cli import main
from sims import studies
from sims.run import run_study
from t3theory.records import read_records


def _facts(records):
    """Records without what may differ from run to run."""
    return [{k: v for k, v in r.items() if k != "provenance"} for r in records]


@pytest.mark.parametrize("name", studies.names())
def test_every_study_runs_at_mini_scale_and_twice_the_same(name, tmp_path):
    out = tmp_path / "records.jsonl"
    words = ["simulate", name, "--scale", "mini", "--set", "seeds=2", "--out", str(out)]
    assert main(words) == 0
    found = read_records(out)
    assert found
    assert {r["kind"] for r in found} == {f"sims.{name}"}
    assert _facts(found) == _facts(run_study(name, overrides={"seeds": 2}))


def test_another_setting_is_another_picture(tmp_path, capsys):
    def drawn(name, *settings):
        out, figure = tmp_path / f"{name}.jsonl", tmp_path / name
        words = ["--set", "delta=0.1", *settings, "--out", str(out), "--figure", str(figure)]
        assert main(["simulate", "necessity", *words]) == 0
        return figure.with_suffix(".svg").read_text(), capsys.readouterr().err

    picture, caption = drawn("one", "gamma=0.1")
    assert drawn("again", "gamma=0.1")[0] == picture
    other, told = drawn("other", "gamma=0.3")
    assert other != picture
    assert "γ = 0.1" in caption
    assert "γ = 0.3" in told


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--out", "{file}/x.jsonl"], "expected {file} to be a folder that can be written to"),
        (["--out", "{taken}"], "expected a file, got a folder"),
        (["--out", "{journal}"], "expected a file, got a folder"),
        (["--figure", "{file}/x"], "x.png: expected {file} to be a folder that can be written to"),
        (["--figure", "{picture}"], "x.svg: expected a file, got a folder"),
        (["--set", "h=10", "h=100"], "--set h=100: h is given twice, expected KEY=VALUE,VALUE,…"),
        (["--set", "h=" + "9" * 5000], "h: expected a number, got '999"),
        (["--set", "h=" + '{"a":' * 10**5], "h: expected a number, got"),
    ],
)
def test_mistakes_are_one_line_before_any_work(tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.setattr("sims.run.run_cell", lambda cell: pytest.fail("work started"))
    monkeypatch.chdir(tmp_path)
    names = ("file", "taken", "journal", "picture")
    places = dict(zip(names, map(tmp_path.joinpath, ("f", "t", "j", "x")), strict=True))
    places["file"].write_text("")
    for folder in ("t", ".j.cells", "x.svg"):
        (tmp_path / folder).mkdir()

    def filled(text):
        for name, place in places.items():
            text = text.replace(f"{{{name}}}", str(place))
        return text

    assert main(["simulate", "necessity", *map(filled, words)]) == 2
    told = capsys.readouterr().err
    assert filled(said) in told
    assert told.count("\n") == 1
