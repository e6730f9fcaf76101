"""`t3 reproduce`: what would run, under which versions, and on a scheduler's workers."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from paper_repro.cli import main
from paper_repro.cli.reproduce import _foretell
from paper_repro.pipeline.graph import Cell, Graph
from paper_repro.pipeline.stamps import stamp
from t3theory.records import read_records


def cell(name, *needs):
    paths = {"out": f"{name}.jsonl"} | {need: f"{need}.jsonl" for need in needs}
    return Cell(name, "pipeline_work:write", {}, (f"{name}.jsonl",), paths, needs=needs)


@pytest.mark.parametrize(
    ("harmed", "said"),
    [
        ("", "0 of 4 cells would run, in OUT\n"),
        ("a", "1 of 4 cells would run, in OUT, 10 s of work last time; 2 more if these leave anything else than before\n"),
        ("c", "1 of 4 cells would run, in OUT, 10 s of work last time\n"),
    ],
)  # fmt: skip
def test_a_plan_counts_what_may_follow(tmp_path, harmed, said):
    graph = Graph([cell("a"), cell("b", "a"), cell("c", "b"), cell("other")])
    for each in graph:
        (tmp_path / each.products[0]).write_text(each.name)
        stamp(tmp_path, each, graph.keys()[each.name], 10.0)
    if harmed:
        (tmp_path / f"{harmed}.jsonl").unlink()
    printed = io.StringIO()
    assert _foretell(graph, tmp_path, Console(file=printed, width=1000)) == 0
    assert printed.getvalue().replace(str(tmp_path), "OUT").endswith(said)


@pytest.mark.parametrize("words", [["--dry-run"], []])
def test_a_run_says_that_what_is_up_to_date_is_of_other_versions(tmp_path, words, capsys):
    run = ["reproduce", "--only", "sims.necessity", "--out", str(tmp_path)]
    assert main(run) == 0
    assert "versions" not in capsys.readouterr().out
    path = tmp_path / ".cells" / "sims.necessity.json"
    entry = json.loads(path.read_text())
    path.write_text(json.dumps(entry | {"versions": entry["versions"] | {"numpy": "0.9"}}))
    assert main([*run, *words]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "1 of 1 cells up to date were made under other versions: numpy 0.9;" in said
    assert entry["products"] == json.loads(path.read_text())["products"], "it is not made again"


def test_a_scheduler_has_the_studies_computed(tmp_path, cluster):
    run = ["reproduce", "--only", "sims.necessity"]
    before = cluster.scheduler.transition_counter
    assert main([*run, "--out", str(tmp_path / "there"), "--dask", cluster.scheduler_address]) == 0
    assert cluster.scheduler.transition_counter > before
    assert main([*run, "--out", str(tmp_path / "here")]) == 0
    there, here = (
        [
            (r["kind"], r["config"], r["seed"], r["values"])
            for r in read_records(tmp_path / place / "records" / "sims.necessity.jsonl")
        ]
        for place in ("there", "here")
    )
    assert there == here
