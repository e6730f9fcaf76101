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
