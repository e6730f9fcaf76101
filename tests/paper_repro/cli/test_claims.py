"""`t3 claims`: the verdicts on records, and the commands that make those records anew."""

from __future__ import annotations

import pytest

from paper_repro.cli import main
from paper_repro.pipeline.graph import Cell
from paper_repro.pipeline.stamps import stamp
from t3theory.records import make_record, write_records


@pytest.fixture
def file(tmp_path):
    """A file of records of two seeds, of the scale small and of TOFU."""

    def evaluation(seed, **config):
        config = {"method": "t3", "scale": "small", "data": "tofu:forget10"} | config
        return make_record("llm.evaluation", config, seed, {})

    def written(**other):
        path = tmp_path / "some.jsonl"
        write_records(path, [evaluation(0), evaluation(1, **other)])
        return str(path)

    return written


@pytest.fixture
def said(capsys, monkeypatch):
    """What a command printed, its cells' folds undone."""
    monkeypatch.setenv("COLUMNS", "400")

    def run(*words):
        return main(["claims", *words]), capsys.readouterr()

    return run


def test_commands_are_those_of_the_records_run(file, said):
    status, printed = said(file())
    assert status == 0
    commands = [line for line in printed.out.splitlines() if "t3 reproduce" in line]
    assert commands
    assert all("t3 reproduce --scale small --data FOLDER --only" in line for line in commands)


def test_what_records_do_not_say_is_left_to_the_reader_and_said(file, said, tmp_path):
    """Of the data they know the name, and simulations do not know their scale."""
    assert "FOLDER: where the data lie" in said(file())[1].out
    assert "SCALE" not in said(file())[1].out
    write_records(tmp_path / "s.jsonl", [make_record("sims.necessity", {"h": 1.0}, 0, {})])
    printed = said(str(tmp_path / "s.jsonl"))[1].out
    assert "t3 reproduce --scale SCALE --only sims.necessity" in printed
    assert "SCALE: mini, small or full, which these records do not say" in printed
    assert "FOLDER" not in printed


def test_the_table_has_its_figures(file, said):
    assert "forget_error_vs_concentration" in said(file())[1].out


def test_a_run_is_named_as_in_reproduce_too(file, said):
    assert said("--out", file())[1].out == said(file())[1].out


def test_one_run_is_named_once(file, said):
    status, printed = said(file(), "--out", "elsewhere")
    assert status == 2
    assert "expected one of both" in printed.err


def test_records_of_two_runs_are_not_judged_together(file, said):
    status, printed = said(file(scale="full"))
    assert status == 2
    assert printed.err == "t3: records of one scale expected, got full, small\n"


@pytest.mark.parametrize("command", ["claims", "report"])
def test_what_lies_in_a_run_and_no_cell_made_is_not_read(tmp_path, capsys, command):
    for name, scale in (("planned", "small"), ("former", "full")):
        record = make_record("llm.tuning", {"method": "t3", "scale": scale}, 0, {})
        write_records(tmp_path / "run" / "records" / f"{name}.jsonl", [record])
    words = [command, str(tmp_path / "run"), "--out", str(tmp_path / "page")]
    words = words if command == "report" else words[:2]
    assert main(words) == 2, "no run has been there: all of it is read"
    assert "records of one scale" in capsys.readouterr().err
    planned = Cell("planned", "m:f", {}, ("records/planned.jsonl",))
    stamp(tmp_path / "run", planned, "key", 1.0)
    assert main(words) == 0
