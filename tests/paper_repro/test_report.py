"""The report holds everything it shows, says what is missing, and sets its notation."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from paper_repro import report
from paper_repro.pipeline.work import draw, judge
from paper_repro.report import marks
from paper_repro.report.comparison import COMPARED, published
from sims.run import run_study
from t3theory.ledger import LEDGER
from t3theory.records import make_record, write_records

VOID = {"meta", "source", "img", "br", "link", "wbr"}


class Reader(HTMLParser):
    """A page's anchors, the anchors it points to, and whether its tags are closed in order."""

    def __init__(self, page):
        super().__init__()
        self.open, self.ids, self.targets, self.outside = [], [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        if tag not in VOID:
            self.open.append(tag)
        given = dict(attributes)
        if "id" in given:
            self.ids.append(given["id"])
        link = given.get("href", "")
        (self.targets if link.startswith("#") else self.outside).append(link.removeprefix("#"))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def run_folder(out: Path) -> Path:
    run_study("necessity", out=out / "records" / "sims.necessity.jsonl")
    values = {"forget_quality_log10_p": -1.5, "model_utility": 0.75, "forget_quality": 0.03}
    values |= {"forget_truth_ratio": 0.5, "trained_parameters": 1, "total_parameters": 5000}
    for seed in (0, 1):
        for method in ("full", "t3", "npo"):
            config = {"method": method, "data": "mini:forget10", "scale": "mini"}
            measured = values | {"model_utility": 0.75 - seed / 10}
            record = make_record("llm.evaluation", config, seed, measured)
            write_records(out / "lm" / str(seed) / "eval" / method / "records.jsonl", [record])
    for figure in ("necessity", "tofu_methods"):
        draw(figure, str(out))
    judge(str(out))
    report.write(str(out), "mini", "<b>data</b>")
    return out


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return run_folder(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def page(folder):
    return (folder / "report.html").read_text(encoding="utf-8")


def test_the_page_needs_no_network(page):
    assert not re.findall(r"""src=["'](?!data:)""", page)
    for loaded in ("@import", "url(", "<link", "<script"):
        assert loaded not in page
    assert page.count("data:image/svg+xml;base64,") == 4, "two figures, a page and a column wide"


def test_a_phone_shows_figures_as_a_column_does(page, folder):
    """A page's width shrunk to a phone's cannot be read, and a window on it hides half."""
    for path in (folder / "figures").glob("*.json"):
        details = page[page.index(f'<figure id="{path.stem}">') :].partition("</figure>")[0]
        [narrow] = re.findall(r'<source media="screen and [^"]*" srcset="([^"]*)"', details)
        [wide] = re.findall(r'<img src="([^"]*)"', details)
        for inline, end in ((narrow, "-column"), (wide, "")):
            drawn = path.with_name(f"{path.stem}{end}.svg").read_bytes()
            assert base64.b64decode(inline.partition("base64,")[2]) == drawn


def test_every_link_leads_somewhere(page):
    reader = Reader(page)
    assert not reader.open
    assert len(set(reader.ids)) == len(reader.ids)
    assert set(reader.targets) <= {*reader.ids, ""}
    outside = {link for link in reader.outside if link}
    assert outside == {source["link"] for source in published()}


def test_it_shows_claims_methods_and_figures(page):
    assert 'class="true">true' in page
    assert "not measured" in page
    assert "&lt;b&gt;data" in page, "names of data are text, not markup"
    assert "−1.50" in page
    assert page.count("What made it") == 2
    assert "‖p<sub>f</sub>‖<sub>∞</sub>" in page
    assert "Figure 1. The necessity construction" in page, "first what the claims name first"


def test_each_verdict_stands_with_its_evidence_and_command(page, folder):
    claims = json.loads((folder / "claims.json").read_text(encoding="utf-8"))
    counts = Counter(c["verdict"] for c in claims)
    assert re.search(rf"{counts['true']} of {len(claims)} hold", page)
    assert re.search(rf"\b{counts['false']}\s+do(es)? not", page)
    assert re.search(rf"\b{counts['not measured']} not measured", page)
    for claim in claims:
        row = re.search(rf'<tr id="{claim["name"]}">(.*?)</tr>', page, re.DOTALL)
        assert row
        cells = re.findall(r"<td[^>]*>(.*?)</td>", row[1], re.DOTALL)
        assert cells[0] == marks.to_html(claim["statement"])
        assert cells[1] == claim["verdict"]
        assert cells[2].startswith(marks.to_html(claim["evidence"]))
        assert cells[4] == f"<code>{marks.breakable(claim['command'])}</code>"


def test_each_figure_tells_what_made_it(page, folder):
    for path in (folder / "figures").glob("*.json"):
        about = json.loads(path.read_text(encoding="utf-8"))
        details = page[page.index(f'<figure id="{path.stem}">') :].partition("</figure>")[0]
        assert f"{about['made']['records']} records of kind <code>{about['kind']}</code>" in details
        assert marks.to_html(about["caption"]) in details
        assert f"t3 reproduce --only figure.{path.stem}" in details
        for stamp in (*about["made"]["commits"], *about["made"]["sources"]):
            assert f"<code>{stamp}</code>" in details


def test_an_interval_has_its_own_ends(page):
    row = re.search(r"<tr><td>NPO</td>(.*?)</tr>", page[page.index('id="models"') :], re.DOTALL)
    assert row
    # t(1 degree of freedom) = 12.706 times half the distance of 0.75 and 0.65, about 0.70.
    assert re.search(r"0\.70<small>0\.06 to 1\.34</small>", row[1])


def test_it_states_what_the_claims_name(page):
    assert 'id="statement-F"' in page
    assert LEDGER["F"].title in page
    assert 'href="#statement-F"' in page


def test_published_figures_stand_beside_what_was_measured(page):
    row = re.search(r"<tr><td>NPO</td>(.*?)</tr>", page[page.index('id="published"') :])
    assert row
    cells = re.findall(r"<td[^>]*>(.*?)</td>", row[1])
    assert cells[:3] == ["−1.50", "0.70", "0.50"], "this run's"
    assert cells[3:6] == ["−1.70", "0.46", "0.70"], "log₁₀ 0.02, as published"
    assert len(cells) == len(COMPARED) * (1 + len(published()))
    assert "5,000 parameters" in page


def test_tables_for_latex(folder):
    methods = (folder / "tables" / "methods.tex").read_text(encoding="utf-8")
    assert sum(line.endswith(r"\\") for line in methods.splitlines()) == 4
    assert re.search(r"T3 & \$-1\.50.*\$ & \$0\.70 \\pm 0\.64\$", methods)
    claims = (folder / "tables" / "claims.tex").read_text(encoding="utf-8")
    for table in (methods, claims):
        assert table.count("{") == table.count("}")
        assert table.count("$") % 2 == 0
        assert table.count(r"\toprule") == table.count(r"\bottomrule") == 1
        assert not re.search(r"[^\x00-\u024f]", table), "what pdfLaTeX does not know"
        assert not re.search(r"(?<!\\)[%#_&](?! )", table), "what LaTeX takes for commands"


def test_a_run_without_records_still_has_a_page(tmp_path):
    judge(str(tmp_path))
    report.write(str(tmp_path), "mini", "mini")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "not measured" in page
    assert "None drawn yet" in page
    assert not Reader(page).open


@pytest.mark.parametrize(
    ("plain", "shown"),
    [
        ("FE_1 ≤ E_{P_f}[p_r]", "FE<sub>1</sub> ≤ E<sub>P<sub>f</sub></sub>[p<sub>r</sub>]"),
        ("rank^−1, 2.5e+06", "rank<sup>−1</sup>, 2.5 × 10<sup>6</sup>"),
        ("n^-0.95, h^0.5.", "n<sup>−0.95</sup>, h<sup>0.5</sup>."),
        ("forget_error at -0.5, 3-4", "forget_error at −0.5, 3-4"),
        ("<script>", "&lt;script&gt;"),
    ],
)
def test_notation(plain, shown):
    assert marks.to_html(plain) == shown
