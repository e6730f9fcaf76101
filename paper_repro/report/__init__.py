"""The report of a run: one HTML file that needs no network, and its tables for LaTeX."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from figures.registry import FIGURES
from paper_repro.report import marks
from paper_repro.report.comparison import compare
from paper_repro.report.tables import TABLES, fill_all
from paper_repro.report.text import claims_to_latex, to_latex
from paper_repro.results import made, read_results, unsaid
from t3theory.ledger import LEDGER
from t3theory.records import atomic_path

__all__ = ["write"]

Claims = Sequence[Mapping[str, Any]]

_MM_A_POINT = 25.4 / 72


def write(
    out: str,
    scale: str,
    data: str,
    products: Sequence[str] | None = None,
    run: str = "t3 reproduce",
) -> None:
    """Write `out`/report.html and `out`/tables/*.tex from what the run has so far.

    Args:
        scale, data: of the language models; "" where there are none.
        run: the command of the run.
    """
    folder = Path(out)
    records = read_results(folder, products)
    claims = json.loads((folder / "claims.json").read_text(encoding="utf-8"))
    tables = fill_all(records)
    page = _template().render(
        scale=scale,
        data=data,
        run=run,
        unsaid=unsaid(run),
        claims=claims,
        verdicts=Counter(c["verdict"] for c in claims),
        tables=tables,
        comparison=compare(records),
        figures=_figures(folder, claims, run),
        statements=_statements(claims),
        made=made(records),
        kinds=_counted(r["kind"] for r in records),
    )
    _write(folder / "report.html", page)
    for table in TABLES:  # one that an earlier run had and this one has not is not left behind
        (folder / "tables" / f"{table.name}.tex").unlink(missing_ok=True)
    for filled in tables:
        _write(folder / "tables" / f"{filled.name}.tex", to_latex(filled))
    _write(folder / "tables" / "claims.tex", claims_to_latex(claims))


def _template() -> Any:
    import jinja2
    import markupsafe

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # `to_html` escapes what it is given; nothing else goes into the page unescaped.
    environment.filters["marks"] = lambda text: markupsafe.Markup(marks.to_html(text))
    environment.filters["words"] = lambda text: markupsafe.Markup(marks.breakable(text))
    environment.filters["number"] = lambda x, m: m.written(x).replace("-", "−")
    return environment.get_template("report.html.j2")


def _write(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _figures(folder: Path, claims: Claims, run: str) -> list[dict[str, Any]]:
    """The run's figures: first those that claims rest on, in the claims' order."""
    drawn = {path.stem: path for path in sorted((folder / "figures").glob("*.json"))}
    cited = (name for claim in claims for name in claim["figures"] if name in drawn)
    return [_figure(drawn[name], run) for name in dict.fromkeys([*cited, *drawn])]


def _figure(about: Path, run: str) -> dict[str, Any]:
    """A figure with all that the page says of it; the picture goes inline."""
    picture, column = (
        about.with_name(f"{about.stem}{end}.svg").read_bytes() for end in ("", "-column")
    )
    content: dict[str, Any] = json.loads(about.read_text(encoding="utf-8"))
    width = re.search(rb'<svg[^>]* width="([\d.]+)pt"', picture)
    documented = (FIGURES[about.stem].__doc__ or "") if about.stem in FIGURES else ""
    return content | {
        "name": about.stem,
        "title": documented.partition("\n")[0].rstrip(".") or about.stem.replace("_", " "),
        "width": float(width[1]) * _MM_A_POINT if width else None,
        "command": f"{run} --only figure.{about.stem}",
        "picture": _inline(picture),
        "column": _inline(column),
    }


def _inline(svg: bytes) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"


def _statements(claims: Claims) -> list[Any]:
    """The theory's statements that the claims name, in the ledger's order."""
    named = {letter for claim in claims for letter in letters(claim["theory"])}
    return [statement for letter, statement in LEDGER.items() if letter in named]


def letters(theory: str) -> list[str]:
    """The letters of a claim's `theory`.

    >>> letters("B, G")
    ['B', 'G']
    """
    return [letter for letter in re.split(r"[,\s]+", theory) if letter]


def _counted(kinds: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(kinds).items()))
