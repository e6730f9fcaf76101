"""The report's tables of language models, from made-up records: whole, lacking and broken ones."""

from __future__ import annotations

import math

import pytest

from figures.fig_tofu_methods import NAMES
from paper_repro import report
from paper_repro.pipeline.work import judge
from paper_repro.report.measures import Measure
from paper_repro.report.tables import TABLES, fill, fill_all
from paper_repro.report.text import to_latex, to_markdown
from t3theory.records import make_record, write_records

BY_NAME = {table.name: table for table in TABLES}
SIX = [f"{rows}_{part}" for rows in ("retain", "real_authors", "world_facts")
       for part in ("probability", "truth_ratio")]  # fmt: skip
MIB = 2**20


def evaluation(method, seed, **values):
    base = {"forget_quality_log10_p": -1.5, "model_utility": 0.75, "extraction_strength": 0.25}
    base |= (
        dict.fromkeys(SIX, 0.5)
        | {"world_facts_rouge": 0.625, "privleak": -12.5}
        | {"trained_parameters": 12345, "total_parameters": 20000}
    )
    speed = {"tokens_per_second": 120.0 * 1.5625**seed}
    config = {"method": method, "data": "mini:forget10", "scale": "mini"}
    return make_record("llm.evaluation", config, seed, base | values, 1.0, speed)


def stage(name, seed, seconds, peak, **config):
    about = {"stage": name, "scale": "mini", "method": None} | config
    return make_record("llm.stage", about, seed, {}, seconds, {"peak_bytes": peak * MIB})


def attack(name, method, seed, **values):
    return make_record("llm.robustness", {"attack": name, "method": method}, seed, values)


def everything():
    found = []
    for seed in (0, 1):
        found += [evaluation(m, seed) for m in ("full", "tempering", "t3", "npo")]
        blind = {"forget_quality_log10_p": -4.0 - seed, "utility": 0.25}
        found.append(make_record("llm.blind", {"method": "t3"}, seed, blind))
        errors = {"excess_risk": 0.25, "retain_error": 0.5, "forget_error": 0.125}
        found.append(make_record("llm.theory", {"method": "t3"}, seed, errors))
        errors = errors | {"retain_error_bound": 0.375}
        found.append(make_record("llm.theory", {"method": "guidance"}, seed, errors))
        found += [
            stage("fit_heads", seed, 2.0, 300),
            stage("train_baseline", seed, 8.0 * 1.5625**seed, 700, method="npo"),
            stage("tune_baseline", seed, 500.0, 900, method="npo"),
            stage("train_base", seed, 50.0, 800, which="full"),
            stage("train_base", seed, 40.0, 800, which="retain"),
            attack("none", "t3", seed, forget_probability=0.125, forget_quality_log10_p=-9.0),
            attack("paraphrase", "t3", seed, forget_probability=0.5),
            attack("int4", "t3", seed, forget_probability=0.75, forget_quality_log10_p=-2.0),
        ]
    # The tuning seed's are no result.
    return [*found, evaluation("retain", 100, extraction_strength=0.99)]


def cell(table, records, method, heading):
    """The mean in a table's cell, None where it is empty."""
    filled = fill(BY_NAME[table], records)
    column = [m.heading for m in filled.columns].index(heading)
    [row] = [row for row in filled.rows if row.method == method]
    return None if row.cells[column] is None else row.cells[column].value


@pytest.mark.parametrize(
    ("table", "method", "heading", "value"),
    [
        ("methods", "t3", "model utility ↑", 0.75),
        ("blind", "t3", "log₁₀ p ↑, chosen with", -1.5),
        ("blind", "t3", "log₁₀ p ↑, without", -4.5),
        ("blind", "t3", "utility ↑, chosen with", 0.5),
        ("blind", "t3", "utility ↑, without", 0.25),
        ("blind", "npo", "log₁₀ p ↑, without", None),
        ("memory", "npo", "extraction strength", 0.25),
        ("memory", "npo", "privleak, %", -12.5),
        ("utility", "npo", "world, ROUGE ↑", 0.625),
        ("utility", "npo", "real, truth ratio ↑", 0.5),
        ("theory", "t3", "excess risk δ", 0.25),
        ("theory", "t3", "retain error", 0.5),
        ("theory", "t3", "its bound", None),
        ("theory", "guidance", "its bound", 0.375),
        ("theory", "guidance", "forget error", 0.125),
        ("robustness", "t3", "as asked", 0.125),
        ("robustness", "t3", "paraphrased", 0.5),
        ("robustness", "t3", "4 bits, log₁₀ p ↑", -2.0),
        ("cost", "t3", "trained parameters", 12345),
        ("cost", "t3", "training, s", 2.0),
        ("cost", "tempering", "training, s", None),
        ("cost", "npo", "training, s", 10.0),
        ("cost", "retain", "training, s", 40.0),
        ("cost", "npo", "process, MiB", 700.0),
        ("cost", "full", "tokens/s ↑", 150.0),
    ],
)
def test_each_column_reads_its_own_records(table, method, heading, value):
    expected = value if value is None else pytest.approx(value, rel=1e-14)  # exp of a mean of logs
    assert cell(table, everything(), method, heading) == expected


def test_utility_of_the_informed_choice_is_the_harmonic_mean_of_six_parts():
    records = [evaluation("full", 0), evaluation("t3", 0, retain_probability=0.1)]
    records.append(make_record("llm.blind", {"method": "t3"}, 0, {"utility": 0.25}))
    # 6 / (1/0.1 + 5/0.5), in floats.
    assert cell("blind", records, "t3", "utility ↑, chosen with") == pytest.approx(0.3, rel=1e-15)


def test_rows_are_the_reported_methods_in_the_order_of_their_names():
    rows = fill(BY_NAME["memory"], everything()).rows
    assert [row.method for row in rows] == [
        m for m in NAMES if m in ("full", "tempering", "t3", "npo")
    ]
    assert fill(BY_NAME["memory"], everything()).seeds == 2


@pytest.mark.parametrize(
    ("kind", "gone"), [("llm.blind", {"blind"}), ("llm.robustness", {"robustness"}),
                       ("llm.theory", {"theory"}),
                       ("llm.stage", set()), ("llm.evaluation", set(BY_NAME))],
)  # fmt: skip
def test_a_table_without_its_records_is_not_shown(kind, gone):
    left = [r for r in everything() if r["kind"] != kind]
    assert {table.name for table in fill_all(left)} == set(BY_NAME) - gone


def test_a_column_that_nobody_has_is_not_shown():
    left = [r for r in everything() if r["config"].get("attack") != "int4"]
    assert [m.heading for m in fill(BY_NAME["robustness"], left).columns] == [
        "as asked", "paraphrased",
    ]  # fmt: skip
    assert "GPU, MiB" not in [m.heading for m in fill(BY_NAME["cost"], everything()).columns]


@pytest.mark.parametrize("broken", [None, "much", True, math.nan, math.inf, [1.0], "gone"])
def test_a_broken_record_empties_its_cell_and_no_other(broken):
    records = everything()
    [record] = [r for r in records if r["kind"] == "llm.evaluation" and r["seed"] == 1
                and r["config"]["method"] == "t3"]  # fmt: skip
    if broken == "gone":
        del record["values"]["model_utility"], record["provenance"]["timings"]
    else:
        record["values"]["model_utility"] = broken
        record["provenance"]["timings"] = broken
    assert cell("methods", records, "t3", "model utility ↑") is None
    assert cell("cost", records, "t3", "tokens/s ↑") is None
    assert cell("methods", records, "t3", "forget quality, log₁₀ p ↑") == -1.5
    assert cell("methods", records, "npo", "model utility ↑") == 0.75


def test_a_negative_part_has_no_harmonic_mean():
    records = [evaluation("full", 0, retain_probability=-0.1), evaluation("t3", 0)]
    records.append(make_record("llm.blind", {"method": "t3"}, 0, {"utility": 0.25}))
    assert cell("blind", records, "full", "utility ↑, chosen with") is None
    assert cell("blind", records, "t3", "utility ↑, chosen with") == 0.5


@pytest.mark.parametrize(
    ("form", "number", "text"),
    [(".2f", -0.001, "0.00"), (".2f", -0.01, "-0.01"), (",.0f", 1234.5678, "1,235")],
)
def test_numbers_are_written_as_their_column_has_them(form, number, text):
    assert Measure("", "", form=form).written(number) == text


def test_latex_and_markdown():
    filled = fill(BY_NAME["cost"], everything())
    latex = to_latex(filled).splitlines()
    assert latex[:2] == [r"\begin{tabular}{lrrrr}", r"\toprule"]
    # Two values in the ratio 1.25²: t(1 degree of freedom) = 12.706, and 1.25^12.706 = 17.04.
    assert r"NPO & $12{,}345$ & $10.0$ [0.6 to 170.4] & $700$ & $150$ [9 to 2,555] \\" in latex
    assert r"tempering only & $12{,}345$ & -- & -- & $150$ [9 to 2,555] \\" in latex
    assert (
        "| NPO | 12,345 | 10.0 [0.6 to 170.4] | 700 | 150 [9 to 2,555] |"
        in to_markdown(filled).splitlines()
    )


def test_a_cell_of_other_seeds_than_the_rest_says_so(tmp_path):
    records = [r for r in everything() if not (r["kind"] == "llm.stage" and r["seed"] == 1
               and r["config"].get("which") == "full")]  # fmt: skip
    # Of before stages said which base they train: no method's, counted with none.
    records += [stage("train_base", seed, 70.0, 800) for seed in (0, 0, 1)]
    filled = fill(BY_NAME["cost"], records)
    assert filled.seeds == 2
    assert r"full model & $12{,}345$ & $50.0$ (of 1) & $800$ (of 1) & $150$" in to_latex(filled)
    assert "| full model | 12,345 | 50.0 (of 1) | 800 (of 1) |" in to_markdown(filled)
    write_records(tmp_path / "run.jsonl", records)
    judge(str(tmp_path))
    report.write(str(tmp_path), "mini", "mini")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "50.0<small>1 seed</small>" in page


@pytest.mark.parametrize("seconds", [(0.1, 300.0), (0.001, 1e300)])
def test_what_is_above_zero_has_an_interval_above_zero(seconds):
    records = [r for r in everything() if r["config"].get("stage") != "fit_heads"]
    records += [stage("fit_heads", seed, s, 300) for seed, s in enumerate(seconds)]
    filled = fill(BY_NAME["cost"], records)
    [row] = [row for row in filled.rows if row.method == "t3"]
    assert 0 <= row.cells[1].low < row.cells[1].value < row.cells[1].high


def test_a_time_of_zero_empties_its_cell():
    records = [r for r in everything() if r["config"].get("stage") != "fit_heads"]
    records += [stage("fit_heads", seed, 2.0 * seed, 300) for seed in (0, 1)]
    assert cell("cost", records, "t3", "training, s") is None
    assert cell("cost", records, "t3", "process, MiB") == pytest.approx(300)


def test_the_page_and_the_files_have_the_same_tables(tmp_path):
    for records, names in ((everything(), set(BY_NAME)), ([evaluation("full", 0)], {"methods"})):
        write_records(tmp_path / "run.jsonl", records)
        judge(str(tmp_path))
        report.write(str(tmp_path), "mini", "mini")
        page = (tmp_path / "report.html").read_text(encoding="utf-8")
        written = {path.stem for path in (tmp_path / "tables").glob("*.tex")}
        for name in BY_NAME:
            assert (f'id="table-{name}"' in page) == (name in written)
        assert names <= written, "a table of an earlier run does not stay behind"
        assert ("blind" in written) == ("blind" in names)
    assert "One seed" in page
