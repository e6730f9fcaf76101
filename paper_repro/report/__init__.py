"""The report of a run: one HTML file that needs no network, and its tables for LaTeX."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from paper_repro.report.tables import COLUMNS, method_rows, to_latex
from paper_repro.results import read_results
from t3theory.records import atomic_path

__all__ = ["write"]


def write(out: str, scale: str, data: str) -> None:
    """Write `out`/report.html and `out`/tables/*.tex from what the run has so far."""
    import jinja2

    folder = Path(out)
    records = read_results(folder)
    claims = json.loads((folder / "claims.json").read_text(encoding="utf-8"))
    rows = method_rows(records)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html.j2").render(
        scale=scale,
        data=data,
        claims=claims,
        methods=rows,
        columns=COLUMNS,
        figures=[_figure(path) for path in sorted((folder / "figures").glob("*.json"))],
        made=_made(records),
    )
    _write(folder / "report.html", page)
    _write(folder / "tables" / "methods.tex", to_latex(rows))


def _write(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _figure(about: Path) -> dict[str, Any]:
    """A figure with all that the page says of it; the picture goes inline."""
    picture = base64.b64encode(about.with_suffix(".svg").read_bytes()).decode()
    content: dict[str, Any] = json.loads(about.read_text(encoding="utf-8"))
    return content | {"name": about.stem, "picture": f"data:image/svg+xml;base64,{picture}"}


def _made(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Which code and machines made the records, and in how long."""
    stamps: list[Mapping[str, Any]] = [r["provenance"] for r in records]
    return {
        "records": len(records),
        "commits": sorted({s["commit"] for s in stamps if s["commit"]}),
        "machines": sorted(
            {
                f"{s['hardware']['gpu'] or s['hardware']['cpu']}, {s['hardware']['cores']} cores"
                for s in stamps
            }
        ),
        "versions": stamps[-1]["versions"] if stamps else {},
        "until": max((s["time"] for s in stamps), default=""),
    }
