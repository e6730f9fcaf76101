"""The tables of methods and of claims, as rows and as booktabs LaTeX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from figures.fig_tofu_methods import NAMES
from figures.statistics import Estimate, group, mean
from paper_repro.report import marks

__all__ = ["COLUMNS", "claims_to_latex", "method_rows", "to_latex", "to_markdown"]

COLUMNS = {
    "forget_quality_log10_p": "forget quality, log₁₀ p ↑",
    "model_utility": "model utility ↑",
    "forget_probability": "forget probability",
    "forget_rouge": "forget ROUGE",
    "retain_probability": "retain probability ↑",
    "retain_rouge": "retain ROUGE ↑",
}
"""Values of an evaluation record, and the headings they stand under."""

Row = dict[str, Any]


def method_rows(
    records: Sequence[Mapping[str, Any]], columns: Sequence[str] = tuple(COLUMNS)
) -> list[Row]:
    """A row for each method that was evaluated: its name, number of seeds, an estimate a column."""
    found = group(
        (r for r in records if r["kind"] == "llm.evaluation"), lambda r: r["config"]["method"]
    )
    # The tuning seed's retain model served as a yardstick only.
    reported = {r["seed"] for r in found.get("full", [])}
    rows = []
    for method, name in NAMES.items():
        chosen = [r for r in found.get(method, []) if r["seed"] in reported]
        if chosen:
            cells = {
                key: mean([r["values"][key] for r in chosen])
                if all(key in r["values"] for r in chosen)
                else None
                for key in columns
            }
            rows.append({"method": method, "name": name, "seeds": len(chosen), "cells": cells})
    return rows


def to_latex(rows: Sequence[Row]) -> str:
    r"""The rows as a booktabs table; `\usepackage{booktabs}` is all it needs."""
    headings = [marks.to_latex(h) for h in COLUMNS.values()]
    lines = [
        rf"\begin{{tabular}}{{l{'r' * len(headings)}}}",
        r"\toprule",
        " & ".join(["method", *headings]) + r" \\",
        r"\midrule",
    ]
    for row in rows:
        cells = [_latex_cell(row["cells"][key]) for key in COLUMNS]
        lines.append(" & ".join([row["name"], *cells]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def claims_to_latex(claims: Sequence[Mapping[str, Any]]) -> str:
    r"""The claims as a booktabs table of the text's width: statement, theory, verdict, evidence."""
    lines = [
        r"\begin{tabular}{p{0.4\linewidth}lp{0.35\linewidth}l}",
        r"\toprule",
        r"claim & theory & evidence & verdict \\",
        r"\midrule",
    ]
    for claim in claims:
        cells = [claim[key] for key in ("statement", "theory", "evidence", "verdict")]
        lines.append(" & ".join(map(marks.to_latex, cells)) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _latex_cell(estimate: Estimate | None) -> str:
    if estimate is None:
        return "--"
    half = rf" \pm {estimate.half:.2f}" if estimate.has_interval else ""
    return f"${estimate.value:.2f}{half}$"


def to_markdown(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table, for the README."""
    lines = [
        "| " + " | ".join(["method", *COLUMNS.values()]) + " |",
        "|---" * (1 + len(COLUMNS)) + "|",
    ]
    for row in rows:
        cells = [_markdown_cell(row["cells"][key]) for key in COLUMNS]
        lines.append("| " + " | ".join([row["name"], *cells]) + " |")
    return "\n".join([*lines, ""])


def _markdown_cell(estimate: Estimate | None) -> str:
    if estimate is None:
        return "–"
    half = f" ± {estimate.half:.2f}" if estimate.has_interval else ""
    return f"{estimate.value:.2f}{half}"
