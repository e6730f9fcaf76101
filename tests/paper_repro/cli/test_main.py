"""The command line: fast to start, one line for a mistake, the right status."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from paper_repro.cli import COMMANDS, main


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nope"], "no command 'nope'; expected one of reproduce"),
        (["reproduce", "--scale", "huge"], "scale 'huge': expected one of mini, small, "),
        (["reproduce", "--data", "/no/folder"], "/no/folder"),
        (["reproduce", "--jobs", "0"], "--jobs 0: expected at least 1"),
        (["reproduce", "--jobs", "many"], "jobs"),
        (["reproduce", "--only", "nothing", "--dry-run"],
         "begins with one of lm, sims, figure, claims, report"),
        (["reproduce", "--only", "sims.necesity"], "perhaps sims.necessity"),
        (["reproduce", "--only", "", "--dry-run"], "--only '': no cell begins so"),
        (["reproduce", "--only"], "expected at least one argument"),
        (["reproduce", "--out", "/dev/null", "--dry-run"], "--out /dev/null: expected /dev/null to be a folder"),
        (["report", "/no/run", "--out", "/dev/null"], "--out /dev/null: expected /dev/null to be a folder"),
        (["claims", "/dev/null"], "/dev/null: expected"),
        (["simulate", "nope"], "study 'nope': expected one of"),
        (["simulate"], "study"),
        (["simulate", "necessity", "--set", "gamma=1.5"], "gamma"),
        (["simulate", "necessity", "--set", "temperature=0"], "temperature"),
        (["simulate", "necessity", "--set", "colour=1"], "no field 'colour'"),
        (["simulate", "sample_complexity", "--set", "n=1e30"], "from 1 to 10^12"),
        (["simulate", "necessity", "--set", "n=1", "--set=gamma=0.1"], "--set: expected once, with all its values"),
        (["simulate", "necessity", "--out", "/tmp"], "/tmp: expected a file"),
        (["claims", "/no/run"], "/no/run: expected the folder of a run"),
    ],
)  # fmt: skip
def test_a_mistake_gets_one_line_and_status_2(capsys, words, said):
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("t3: ")
    assert captured.err.count("\n") == 1
    assert said in captured.err


def test_a_cut_record_is_named_with_its_line(tmp_path, capsys):
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "sims.necessity.jsonl").write_text('{"kind": "sims.nec')
    assert main(["claims", str(tmp_path)]) == 2
    assert "sims.necessity.jsonl:1: the last record is cut short" in capsys.readouterr().err


def test_a_run_without_records_is_named(tmp_path, capsys):
    assert main(["claims", str(tmp_path)]) == 2
    assert "no records" in capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(capsys, name):
    with pytest.raises(SystemExit) as stopped:
        main([name, "--help"])
    assert stopped.value.code == 0
    said = capsys.readouterr().out
    assert f"t3 {name}" in said
    assert not re.search(r"<|object|function", said), "types are said in words"


def test_an_interrupt_is_130_with_a_line(capsys, monkeypatch):
    def interrupted(name, words):
        raise KeyboardInterrupt

    monkeypatch.setattr("paper_repro.cli._run", interrupted)
    assert main(["claims"]) == 130
    assert capsys.readouterr().err == "t3: interrupted; what was finished is kept\n"


def test_a_plan_and_the_overview_load_neither_torch_nor_pictures(tmp_path):
    program = (
        "import sys; from paper_repro.cli import main; main(['--help']); "
        f"main(['reproduce', '--dry-run', '--out', {str(tmp_path / 'run')!r}]); "
        "sys.exit(sorted({'torch', 'transformers'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "would run  lm.tokenizer" in done.stdout
