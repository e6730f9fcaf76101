"""`t3 report` and the end of `t3 reproduce --only`: what is there is shown, nothing is measured."""

from __future__ import annotations

import html
import json
import re

import pytest

from llm.tofu.mini import write_mini_tofu
from paper_repro.cli import main
from paper_repro.results import made
from sims.run import run_study
from t3theory.records import make_record, write_records


def evaluation(method, seed, **config):
    values = {"forget_quality": 0.5, "forget_quality_log10_p": -0.3, "model_utility": 0.9}
    values |= {"trained_parameters": 5, "total_parameters": 1000, "forget_truth_ratio": 0.5}
    config = {"method": method, "scale": "small", "data": "tofu:forget10"} | config
    return make_record("llm.evaluation", config, seed, values)


@pytest.fixture
def records():
    return [evaluation(method, seed) for method in ("full", "t3") for seed in (0, 1)]


def test_a_file_of_records_becomes_a_page(tmp_path, records):
    write_records(tmp_path / "some.jsonl", records)
    assert main(["report", str(tmp_path / "some.jsonl"), "--out", str(tmp_path / "out")]) == 0
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "<code>t3 reproduce --scale small --data FOLDER</code>" in page
    assert "t3 reproduce --scale small --data FOLDER --only lm" in json.dumps(
        json.loads((tmp_path / "out" / "claims.json").read_text(encoding="utf-8"))
    )
    drawn = {p.stem for p in (tmp_path / "out" / "figures").glob("*.svg")}
    assert drawn == {f"tofu_{n}{end}" for n in ("methods", "tradeoff") for end in ("", "-column")}
    assert 'id="tofu_methods"' in page
    # The folder that was made is a run's, too.
    assert main(["report", str(tmp_path / "out"), "--out", str(tmp_path / "again")]) == 0


def test_the_page_says_how_many_records_it_holds_and_not_that_one_run_made_them(tmp_path, records):
    records[1]["provenance"]["source"] = "another"
    records[1]["provenance"]["versions"] = {"numpy": "0.9"}
    write_records(tmp_path / "some.jsonl", records)
    assert main(["report", str(tmp_path / "some.jsonl"), "--out", str(tmp_path / "out")]) == 0
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    said = " ".join(page.split())
    assert "holds what 4 records of the scale small on tofu say" in said
    assert "made by 2 states of the code" in said
    assert "(<code>FOLDER</code>: where the data lie, in TOFU's layout" in html.unescape(said)
    assert re.search(r"numpy 0\.9 or \d", said), "each version, not the last record's"


def test_a_page_of_simulations_names_no_scale_that_they_do_not(tmp_path):
    run_study("necessity", scale="small", out=tmp_path / "records" / "necessity.jsonl")
    assert main(["report", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "mini scale" not in page
    assert "of the scale" not in page
    assert "<code>t3 reproduce --scale SCALE</code> makes them (<code>SCALE</code>: mini" in page


def test_records_are_not_copied_to_where_they_would_be_read_again(tmp_path, records, capsys):
    file = tmp_path / "run" / "records" / "some.jsonl"
    write_records(file, records)
    before = file.read_bytes()
    for out in ("run", "run/records", "run/../run"):
        assert main(["report", str(tmp_path / "run"), "--out", str(tmp_path / out)]) == 2
        assert "expected another folder than that of the records" in capsys.readouterr().err
    assert [p for p in (tmp_path / "run").rglob("*") if p.is_file()] == [file]
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("config", "said"),
    [({"scale": "full"}, "records of one scale expected, got full, small"),
     ({"data": "mini:forget10"}, "records of one data expected, got mini, tofu")],
)  # fmt: skip
def test_two_runs_are_not_mixed(tmp_path, records, config, said, capsys):
    write_records(tmp_path / "some.jsonl", [*records, evaluation("t3", 2, **config)])
    assert main(["report", str(tmp_path / "some.jsonl"), "--out", str(tmp_path / "out")]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_every_stamp_of_a_figure_is_told(records):
    records[1]["provenance"]["commit"], records[1]["provenance"]["source"] = "abc+", "def"
    found = made(records)
    assert "abc+" in found["commits"]
    assert "def" in found["sources"]
    assert found["records"] == 4


def test_a_part_of_the_paper_ends_with_its_claims(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "2000")
    write_mini_tofu(tmp_path / "tofu", authors=20)
    words = ["--only", "sims.necessity", "--data", str(tmp_path / "tofu")]
    assert main(["reproduce", *words, "--out", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().out
    assert "Tempering is" in said
    assert "not measured" not in said
    assert f"t3 reproduce --data {tmp_path / 'tofu'} --only sims.necessity" in said
