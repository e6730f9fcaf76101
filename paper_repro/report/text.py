"""Tables as booktabs LaTeX and as Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from figures.statistics import Estimate
from paper_repro.report import marks
from paper_repro.report.measures import Measure
from paper_repro.report.tables import Filled, Row

__all__ = ["claims_to_latex", "markdown", "to_latex", "to_markdown"]


def to_latex(table: Filled) -> str:
    r"""The table in booktabs; `\usepackage{booktabs}` is all it needs."""
    headings = ["method", *(_stacked(m.heading) for m in table.columns)]
    rows = [[row.name, *(_latex(*cell) for cell in _cells(table, row))] for row in table.rows]
    return _booktabs("l" + "r" * len(table.columns), headings, rows)


def _stacked(heading: str) -> str:
    r"""A heading over narrow numbers, on as many lines as it takes.

    >>> print(_stacked("model utility ↑"))
    \shortstack[r]{model\\utility~$\uparrow$}
    """
    lines = textwrap.wrap(heading.replace(" ↑", "\u00a0↑"), 12, break_long_words=False)
    stack = r"\\".join(map(marks.to_latex, lines))
    return rf"\shortstack[r]{{{stack}}}"


def claims_to_latex(claims: Sequence[Mapping[str, Any]]) -> str:
    r"""The claims in booktabs, of the text's width and as many pages as it takes (`longtable`)."""
    fields = ("statement", "theory", "evidence", "verdict")
    rows = [[marks.to_latex(claim[key]) for key in fields] for claim in claims]
    columns = "".join(rf">{{\raggedright\arraybackslash}}p{{{w}\linewidth}}" for w in _WIDTHS)
    head = ["claim", *fields[1:]]
    return "% \\usepackage{array,booktabs,longtable}\n" + _booktabs(
        columns, head, rows, "longtable", r"\endhead"
    )


_WIDTHS = (0.36, 0.09, 0.31, 0.11)
"""Of the columns; eight spaces of \tabcolsep take the rest of a line of 120 mm or more."""


def _booktabs(
    spec: str,
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    environment: str = "tabular",
    after_head: str = "",
) -> str:
    head, *body = (" & ".join(row) + r" \\" for row in (headings, *rows))
    top, bottom = rf"\begin{{{environment}}}{{{spec}}}", rf"\end{{{environment}}}"
    rule = r"\midrule" + after_head
    return "\n".join([top, r"\toprule", head, rule, *body, r"\bottomrule", bottom, ""])


def to_markdown(table: Filled) -> str:
    """The table for README and docs."""
    rows = [[row.name, *(_plain(*cell) for cell in _cells(table, row))] for row in table.rows]
    return markdown([["method", *(m.heading for m in table.columns)], *rows])


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells, the first of them headings, numbers on the right."""
    first, *rest = rows
    rule = ["---", *["--:"] * (len(first) - 1)]
    return "".join(f"| {' | '.join(row)} |\n" for row in (first, rule, *rest))


def _cells(table: Filled, row: Row) -> Iterator[tuple[Measure, Estimate | None, str]]:
    """Of each column what it measures, the row's estimate, and its seeds where they are others."""
    for measure, cell, count in zip(table.columns, row.cells, row.counts, strict=True):
        yield measure, cell, "" if count == table.seeds else f" (of {count})"


def _interval(measure: Measure, cell: Estimate, sign: str) -> tuple[str, str]:
    """The interval's half width behind a sign, or the ends of one that is not symmetric."""
    if not (cell.has_interval and cell.half):
        return "", ""
    if not measure.positive:
        return sign + measure.written(cell.half), ""
    low, high = measure.written(cell.low), measure.written(cell.high)
    return "", f" [{low} to {high}]" if low != high else ""


def _plain(measure: Measure, cell: Estimate | None, seeds: str) -> str:
    if cell is None:
        return "–"
    return "".join((measure.written(cell.value), *_interval(measure, cell, " ± "), seeds))


def _latex(measure: Measure, cell: Estimate | None, seeds: str) -> str:
    if cell is None:
        return "--"
    half, ends = _interval(measure, cell, r" \pm ")
    number = (measure.written(cell.value) + half).replace(",", "{,}")
    return f"${number}${ends}{seeds}"
