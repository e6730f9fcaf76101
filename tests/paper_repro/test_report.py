"""The report holds everything it shows, and says what is missing."""

from __future__ import annotations

import re
from pathlib import Path

from paper_repro import report
from paper_repro.pipeline.work import draw, judge
from sims.run import run_study
from t3theory.records import make_record, write_records


def run_folder(out: Path) -> Path:
    run_study("necessity", out=out / "records" / "sims.necessity.jsonl")
    values = {"forget_quality_log10_p": -1.5, "model_utility": 0.75, "forget_quality": 0.03}
    values |= {"trained_parameters": 1, "total_parameters": 50}
    for method in ("full", "t3"):
        config = {"method": method, "data": "mini:forget10", "scale": "mini"}
        record = make_record("llm.evaluation", config, 0, values)
        write_records(out / "lm" / "0" / "eval" / method / "records.jsonl", [record])
    for figure in ("necessity", "tofu_methods"):
        draw(figure, str(out))
    judge(str(out))
    report.write(str(out), "mini", "<b>data</b>")
    return out


def test_the_page_needs_no_network_and_shows_claims_methods_and_figures(tmp_path):
    page = (run_folder(tmp_path) / "report.html").read_text(encoding="utf-8")
    assert not re.findall(r"""(?:src|href)=["'](?!data:)""", page)
    assert "@import" not in page
    assert page.count("data:image/svg+xml;base64,") == 2
    assert 'class="true">true' in page
    assert "not measured" in page
    assert "&lt;b&gt;data" in page, "names of data are text, not markup"
    assert "-1.50" in page
    assert page.count("What made it") == 2
    table = (tmp_path / "tables" / "methods.tex").read_text(encoding="utf-8")
    assert r"T3 & $-1.50$ & $0.75" in table
    assert table.count(r"\\") == 3


def test_a_run_without_records_still_has_a_page(tmp_path):
    judge(str(tmp_path))
    report.write(str(tmp_path), "mini", "mini")
    assert "not measured" in (tmp_path / "report.html").read_text(encoding="utf-8")
